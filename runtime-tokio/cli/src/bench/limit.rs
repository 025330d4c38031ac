//! The limit: what no client can beat on the same broker. One connection, blocking sockets, frames that
//! were encoded beforehand, written as many at a time as there is room for; of the answers only lengths
//! and result codes are looked at, and in pulled bodies the sizes of the records.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rocketmq_client_tokio::core::remoting::{FRAME_BYTES_MAX, FrameDecoder, ResponseCode, SerializeType};

use super::block::Outcome;
use super::frames::Frames;
use super::meter::Meter;
use super::pace::Pace;
use super::samples::{Samples, percentiles};
use crate::error::CliError;

/// Room for answers; a longer one makes it grow.
const BUFFER_BYTES: usize = 256 << 10;
/// How long a broker may take for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Until answers have come, so much is sent at most: both sides writing without reading is a deadlock.
const FIRST_FRAMES: u64 = 64;

/// A connection that only counts.
pub(super) struct Limit {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    /// How the header of a success begins.
    success: Vec<u8>,
    syscalls: u64,
}

/// What is to be sent.
#[derive(Clone, Copy)]
pub(super) struct Job {
    /// Frames to send; the ring of frames is gone through again and again.
    pub(super) frames: u64,
    /// Frames that may be under way.
    pub(super) window: usize,
    pub(super) pace: Pace,
    pub(super) answers: Answers,
}

/// What an answer stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    /// A message that was stored.
    Receipts,
    /// The messages in its body.
    Messages,
}

/// What came back.
#[derive(Clone, Copy, Default)]
struct Counted {
    answers: u64,
    messages: u64,
    failed: u64,
}

impl Limit {
    pub(super) fn connect(broker: &str) -> Result<Self, CliError> {
        let stream = TcpStream::connect(broker)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.set_write_timeout(Some(ANSWER_MAX))?;
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES], filled: 0, success: Vec::new(), syscalls: 0 })
    }

    /// Sends the first frame and decodes its answer in full: all others must begin as it does.
    pub(super) fn learn(&mut self, frames: &Frames) -> Result<(), CliError> {
        self.stream.write_all(frames.slice(0..1))?;
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        let mut read = BytesMut::new();
        let answer = loop {
            let count = self.stream.read(&mut self.buffer)?;
            if count == 0 {
                return Err(failed("the broker closed the connection"));
            }
            read.extend_from_slice(&self.buffer[..count]);
            decoder.buffer_mut().extend_from_slice(&self.buffer[..count]);
            match decoder.next_frame() {
                Ok(None) => {}
                Ok(Some(answer)) => break answer,
                Err(error) => return Err(failed(&format!("the broker's answer can't be read: {error}"))),
            }
        };
        if answer.code != ResponseCode::SUCCESS.0 {
            let remark = answer.remark.as_deref().unwrap_or_default();
            return Err(failed(&format!("the broker answered {}: {remark}", answer.response_code())));
        }
        // Both encodings begin with the code.
        let known = if read[4] == SerializeType::Json.byte() { "{\"code\":0,".len() } else { 2 };
        self.success = read[8..8 + known].to_vec();
        Ok(())
    }

    /// Sends and counts answers until there are as many as frames.
    pub(super) fn run(&mut self, frames: &Frames, job: Job) -> Result<Outcome, CliError> {
        self.run_from(frames, 0, job)
    }

    /// As [`run`](Self::run), beginning with the frame at `first` of the ring.
    pub(super) fn run_from(&mut self, frames: &Frames, first: u64, job: Job) -> Result<Outcome, CliError> {
        let ring = frames.len() as u64;
        let window = (job.window as u64).min(ring).max(1);
        let mut samples = Samples::new(job.frames, job.window);
        let mut begun = vec![Instant::now(); if samples.takes(0) { frames.len() } else { 0 }];
        let (mut sent, mut total) = (0, Counted::default());
        self.syscalls = 0;
        let meter = Meter::start();
        while total.answers < job.frames {
            let under_way = sent - total.answers;
            let room = window.min(FIRST_FRAMES + 2 * total.answers) - under_way;
            let now_sent = job.pace.allowed(sent, room.min(job.frames - sent));
            if now_sent > 0 {
                let now = Instant::now();
                for number in sent..sent + now_sent {
                    begun[(number % ring) as usize] = now;
                }
                self.write(frames, first + sent, now_sent)?;
                sent += now_sent;
            } else if under_way == 0 {
                std::thread::sleep(Duration::from_micros(200));
                continue;
            }
            let counted = self.read(job.answers)?;
            let now = Instant::now();
            for number in total.answers..total.answers + counted.answers {
                if samples.takes(number) {
                    samples.push(now - begun[(number % ring) as usize]);
                }
            }
            total.answers += counted.answers;
            total.messages += counted.messages;
            total.failed += counted.failed;
        }
        // How long a pull takes says nothing of a message.
        let timed = (job.answers == Answers::Receipts).then_some(&samples);
        let (p50_ns, p99_ns) = percentiles(timed);
        Ok(Outcome {
            done: total.messages,
            warm_up: 0,
            failed: total.failed,
            spent: meter.stop(),
            p50_ns,
            p99_ns,
            syscalls: Some(self.syscalls),
            broker_cpu: None,
        })
    }

    /// Writes one-way frames as fast as the socket takes them; `last` is answered, behind all others.
    pub(super) fn run_oneway(
        &mut self,
        frames: &Frames,
        last: &Frames,
        job: Job,
    ) -> Result<Outcome, CliError> {
        let mut sent = 0;
        self.syscalls = 0;
        let meter = Meter::start();
        while sent < job.frames {
            let count = job.pace.allowed(sent, (job.window as u64).min(job.frames - sent));
            if count == 0 {
                std::thread::sleep(Duration::from_micros(200));
                continue;
            }
            self.write(frames, sent, count)?;
            sent += count;
        }
        self.write(last, 0, 1)?;
        while self.read(Answers::Receipts)?.answers == 0 {}
        Ok(Outcome {
            done: sent,
            warm_up: 0,
            failed: 0,
            spent: meter.stop(),
            p50_ns: None,
            p99_ns: None,
            syscalls: Some(self.syscalls),
            broker_cpu: None,
        })
    }

    fn write(&mut self, frames: &Frames, first: u64, count: u64) -> Result<(), CliError> {
        let ring = frames.len();
        let start = (first % ring as u64) as usize;
        let end = start + count as usize;
        self.write_all(frames.slice(start..end.min(ring)))?;
        if end > ring {
            self.write_all(frames.slice(0..end - ring))?;
        }
        Ok(())
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), CliError> {
        while !bytes.is_empty() {
            self.syscalls += 1;
            let count = self.stream.write(bytes)?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Waits for at least one whole answer.
    fn read(&mut self, answers: Answers) -> Result<Counted, CliError> {
        loop {
            self.syscalls += 1;
            let count = self.stream.read(&mut self.buffer[self.filled..])?;
            if count == 0 {
                return Err(failed("the broker closed the connection"));
            }
            self.filled += count;
            let (counted, used) = count_answers(&self.buffer[..self.filled], &self.success, answers);
            self.buffer.copy_within(used..self.filled, 0);
            self.filled -= used;
            if self.filled == self.buffer.len() {
                self.buffer.resize(2 * self.filled, 0);
            }
            if counted.answers > 0 {
                return Ok(counted);
            }
        }
    }
}

/// Counts whole answers; also gives how many bytes they are.
fn count_answers(bytes: &[u8], success: &[u8], answers: Answers) -> (Counted, usize) {
    let (mut counted, mut at) = (Counted::default(), 0);
    while let Some(len) = u32_at(bytes, at) {
        let Some(frame) = bytes.get(at + 4..at + 4 + len as usize) else { break };
        at += 4 + frame.len();
        counted.answers += 1;
        if !frame.get(4..).is_some_and(|header| header.starts_with(success)) {
            counted.failed += 1;
            continue;
        }
        counted.messages += match answers {
            Answers::Receipts => 1,
            Answers::Messages => {
                let header_len = u32_at(frame, 0).unwrap_or(0) & 0x00ff_ffff;
                count_records(frame.get(4 + header_len as usize..).unwrap_or_default())
            }
        };
    }
    (counted, at)
}

/// Stored records begin with their size.
fn count_records(body: &[u8]) -> u64 {
    let (mut count, mut at) = (0, 0);
    while let Some(size @ 1..) = u32_at(body, at) {
        count += 1;
        at += size as usize;
    }
    count
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn failed(reason: &str) -> CliError {
    CliError::Failed(format!("measuring the limit failed: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(header: &[u8], body: &[u8]) -> Vec<u8> {
        let mut bytes = ((4 + header.len() + body.len()) as u32).to_be_bytes().to_vec();
        bytes.extend((header.len() as u32).to_be_bytes());
        bytes.extend(header);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn a_refusal_is_no_receipt() {
        let bytes = [answer(b"{\"code\":0,", b""), answer(b"{\"code\":2,", b"")].concat();
        let (counted, used) = count_answers(&bytes, b"{\"code\":0,", Answers::Receipts);
        assert_eq!((counted.answers, counted.messages, counted.failed, used), (2, 1, 1, bytes.len()));
    }

    #[test]
    fn half_an_answer_waits_for_its_rest() {
        let whole = answer(b"{\"code\":0,", b"");
        let bytes = [&whole[..], &whole[..whole.len() - 1]].concat();
        let (counted, used) = count_answers(&bytes, b"{\"code\":0,", Answers::Receipts);
        assert_eq!((counted.answers, used), (1, whole.len()));
    }

    #[test]
    fn pulled_messages_are_counted_by_their_sizes() {
        let record = |size: u32| [&size.to_be_bytes()[..], &vec![7; size as usize - 4]].concat();
        let body = [record(100), record(91)].concat();
        let (counted, _) = count_answers(&answer(b"{\"code\":0,", &body), b"{\"code\":0,", Answers::Messages);
        assert_eq!((counted.answers, counted.messages, counted.failed), (1, 2, 0));
    }
}
