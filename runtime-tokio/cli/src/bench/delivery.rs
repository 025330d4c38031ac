//! What a bare program sees from end to end, which is what the broker takes: two connections, one that
//! writes frames encoded beforehand at a steady rate, one that holds a pull on every queue.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rocketmq_client_tokio::core::message::{StoredMessages, sys_flag};
use rocketmq_client_tokio::core::remoting::{
    ConsumerData, FRAME_BYTES_MAX, FrameDecoder, GetMaxOffsetRequestHeader, GetMaxOffsetResponseHeader,
    HeartbeatData, HeartbeatRequestHeader, PullMessageRequestHeader, PullMessageResponseHeader,
    RemotingCommand, RequestHeader, ResponseCode, SUB_ALL, SubscriptionData, TAG,
};

use super::args::LatencyArgs;
use super::block::{Outcome, Spec};
use super::frames::{Frames, PULL_BATCH, encode};
use super::meter::{Meter, Spent};
use super::pace::Pace;
use super::samples::percentiles_of;
use super::stamps::{Stamps, WARM_UP, mark_of};
use crate::error::CliError;

/// How long the broker holds a pull; as the client asks for.
const SUSPEND_MS: i64 = 15_000;
/// How long it may take for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Until a socket that is full is tried again.
const FULL: Duration = Duration::from_micros(50);
const BUFFER_BYTES: usize = 64 << 10;

/// Measures.
pub(super) fn run(args: &LatencyArgs, spec: &Spec) -> Result<Outcome, CliError> {
    let stamps = Stamps::new(args.count);
    let mut sender = Sender::connect(args, spec)?;
    let mut puller = Puller::connect(args, spec)?;
    let stop = puller.connection.stream.try_clone()?;
    let (spent, pulled) = thread::scope(|scope| {
        let pulling = scope.spawn(|| puller.run(&stamps));
        let spent = sender.run(&stamps, args);
        // It fails when the broker was faster.
        let _ = stop.shutdown(Shutdown::Both);
        (spent, pulling.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let (spent, latencies) = (spent?, stamps.latencies());
    let done = latencies.len() as u64;
    if done == 0 {
        pulled?;
    }
    let (p50_ns, p99_ns) = percentiles_of(latencies);
    let failed = args.count - done;
    Ok(Outcome { done, warm_up: WARM_UP, failed, spent, p50_ns, p99_ns, syscalls: None, broker_cpu: None })
}

/// One socket, and the frames that come out of it.
struct Connection {
    stream: TcpStream,
    decoder: FrameDecoder,
    buffer: Box<[u8]>,
}

impl Connection {
    fn connect(broker: &str) -> Result<Self, CliError> {
        let stream = TcpStream::connect(broker)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        let decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        Ok(Self { stream, decoder, buffer: vec![0; BUFFER_BYTES].into() })
    }

    /// Takes what has come.
    fn read(&mut self) -> std::io::Result<()> {
        match self.stream.read(&mut self.buffer)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => {
                self.decoder.buffer_mut().extend_from_slice(&self.buffer[..count]);
                Ok(())
            }
        }
    }

    /// The next answer of what was taken. The broker's own requests need none.
    fn next_answer(&mut self) -> Result<Option<RemotingCommand>, CliError> {
        loop {
            match self.decoder.next_frame() {
                Ok(Some(command)) if !command.is_response() => {}
                Ok(command) => return Ok(command),
                Err(error) => return Err(failed(&format!("the broker's answer can't be read: {error}"))),
            }
        }
    }

    /// Asks while nothing else is under way.
    fn ask<'h, H: RequestHeader<'h>>(
        &mut self,
        header: &H,
        body: &[u8],
    ) -> Result<RemotingCommand, CliError> {
        let mut out = BytesMut::new();
        encode(&mut out, 0, 0, header, body);
        self.stream.write_all(&out)?;
        loop {
            if let Some(answer) = self.next_answer()? {
                return if answer.code == ResponseCode::SUCCESS.0 {
                    Ok(answer)
                } else {
                    Err(refused(&answer))
                };
            }
            self.read()?;
        }
    }
}

/// Writes without waiting for receipts.
struct Sender {
    connection: Connection,
    /// One for each queue.
    frames: Frames,
    frame: Vec<u8>,
    size: usize,
    refused: u64,
}

impl Sender {
    fn connect(args: &LatencyArgs, spec: &Spec) -> Result<Self, CliError> {
        let connection = Connection::connect(&spec.broker)?;
        connection.stream.set_nonblocking(true)?;
        let frames = Frames::sends(&spec.topic, args.queues, args.size, args.queues.into(), false);
        Ok(Self { connection, frames, frame: Vec::new(), size: args.size as usize, refused: 0 })
    }

    fn run(&mut self, stamps: &Stamps, args: &LatencyArgs) -> Result<Spent, CliError> {
        self.send_all(stamps, args.count..args.count + WARM_UP, args.rate)?;
        let before = self.refused;
        let meter = Meter::start();
        self.send_all(stamps, 0..args.count, args.rate)?;
        stamps.wait(args.count - (self.refused - before));
        Ok(meter.stop())
    }

    fn send_all(&mut self, stamps: &Stamps, numbers: Range<u64>, rate: f64) -> Result<(), CliError> {
        let pace = Pace::new(Some(rate), 1);
        for (index, number) in (0..).zip(numbers) {
            self.prepare(number);
            if let Some(due) = pace.wait(index) {
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            stamps.sends(number);
            self.write()?;
            self.take_receipts()?;
        }
        Ok(())
    }

    /// The body is the end of a frame, and begins with the mark.
    fn prepare(&mut self, number: u64) {
        let index = (number % self.frames.len() as u64) as usize;
        self.frame.clear();
        self.frame.extend_from_slice(self.frames.slice(index..index + 1));
        let body = self.frame.len() - self.size;
        self.frame[body..body + 8].copy_from_slice(&mark_of(number));
    }

    fn write(&mut self) -> Result<(), CliError> {
        let mut at = 0;
        while at < self.frame.len() {
            match self.connection.stream.write(&self.frame[at..]) {
                Ok(count) => at += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.take_receipts()?;
                    thread::sleep(FULL);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Those that are there.
    fn take_receipts(&mut self) -> Result<(), CliError> {
        match self.connection.read() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            read => read?,
        }
        while let Some(answer) = self.connection.next_answer()? {
            self.refused += u64::from(answer.code != ResponseCode::SUCCESS.0);
        }
        Ok(())
    }
}

/// Holds a pull on every queue.
struct Puller<'a> {
    connection: Connection,
    spec: &'a Spec,
    /// Where each queue goes on.
    offsets: Vec<i64>,
    out: BytesMut,
}

impl<'a> Puller<'a> {
    /// A broker refuses the pulls of groups that it does not know.
    fn connect(args: &LatencyArgs, spec: &'a Spec) -> Result<Self, CliError> {
        let mut connection = Connection::connect(&spec.broker)?;
        connection.ask(&HeartbeatRequestHeader::default(), &heartbeat(spec))?;
        let offsets = (0..i32::from(args.queues)).map(|queue_id| {
            let topic = (&*spec.topic).into();
            let header =
                GetMaxOffsetRequestHeader { topic, queue_id, ..GetMaxOffsetRequestHeader::default() };
            let answer = connection.ask(&header, &[])?;
            let header: GetMaxOffsetResponseHeader =
                answer.header().map_err(|error| failed(&error.to_string()))?;
            Ok(header.offset)
        });
        let offsets = offsets.collect::<Result<_, CliError>>()?;
        Ok(Self { connection, spec, offsets, out: BytesMut::new() })
    }

    /// Until the connection ends.
    fn run(&mut self, stamps: &Stamps) -> Result<(), CliError> {
        (0..self.offsets.len()).for_each(|queue| self.pull(queue));
        loop {
            self.connection.stream.write_all(&self.out)?;
            self.out.clear();
            self.connection.read()?;
            let now = stamps.now();
            while let Some(answer) = self.connection.next_answer()? {
                self.take(stamps, now, &answer)?;
            }
        }
    }

    fn take(&mut self, stamps: &Stamps, now: u64, answer: &RemotingCommand) -> Result<(), CliError> {
        let code = answer.response_code();
        let moves = code == ResponseCode::SUCCESS || code == ResponseCode::PULL_OFFSET_MOVED;
        let queue = usize::try_from(answer.opaque).ok().filter(|queue| *queue < self.offsets.len());
        let Some(queue) = queue else { return Ok(()) };
        if moves {
            for message in StoredMessages::new(answer.body.clone()).flatten() {
                stamps.came(now, message.raw_body());
            }
            let header: PullMessageResponseHeader =
                answer.header().map_err(|error| failed(&error.to_string()))?;
            self.offsets[queue] = header.next_begin_offset;
        } else if code != ResponseCode::PULL_NOT_FOUND && code != ResponseCode::PULL_RETRY_IMMEDIATELY {
            return Err(refused(answer));
        }
        self.pull(queue);
        Ok(())
    }

    fn pull(&mut self, queue: usize) {
        let header = PullMessageRequestHeader {
            consumer_group: (&*self.spec.group).into(),
            topic: (&*self.spec.topic).into(),
            queue_id: queue as i32,
            queue_offset: self.offsets[queue],
            max_msg_nums: PULL_BATCH as i32,
            sys_flag: sys_flag::pull::SUSPEND | sys_flag::pull::SUBSCRIPTION,
            suspend_timeout_millis: SUSPEND_MS,
            subscription: Some(SUB_ALL.into()),
            expression_type: Some(TAG.into()),
            ..PullMessageRequestHeader::default()
        };
        encode(&mut self.out, queue as i32, 0, &header, &[]);
    }
}

fn heartbeat(spec: &Spec) -> Bytes {
    let all = SubscriptionData {
        topic: (&*spec.topic).into(),
        sub_string: SUB_ALL.into(),
        sub_version: 1,
        ..SubscriptionData::default()
    };
    let group = ConsumerData {
        group_name: (&*spec.group).into(),
        subscription_data_set: Some(vec![all]),
        ..ConsumerData::default()
    };
    let client_id = format!("127.0.0.1@{}", std::process::id()).into();
    let heartbeat = HeartbeatData { client_id, consumer_data_set: vec![group], ..HeartbeatData::default() };
    heartbeat.encode()
}

fn refused(answer: &RemotingCommand) -> CliError {
    let remark = answer.remark.as_deref().unwrap_or_default();
    failed(&format!("the broker answered {}: {remark}", answer.response_code()))
}

fn failed(reason: &str) -> CliError {
    CliError::Failed(format!("measuring the bare delivery failed: {reason}"))
}
