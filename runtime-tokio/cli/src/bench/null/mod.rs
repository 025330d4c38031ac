//! `rmq bench null-server`: name server and broker in one that answers every frame at once, stores
//! nothing and makes pulled messages up. What is left to measure is the client.
//!
//! A thread for each connection, blocking: it answers all that it has read with one write.

mod answers;
mod pulled;
mod world;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::BytesMut;
use rocketmq_client_tokio::core::remoting::{FRAME_BYTES_MAX, FrameDecoder};

use self::answers::Answerer;
use self::world::World;
use super::args::NullArgs;
use crate::error::CliError;
use crate::output;

const BUFFER_BYTES: usize = 256 << 10;

/// Serves until the process is ended.
pub(super) fn run(args: &NullArgs) -> Result<(), CliError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port))?;
    let world = Arc::new(World {
        address: listener.local_addr()?,
        queues: args.queues,
        messages: args.messages,
        size: args.size,
        members: Mutex::default(),
    });
    output::line(&format!("name server {0}, broker {0}; answers at once, stores nothing", world.address))?;
    for stream in listener.incoming() {
        let (stream, world) = (stream?, world.clone());
        // A client that goes away ends its thread and nothing else.
        thread::spawn(move || serve(stream, &world));
    }
    Ok(())
}

fn serve(mut stream: TcpStream, world: &World) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut answerer = Answerer::new(world);
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut filled, mut out) = (0, BytesMut::with_capacity(BUFFER_BYTES));
    loop {
        let count = stream.read(&mut buffer[filled..])?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        let used = answer_all(&mut answerer, &buffer[..filled], &mut out);
        buffer.copy_within(used..filled, 0);
        filled -= used;
        if filled == buffer.len() {
            buffer.resize(2 * filled, 0);
        }
        stream.write_all(&out)?;
        out.clear();
    }
}

/// Answers all whole frames; gives how many bytes they are.
fn answer_all(answerer: &mut Answerer<'_>, bytes: &[u8], out: &mut BytesMut) -> usize {
    let mut at = 0;
    while let Some(len) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        let end = at + 4 + u32::from_be_bytes(*len) as usize;
        let Some(frame) = bytes.get(at..end) else { break };
        if !answerer.answer_send(frame, out) {
            let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
            decoder.buffer_mut().extend_from_slice(frame);
            if let Ok(Some(command)) = decoder.next_frame() {
                answerer.answer(&command, out);
            }
        }
        at = end;
    }
    at
}
