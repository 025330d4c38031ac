//! Frames that are encoded before anything is measured.

use std::ops::Range;

use bytes::BytesMut;
use rocketmq_client_tokio::core::message::{names, property, sys_flag};
use rocketmq_client_tokio::core::remoting::{
    Encoder, FLAG_ONEWAY, Head, PullMessageRequestHeader, RequestHeader, SendMessageRequestHeaderV2,
};

/// Messages that a pull asks for, as the client does.
pub(super) const PULL_BATCH: u64 = 32;

/// Frames one behind the other.
pub(super) struct Frames {
    bytes: BytesMut,
    ends: Vec<usize>,
}

impl Frames {
    fn new() -> Self {
        Self { bytes: BytesMut::new(), ends: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of some neighbours.
    pub(super) fn slice(&self, frames: Range<usize>) -> &[u8] {
        let start = frames.start.checked_sub(1).map_or(0, |before| self.ends[before]);
        let end = frames.end.checked_sub(1).map_or(0, |last| self.ends[last]);
        &self.bytes[start..end]
    }

    fn push<'h, H: RequestHeader<'h>>(&mut self, flag: i32, header: &H, body: &[u8]) {
        let opaque = i32::try_from(self.ends.len()).unwrap_or(i32::MAX);
        encode(&mut self.bytes, opaque, flag, header, body);
        self.ends.push(self.bytes.len());
    }

    /// `count` sends, one queue after the other.
    pub(super) fn sends(topic: &str, queues: u16, size: u32, count: usize, oneway: bool) -> Self {
        let body = vec![b'm'; size as usize];
        let mut frames = Self::new();
        for number in 0..count {
            let key = format!("7F00000100010000000000000000{number:04X}");
            let properties = format!("{}\u{1}{key}\u{2}WAIT\u{1}true\u{2}", property::UNIQ_KEY);
            let header = SendMessageRequestHeaderV2 {
                producer_group: "rmq-bench".into(),
                topic: topic.into(),
                default_topic: names::AUTO_CREATE_TOPIC.into(),
                default_topic_queue_nums: 4,
                queue_id: i32::from(u16::try_from(number % usize::from(queues)).unwrap_or(0)),
                born_timestamp: 1_700_000_000_000,
                properties: Some(properties.into()),
                reconsume_times: Some(0),
                unit_mode: Some(false),
                batch: Some(false),
                ..SendMessageRequestHeaderV2::default()
            };
            frames.push(if oneway { FLAG_ONEWAY } else { 0 }, &header, &body);
        }
        frames
    }

    /// Pulls that fetch `per_queue` messages of each queue, in turns.
    pub(super) fn pulls(topic: &str, group: &str, queues: u16, per_queue: u64) -> Self {
        let mut frames = Self::new();
        for batch in 0..per_queue.div_ceil(PULL_BATCH) {
            for queue_id in 0..queues {
                let header = PullMessageRequestHeader {
                    consumer_group: group.into(),
                    topic: topic.into(),
                    queue_id: queue_id.into(),
                    queue_offset: i64::try_from(batch * PULL_BATCH).unwrap_or(i64::MAX),
                    max_msg_nums: PULL_BATCH as i32,
                    sys_flag: sys_flag::pull::SUBSCRIPTION,
                    subscription: Some("*".into()),
                    expression_type: Some("TAG".into()),
                    ..PullMessageRequestHeader::default()
                };
                frames.push(0, &header, &[]);
            }
        }
        frames
    }
}

/// Appends one request.
pub(super) fn encode<'h, H: RequestHeader<'h>>(
    out: &mut BytesMut,
    opaque: i32,
    flag: i32,
    header: &H,
    body: &[u8],
) {
    let head = Head { code: H::CODE.0, opaque, flag, ..Head::default() };
    Encoder::default().encode(out, &head, header, &[], body.len());
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use rocketmq_client_tokio::core::remoting::{FRAME_BYTES_MAX, FrameDecoder};

    use super::*;

    #[test]
    fn neighbours_are_whole_frames() {
        let frames = Frames::sends("T", 2, 16, 5, true);
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        decoder.buffer_mut().extend_from_slice(frames.slice(1..4));
        for (opaque, queue_id) in [(1, 1), (2, 0), (3, 1)] {
            let frame = decoder.next_frame().unwrap().expect("a frame");
            let header: SendMessageRequestHeaderV2<'_> = frame.header().unwrap();
            assert_eq!((frame.opaque, header.queue_id, frame.body.len()), (opaque, queue_id, 16));
            assert!(frame.is_oneway());
        }
        assert!(decoder.next_frame().unwrap().is_none());
        assert!(frames.slice(0..0).is_empty());
    }

    #[test]
    fn pulls_cover_every_queue() {
        let frames = Frames::pulls("T", "g", 3, 64);
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        decoder.buffer_mut().extend_from_slice(frames.slice(0..frames.len()));
        let mut places = Vec::new();
        while let Some(frame) = decoder.next_frame().unwrap() {
            let header: PullMessageRequestHeader<'_> = frame.header().unwrap();
            places.push((header.queue_id, header.queue_offset));
        }
        assert_eq!(places, [(0, 0), (1, 0), (2, 0), (0, 32), (1, 32), (2, 32)]);
    }
}
