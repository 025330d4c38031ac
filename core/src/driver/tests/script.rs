//! The scripted host and machine.

use super::super::std;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use std::io::{self, IoSlice};
use std::sync::Mutex;
use std::task::Wake;

use super::super::{BoxFuture, BoxTask, Client, Engine, Host, Machine, Options, Spawn, lock, start_machine};
use crate::client::{ClientCommand, Command, Input, Outcome, Output};
use crate::config::HostFacts;
use crate::consumer::{ConsumeToken, ConsumerCommand, Delivery, PulledMessage, Settled};
use crate::id::{ChannelId, ConsumerId, GenerationalId, OperationId, ProcessQueueId};
use crate::message::{MessageQueue, StoredMessage, StoredRecord, encode_stored};
use crate::producer::ProducerCommand;
use crate::remoting::{Encoder, Head, NoHeader};
use crate::time::{Instant, Timestamp};

/// A waker that counts.
#[derive(Debug, Default)]
pub(crate) struct CountingWaker(AtomicUsize);

impl CountingWaker {
    pub(crate) fn pair() -> (Arc<Self>, Waker) {
        let counter = Arc::new(Self::default());
        (counter.clone(), Waker::from(counter))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A socket in memory.
#[derive(Default)]
pub(super) struct Socket {
    pub(super) connected: bool,
    /// What the peer has said, in pieces as the socket hands them out; an empty piece is the end.
    pub(super) incoming: VecDeque<Bytes>,
    pub(super) written: Vec<u8>,
    /// How many bytes each coming write takes; unlimited when the list is empty, zero is "not now".
    pub(super) takes: VecDeque<usize>,
    pub(super) writes: usize,
    pub(super) reads: usize,
    pub(super) waker: Option<Waker>,
}

/// What the host shares with the test.
#[derive(Default)]
pub(super) struct Stage {
    pub(super) now: Instant,
    pub(super) deadline: Instant,
    pub(super) sockets: BTreeMap<ChannelId, Socket>,
    pub(super) closed: Vec<ChannelId>,
    /// Where connections were opened to.
    pub(super) dialled: Vec<SocketAddr>,
    /// What had been written to the sockets that were closed.
    pub(super) last_words: Vec<Vec<u8>>,
    /// How far the wall clock is ahead of the monotonic one, in milliseconds.
    pub(super) wall_ahead_ms: i64,
    /// What the machine waits for.
    pub(super) wanted: Option<Instant>,
    pub(super) tasks: Vec<BoxFuture>,
    pub(super) inputs: Vec<(Instant, Input)>,
}

impl Stage {
    fn wall(&self) -> Timestamp {
        let monotonic_ms = i64::try_from(self.now.as_millis()).expect("a test's time is short");
        Timestamp::from_millis(monotonic_ms + self.wall_ahead_ms)
    }
}

pub(super) type Shared = Arc<Mutex<Stage>>;

pub(super) struct ScriptHost(Shared);

impl ScriptHost {
    pub(super) fn new(stage: Shared) -> Self {
        Self(stage)
    }

    fn with<T>(
        &self,
        channel: ChannelId,
        cx: &Context<'_>,
        act: impl FnOnce(&mut Socket) -> T,
    ) -> io::Result<T> {
        let mut stage = lock(&self.0);
        let socket = stage.sockets.get_mut(&channel).ok_or(io::ErrorKind::NotConnected)?;
        socket.waker = Some(cx.waker().clone());
        Ok(act(socket))
    }
}

impl Host for ScriptHost {
    fn now(&self) -> Instant {
        lock(&self.0).now
    }

    fn wall(&self) -> Timestamp {
        lock(&self.0).wall()
    }

    fn entropy(&mut self) -> u64 {
        7
    }

    fn facts(&self) -> HostFacts {
        HostFacts { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), pid: 1 }
    }

    fn spawn(&self) -> Arc<dyn Spawn> {
        Arc::new(ScriptSpawn(self.0.clone()))
    }

    fn connect(&mut self, channel: ChannelId, address: SocketAddr) {
        let mut stage = lock(&self.0);
        stage.dialled.push(address);
        stage.sockets.insert(channel, Socket::default());
    }

    fn poll_connected(&mut self, channel: ChannelId, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.with(channel, cx, |socket| socket.connected) {
            Ok(false) => Poll::Pending,
            Ok(true) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_read(
        &mut self,
        channel: ChannelId,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        self.with(channel, cx, |socket| {
            socket.reads += 1;
            match socket.incoming.pop_front() {
                Some(piece) => {
                    buffer.extend_from_slice(&piece);
                    Poll::Ready(Ok(piece.len()))
                }
                None => Poll::Pending,
            }
        })?
    }

    fn poll_write_vectored(
        &mut self,
        channel: ChannelId,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.with(channel, cx, |socket| {
            socket.writes += 1;
            let mut room = socket.takes.pop_front().unwrap_or(usize::MAX);
            if room == 0 {
                return Poll::Pending;
            }
            let mut count = 0;
            for slice in slices {
                let taken = slice.len().min(room);
                socket.written.extend_from_slice(&slice[..taken]);
                room -= taken;
                count += taken;
            }
            Poll::Ready(Ok(count))
        })?
    }

    fn close(&mut self, channel: ChannelId) {
        let mut stage = lock(&self.0);
        let socket = stage.sockets.remove(&channel);
        stage.last_words.extend(socket.map(|socket| socket.written));
        stage.closed.push(channel);
    }

    fn poll_wait(&mut self, deadline: Instant, _: &mut Context<'_>) -> Poll<()> {
        let mut stage = lock(&self.0);
        stage.deadline = deadline;
        if deadline <= stage.now { Poll::Ready(()) } else { Poll::Pending }
    }
}

struct ScriptSpawn(Shared);

impl Spawn for ScriptSpawn {
    fn now(&self) -> Instant {
        lock(&self.0).now
    }

    fn wall(&self) -> Timestamp {
        lock(&self.0).wall()
    }

    fn spawn(&self, future: BoxFuture) {
        lock(&self.0).tasks.push(future);
    }

    fn spawn_blocking(&self, task: BoxTask) {
        task();
    }
}

type Reaction = Box<dyn FnMut(&Input, &mut VecDeque<Output>) + Send>;

/// Does what the test says, and notes what it was told.
pub(super) struct ScriptMachine {
    stage: Shared,
    outputs: VecDeque<Output>,
    react: Reaction,
}

impl ScriptMachine {
    pub(super) fn new(
        stage: Shared,
        react: impl FnMut(&Input, &mut VecDeque<Output>) + Send + 'static,
    ) -> Self {
        Self { stage, outputs: VecDeque::new(), react: Box::new(react) }
    }
}

impl Machine for ScriptMachine {
    fn handle(&mut self, now: Instant, input: Input) {
        (self.react)(&input, &mut self.outputs);
        lock(&self.stage).inputs.push((now, input));
    }

    fn poll_output(&mut self, _: Instant) -> Output {
        let wanted = || lock(&self.stage).wanted.unwrap_or(Instant::FAR_FUTURE);
        self.outputs.pop_front().unwrap_or_else(|| Output::Wait(wanted()))
    }
}

/// A client on the scripted host.
pub(super) struct World {
    pub(super) client: Option<Client>,
    pub(super) engine: Engine<ScriptHost, ScriptMachine>,
    pub(super) stage: Shared,
    pub(super) wakes: Arc<CountingWaker>,
    waker: Waker,
}

impl World {
    pub(super) fn new(react: impl FnMut(&Input, &mut VecDeque<Output>) + Send + 'static) -> Self {
        Self::with(Options::default(), react)
    }

    pub(super) fn with(
        options: Options,
        react: impl FnMut(&Input, &mut VecDeque<Output>) + Send + 'static,
    ) -> Self {
        let stage = Shared::default();
        let (client, engine) = start_machine(ScriptHost(stage.clone()), options, |_, _, _, _| {
            ScriptMachine::new(stage.clone(), react)
        });
        let (wakes, waker) = CountingWaker::pair();
        Self { client: Some(client), engine, stage, wakes, waker }
    }

    pub(super) fn client(&self) -> &Client {
        self.client.as_ref().expect("the test has not dropped the client")
    }

    /// One drain. True when the engine has ended.
    pub(super) fn drain(&mut self) -> bool {
        self.engine.poll(&mut Context::from_waker(&self.waker)).is_ready()
    }

    /// Drains until the engine wants no more. True when it has ended.
    pub(super) fn settle(&mut self) -> bool {
        for _ in 0..1_000 {
            if self.drain() {
                return true;
            }
            if !self.engine.is_raised() {
                return false;
            }
        }
        panic!("the engine never comes to rest");
    }

    /// Changes a socket and wakes whoever waits for it.
    pub(super) fn socket(&self, channel: ChannelId, act: impl FnOnce(&mut Socket)) {
        let waker = {
            let mut stage = lock(&self.stage);
            let socket = stage.sockets.get_mut(&channel).expect("the socket is open");
            act(socket);
            socket.waker.clone()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// What the machine was told, as a short text each; each answer by itself.
    pub(super) fn told(&self) -> Vec<String> {
        let mut told = Vec::new();
        for (_, input) in &lock(&self.stage).inputs {
            match input {
                Input::Settled { answers } => {
                    for Settled { token, ack, begun } in answers {
                        told.extend(begun.map(|_| alloc::format!("begun {}", token.queue_offset)));
                        told.push(alloc::format!("settled {} {ack:?}", token.queue_offset));
                    }
                }
                input => told.push(short(input)),
            }
        }
        told
    }

    pub(super) fn forget(&self) {
        lock(&self.stage).inputs.clear();
    }
}

fn short(input: &Input) -> String {
    match input {
        Input::Connected { channel } => alloc::format!("connected {channel:?}"),
        Input::Received { channel, command } => alloc::format!("received {channel:?} {}", command.opaque),
        Input::Transmitted { channel, bytes_total } => {
            alloc::format!("transmitted {channel:?} {bytes_total}")
        }
        Input::Closed { channel, reason } => alloc::format!("closed {channel:?} {reason}"),
        Input::Begun { tokens } => {
            let offsets = tokens.iter().map(|(token, _)| alloc::format!(" {}", token.queue_offset));
            alloc::format!("begun{}", offsets.collect::<String>())
        }
        Input::HandedBack { token } => alloc::format!("handed back {}", token.queue_offset),
        Input::Command(Command::Producer(_, ProducerCommand::Send { message, .. })) => {
            alloc::format!("send {}", String::from_utf8_lossy(&message.body))
        }
        Input::Command(Command::Producer(_, ProducerCommand::SendOneway { message, .. })) => {
            alloc::format!("one-way {}", String::from_utf8_lossy(&message.body))
        }
        Input::Command(Command::Producer(_, ProducerCommand::SendBatch { messages, .. })) => {
            let bodies = messages.iter().map(|message| String::from_utf8_lossy(&message.body));
            alloc::format!("send {}", bodies.collect::<Vec<_>>().join("+"))
        }
        Input::Command(Command::Client(ClientCommand::Close { timeout, .. })) => {
            alloc::format!("close {timeout:?}")
        }
        Input::Command(Command::Producer(_, ProducerCommand::Close { .. })) => "close producer".into(),
        Input::Command(Command::Consumer(_, ConsumerCommand::Close { timeout, .. })) => {
            alloc::format!("close consumer {timeout:?}")
        }
        Input::Command(Command::Producer(_, ProducerCommand::Create { .. })) => "create producer".into(),
        Input::Command(Command::Consumer(_, ConsumerCommand::Start { .. })) => "start consumer".into(),
        other => alloc::format!("{other:?}"),
    }
}

/// Polls a future once, with a waker that does nothing.
pub(super) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

pub(super) fn channel(index: u32) -> ChannelId {
    ChannelId::from_parts(index, 0)
}

pub(super) fn address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 9876))
}

/// Which operation a command belongs to.
pub(super) fn operation_of(input: &Input) -> Option<OperationId> {
    match input {
        Input::Command(command) => command.operation(),
        _ => None,
    }
}

/// Completes every command at once; after a close nothing comes.
pub(super) fn obey(input: &Input, outputs: &mut VecDeque<Output>) {
    if let Some(operation) = operation_of(input) {
        outputs.push_back(Output::Complete { operation, outcome: Outcome::Done });
    }
    if let Input::Command(Command::Client(ClientCommand::Close { .. })) = input {
        outputs.push_back(Output::ClientClosed);
    }
}

/// A whole frame with this opaque and body.
pub(super) fn frame(opaque: i32, body: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    let head = Head { code: 0, opaque, flag: 1, remark: None };
    Encoder::default().encode(&mut out, &head, &NoHeader, &[], body.len());
    out.extend_from_slice(body);
    out.freeze()
}

/// A delivery of consumer 0 at this offset of queue `queue`.
pub(crate) fn delivery(queue: u32, queue_offset: i64, sys_flag: i32, body: &'static [u8]) -> Delivery {
    let mut out = BytesMut::new();
    let host = address();
    let record = StoredRecord {
        queue_id: 0,
        flag: 0,
        queue_offset,
        commit_log_offset: 0,
        sys_flag,
        born_timestamp: Timestamp::from_millis(1),
        born_host: host,
        store_timestamp: Timestamp::from_millis(2),
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        topic: "TopicTest",
        body,
        properties: "",
    };
    encode_stored(&mut out, &record).expect("a record that fits");
    let queue = ProcessQueueId::from_parts(queue, 0);
    Delivery {
        token: ConsumeToken { consumer: ConsumerId(0), queue, queue_offset, hand_out: 0 },
        message: PulledMessage::alone(
            Arc::new(MessageQueue { topic: "TopicTest".into(), broker_name: "broker-a".into(), queue_id: 0 }),
            Ok(StoredMessage::decode(&out.freeze()).expect("what was just encoded")),
        ),
        origin_topic: None,
    }
}
