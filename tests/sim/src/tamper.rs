//! Answers to pulls that say what no broker should: each once, and the next answer is right again.

use std::collections::{BTreeMap, VecDeque};

use bytes::{BufMut, Bytes, BytesMut};
use rocketmq_client_core::remoting::{
    Encoder, FRAME_BYTES_MAX, FrameDecoder, Head, PullMessageRequestHeader, PullMessageResponseHeader,
    RemotingCommand, RequestCode, ResponseCode,
};

use crate::executor::NodeId;
use crate::fault::FaultKind;
use crate::network::ConnId;
use crate::rngs::pick;
use crate::scenario::TOPIC;

/// Far from every offset of a simulated queue.
const FAR: i64 = 1_000_000_000;
/// Where a record's kind, queue and offset are. Java: `MessageDecoder#QUEUE_ID_POSITION` and the next.
const MAGIC_AT: usize = 4;
const QUEUE_ID_AT: usize = 12;
const QUEUE_OFFSET_AT: usize = 20;

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Oddity {
    /// "The offset moved", from a queue that says it is empty.
    MovedToNothing,
    /// "The offset moved" to far beyond the end.
    MovedBeyond,
    /// A record far above those asked for, beside the others.
    RecordAbove,
    /// A record from before the place asked for, beside the others.
    RecordBefore,
    /// A record of another queue, beside the others.
    RecordOfAnother,
    /// A record that nobody can read, in front of the others and with the offset of the first.
    RecordUnreadable,
    /// Messages were found, and there are none.
    NoRecords,
    /// All others are right, but the next pull is to begin far beyond the end.
    NextBeyond,
    /// Nothing was found, and the next pull is to begin far beyond the end.
    NothingAndNextBeyond,
    /// The next pull is to begin before the queue.
    NextNegative,
}

const MOVED: [Oddity; 2] = [Oddity::MovedToNothing, Oddity::MovedBeyond];
const ODD: [Oddity; 8] = [
    Oddity::RecordAbove,
    Oddity::RecordBefore,
    Oddity::RecordOfAnother,
    Oddity::RecordUnreadable,
    Oddity::NoRecords,
    Oddity::NextBeyond,
    Oddity::NothingAndNextBeyond,
    Oddity::NextNegative,
];

/// Which answers are to be wrong.
#[derive(Debug, Default)]
pub(crate) struct Tampering {
    armed: BTreeMap<NodeId, VecDeque<(FaultKind, Oddity)>>,
    awaited: BTreeMap<(ConnId, i32), (NodeId, FaultKind, Oddity)>,
}

impl Tampering {
    /// The next pull of this broker that fits is answered oddly.
    pub(crate) fn arm(&mut self, broker: NodeId, kind: FaultKind, drawn: u64) {
        let oddity = match kind {
            FaultKind::OffsetMovedOddly => pick(&MOVED, drawn),
            _ => pick(&ODD, drawn),
        };
        self.armed.entry(broker).or_default().push_back((kind, oddity));
    }

    /// All answers are right again.
    pub(crate) fn disarm(&mut self, broker: NodeId) {
        self.armed.remove(&broker);
        self.awaited.retain(|_, (of, ..)| *of != broker);
    }

    /// A request arrives at a server.
    pub(crate) fn request(&mut self, server: NodeId, conn: ConnId, command: &RemotingCommand) {
        let Some(armed) = self.armed.get_mut(&server) else { return };
        let is_pull = command.request_code() == RequestCode::PULL_MESSAGE;
        let header = command.header::<PullMessageRequestHeader<'_>>().ok().filter(|_| is_pull);
        // An empty queue may well say so.
        if header.is_none_or(|header| *header.topic != *TOPIC || header.queue_offset == 0) {
            return;
        }
        if let Some((kind, oddity)) = armed.pop_front() {
            self.awaited.insert((conn, command.opaque), (server, kind, oddity));
        }
    }

    /// What a server writes, and which fault has changed it.
    pub(crate) fn answer(&mut self, conn: ConnId, parts: Vec<Bytes>) -> (Vec<Bytes>, Option<FaultKind>) {
        if self.awaited.range((conn, i32::MIN)..=(conn, i32::MAX)).next().is_none() {
            return (parts, None);
        }
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        parts.iter().for_each(|part| decoder.buffer_mut().extend_from_slice(part));
        let (mut out, mut changed) = (BytesMut::new(), None);
        while let Ok(Some(command)) = decoder.next_frame() {
            let awaited = self.awaited.get(&(conn, command.opaque)).filter(|_| command.is_response());
            let odd = awaited.and_then(|(server, kind, oddity)| {
                Some((*server, *kind, *oddity, odd_answer(*oddity, &command)?))
            });
            if let Some((_, kind, _, frame)) = odd {
                self.awaited.remove(&(conn, command.opaque));
                changed = Some(kind);
                out.extend_from_slice(&frame);
                continue;
            }
            if let Some((server, kind, oddity)) = self.awaited.remove(&(conn, command.opaque)) {
                // There was nothing to change: the next one, then.
                self.armed.entry(server).or_default().push_back((kind, oddity));
            }
            Encoder::default().encode_command(&mut out, &command);
        }
        (vec![out.freeze()], changed)
    }
}

fn odd_answer(oddity: Oddity, command: &RemotingCommand) -> Option<Bytes> {
    let mut header = command.header::<PullMessageResponseHeader>().ok()?;
    let (mut code, mut body) = (ResponseCode(command.code), BytesMut::from(&command.body[..]));
    let found = code == ResponseCode::SUCCESS;
    match oddity {
        Oddity::MovedToNothing => {
            code = ResponseCode::PULL_OFFSET_MOVED;
            (header.next_begin_offset, header.min_offset, header.max_offset) = (0, 0, 0);
        }
        Oddity::MovedBeyond => {
            code = ResponseCode::PULL_OFFSET_MOVED;
            header.next_begin_offset = header.max_offset + FAR;
        }
        Oddity::NothingAndNextBeyond => {
            code = ResponseCode::PULL_RETRY_IMMEDIATELY;
            header.next_begin_offset = header.max_offset + FAR;
        }
        Oddity::NextBeyond if found => header.next_begin_offset = header.max_offset + FAR,
        Oddity::NextNegative => header.next_begin_offset = -1,
        Oddity::NoRecords if found => body.clear(),
        Oddity::RecordAbove if found => add_copy(&mut body, |record| move_by(record, FAR))?,
        Oddity::RecordBefore if found => add_copy(&mut body, |record| move_by(record, -1_000))?,
        Oddity::RecordOfAnother if found => add_copy(&mut body, |record| {
            record[QUEUE_ID_AT..][..4].copy_from_slice(&77i32.to_be_bytes());
        })?,
        Oddity::RecordUnreadable if found => {
            let honest = body.split();
            body.extend_from_slice(&copy_of_first(&honest, |record| record[MAGIC_AT..][..4].fill(0))?);
            body.extend_from_slice(&honest);
        }
        _ => return None,
    }
    if !matches!(code, ResponseCode::SUCCESS) {
        body.clear();
    }
    let remark = command.remark.as_deref();
    let head = Head { code: code.0, opaque: command.opaque, flag: command.flag, remark };
    let encoder = Encoder { language: command.language, version: command.version, ..Encoder::default() };
    let mut out = BytesMut::new();
    encoder.encode(&mut out, &head, &header, &[], body.len());
    out.put(body);
    Some(out.freeze())
}

/// Adds the first record once more, changed.
fn add_copy(body: &mut BytesMut, change: impl FnOnce(&mut [u8])) -> Option<()> {
    let copy = copy_of_first(body, change)?;
    body.extend_from_slice(&copy);
    Some(())
}

fn copy_of_first(body: &[u8], change: impl FnOnce(&mut [u8])) -> Option<BytesMut> {
    let size = u32::from_be_bytes(body.get(..4)?.try_into().ok()?);
    let mut copy = BytesMut::from(body.get(..usize::try_from(size).ok()?)?);
    change(&mut copy);
    Some(copy)
}

fn move_by(record: &mut [u8], by: i64) {
    let at = &mut record[QUEUE_OFFSET_AT..][..8];
    let offset = i64::from_be_bytes(at.try_into().expect("eight bytes"));
    at.copy_from_slice(&(offset + by).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with one record, if that is what the first bytes of its body say.
    fn answer(code: ResponseCode, body: &[u8]) -> RemotingCommand {
        let header = PullMessageResponseHeader { next_begin_offset: 5, max_offset: 9, ..Default::default() };
        let mut out = BytesMut::new();
        let head = Head { code: code.0, opaque: 7, flag: 1, remark: None };
        Encoder::default().encode(&mut out, &head, &header, &[], body.len());
        out.extend_from_slice(body);
        decoded(&out)
    }

    fn decoded(bytes: &[u8]) -> RemotingCommand {
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        decoder.buffer_mut().extend_from_slice(bytes);
        decoder.next_frame().expect("our own frame").expect("a whole frame")
    }

    #[test]
    fn each_oddity_is_one_that_an_answer_can_be_seen_to_have() {
        let mut record = vec![0; 40];
        record[3] = 40;
        let right = answer(ResponseCode::SUCCESS, &record);
        for oddity in MOVED.into_iter().chain(ODD) {
            let odd = decoded(&odd_answer(oddity, &right).expect("it fits"));
            assert_eq!(odd.opaque, right.opaque);
            let next = |answer: &RemotingCommand| {
                answer.header::<PullMessageResponseHeader>().map(|h| h.next_begin_offset)
            };
            let differs =
                odd.code != right.code || odd.body != right.body || next(&odd).ok() != next(&right).ok();
            assert!(differs, "{oddity:?}");
        }
    }

    #[test]
    fn an_answer_without_messages_has_no_record_to_add() {
        let nothing = answer(ResponseCode::PULL_NOT_FOUND, &[]);
        for oddity in [Oddity::RecordAbove, Oddity::RecordUnreadable, Oddity::NoRecords, Oddity::NextBeyond] {
            assert_eq!(odd_answer(oddity, &nothing), None, "{oddity:?}");
        }
    }
}
