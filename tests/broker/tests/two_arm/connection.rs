//! A socket and the thread that reads it: answers find their request, the broker's own requests are kept
//! and answered as the script says.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rocketmq_client_core::remoting::{
    Encoder, ExtFields, FLAG_ONEWAY, FLAG_RESPONSE, FRAME_BYTES_MAX, FrameDecoder, Head, LanguageCode,
    NoHeader, RemotingCommand, VERSION,
};

use crate::envelope::{self, Received};

/// The longest wait for an answer; a broker that waits for a client gives up after ten seconds.
const ANSWER_MAX: Duration = Duration::from_secs(20);

type Replies = Arc<Mutex<BTreeMap<i32, (i32, String)>>>;

/// A connection to a broker or a name server.
pub(crate) struct Connection {
    stream: TcpStream,
    answers: Receiver<Received>,
    pushes: Receiver<Received>,
    replies: Replies,
    opaque: i32,
    /// What the client says it is.
    pub(crate) version: i32,
    reader: Option<JoinHandle<()>>,
}

fn encoder() -> Encoder {
    Encoder { language: LanguageCode::Java, ..Encoder::default() }
}

impl Connection {
    pub(crate) fn open(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap_or_else(|error| panic!("connect to {addr}: {error}"));
        stream.set_nodelay(true).expect("a socket option");
        let (answer, answers) = channel();
        let (push, pushes) = channel();
        let replies = Replies::default();
        let theirs = (stream.try_clone().expect("a second handle"), replies.clone());
        let reader = std::thread::spawn(move || read(theirs.0, &theirs.1, &answer, &push));
        Self { stream, answers, pushes, replies, opaque: 0, version: VERSION, reader: Some(reader) }
    }

    /// The address that the server sees.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr().expect("a connected socket has an address")
    }

    /// Sends a request and waits for its answer; none when nobody answers in time.
    pub(crate) fn ask(&mut self, code: i32, fields: &[(&str, &str)], body: &[u8]) -> Option<Received> {
        self.send(code, fields, body);
        self.answer()
    }

    /// Sends a request; [`Connection::answer`] waits for its answer.
    pub(crate) fn send(&mut self, code: i32, fields: &[(&str, &str)], body: &[u8]) {
        self.post(code, 0, fields, body);
    }

    /// The answer to the last request; none when nobody answers in time.
    pub(crate) fn answer(&mut self) -> Option<Received> {
        loop {
            let answer = self.answers.recv_timeout(ANSWER_MAX).ok()?;
            if answer.command.opaque == self.opaque {
                return Some(answer);
            }
        }
    }

    /// Sends a request that nobody answers.
    pub(crate) fn tell(&mut self, code: i32, fields: &[(&str, &str)], body: &[u8]) {
        self.post(code, FLAG_ONEWAY, fields, body);
    }

    fn post(&mut self, code: i32, flag: i32, fields: &[(&str, &str)], body: &[u8]) {
        self.opaque += 1;
        let mut out = BytesMut::new();
        let head = Head { code, opaque: self.opaque, flag, remark: None };
        Encoder { version: self.version, ..encoder() }.encode(&mut out, &head, &NoHeader, fields, body.len());
        out.extend_from_slice(body);
        // A server that closed the connection doesn't answer; the wait for the answer tells.
        let _ = self.stream.write_all(&out);
    }

    /// The next request from the broker with this code; others before it are dropped.
    pub(crate) fn pushed(&mut self, code: i32) -> Option<Received> {
        loop {
            let push = self.pushes.recv_timeout(ANSWER_MAX).ok()?;
            if push.command.code == code {
                return Some(push);
            }
        }
    }

    /// From here on requests with this code are answered so.
    pub(crate) fn reply(&mut self, code: i32, answer: i32, body: String) {
        self.replies.lock().expect("no panic while locked").insert(code, (answer, body));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn read(mut stream: TcpStream, replies: &Replies, answer: &Sender<Received>, push: &Sender<Received>) {
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        decoder.buffer_mut().extend_from_slice(&buffer[..count]);
        loop {
            // Looked at before the decoder cuts it off; it counts when the frame is whole.
            let envelope = envelope::describe(decoder.buffer_mut());
            let Ok(Some(command)) = decoder.next_frame() else { break };
            if command.is_response() {
                let _ = answer.send(Received { command, envelope });
                continue;
            }
            let reply = replies.lock().expect("no panic while locked").get(&command.code).cloned();
            if let Some((code, body)) = reply.filter(|_| !command.is_oneway()) {
                let mut out = BytesMut::new();
                let reply = RemotingCommand {
                    code,
                    language: LanguageCode::Java,
                    version: VERSION,
                    opaque: command.opaque,
                    flag: FLAG_RESPONSE,
                    remark: None,
                    ext: ExtFields::new(),
                    body: Bytes::from(body),
                };
                encoder().encode_command(&mut out, &reply);
                let _ = stream.write_all(&out);
            }
            let _ = push.send(Received { command, envelope });
        }
    }
}
