//! What fuzz targets call: each takes any bytes and must neither panic nor take much memory.

use super::*;
use bytes::BytesMut;

/// Cuts `bytes` into frames and reads every command in every way.
#[doc(hidden)]
pub fn fuzz_frame(bytes: &[u8]) {
    let mut whole = FrameDecoder::new(FRAME_BYTES_MAX);
    whole.buffer_mut().extend_from_slice(bytes);
    let mut split = FrameDecoder::new(FRAME_BYTES_MAX);
    let mut rest = bytes.iter();
    loop {
        let command = whole.next_frame();
        // However the bytes arrive, the frames are the same; an error may only be seen earlier.
        let again = loop {
            match split.next_frame() {
                Ok(None) => match rest.next() {
                    Some(&byte) => split.buffer_mut().extend_from_slice(&[byte]),
                    None => break Ok(None),
                },
                other => break other,
            }
        };
        assert_eq!(command.is_ok(), again.is_ok(), "an error depends on how the bytes arrive");
        let (Ok(Some(command)), Ok(Some(again))) = (command, again) else { return };
        assert_eq!((command.opaque, &command.body), (again.opaque, &again.body));
        read_headers(&command);
        rewrite(&command);
    }
}

/// Reads `bytes` as every kind of body.
#[doc(hidden)]
pub fn fuzz_body(bytes: &[u8]) {
    let _ = TopicRouteData::decode(bytes);
    let _ = ConsumerRunningInfo::decode(bytes);
    let _ = RegisterBrokerBody::decode(bytes);
    let _ = RegisterBrokerBody::decode_inflated(bytes, VERSION);
    let _ = SubscriptionGroupWrapper::decode(bytes);
    let _ = BatchAckMessageRequestBody::decode(bytes);
    let _ = ConsumeStatsList::decode(bytes);
    let _ = ResetOffsetBody::decode_any(bytes);
    let _ = AclInfo::decode_list(bytes);
    if let Ok(data) = HeartbeatData::decode(bytes) {
        assert_eq!(HeartbeatData::decode(&data.encode()).as_ref(), Ok(&data), "what was written reads back");
    }
    if let Ok(data) = ClusterInfo::decode(bytes) {
        assert_eq!(ClusterInfo::decode(&data.encode()).as_ref(), Ok(&data), "what was written reads back");
        assert_eq!(ClusterInfo::decode(&data.encode_standard()).as_ref(), Ok(&data), "in quotes too");
    }
}

/// Sends text made of `bytes` through both encodings and the template.
#[doc(hidden)]
pub fn fuzz_roundtrip(bytes: &[u8]) {
    let (left, right) = bytes.split_at(bytes.len() / 2);
    let (Ok(topic), Ok(properties)) = (core::str::from_utf8(left), core::str::from_utf8(right)) else {
        return;
    };
    if topic.is_empty() || properties.is_empty() {
        return;
    }
    let header = SendMessageRequestHeaderV2 {
        producer_group: topic.into(),
        topic: topic.into(),
        default_topic: "TBW102".into(),
        properties: Some(properties.into()),
        ..SendMessageRequestHeaderV2::default()
    };
    for serialize in [SerializeType::Json, SerializeType::Rocketmq] {
        let encoder = Encoder { serialize, ..Encoder::default() };
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        let head = Head { code: 310, opaque: 1, flag: 0, remark: Some(topic) };
        if encoder.encode(decoder.buffer_mut(), &head, &header, &[(topic, properties)], 0) > FRAME_BYTES_MAX {
            return;
        }
        let command = decoder.next_frame().expect("we wrote it").expect("all of it");
        assert_eq!(command.remark.as_deref(), Some(topic));
        if !topic.is_ascii() {
            assert_eq!(command.header().as_ref(), Ok(&header), "what was written reads back");
        }
        assert_eq!(command.ext.get(topic).as_deref(), Some(properties));
    }
}

fn read_headers(command: &RemotingCommand) {
    assert!(command.ext.index_agrees(), "what was noted when the frame was cut is what is there");
    let _ = command.header::<SendMessageRequestHeaderV2<'_>>();
    let _ = command.header::<SendMessageResponseHeader<'_>>();
    let _ = command.header::<PullMessageRequestHeader<'_>>();
    let _ = command.header::<PullMessageResponseHeader>();
    let _ = command.header::<RegisterBrokerRequestHeader<'_>>();
}

fn rewrite(command: &RemotingCommand) {
    let mut decoder = FrameDecoder::new(usize::MAX);
    Encoder::default().encode_command(decoder.buffer_mut(), command);
    let again = decoder.next_frame().expect("we wrote it").expect("all of it");
    assert!(command.ext.iter().eq(again.ext.iter()), "fields are kept");
    assert_eq!(decoder.buffer_mut(), &BytesMut::new());
    assert_eq!((command.code, command.opaque, command.flag), (again.code, again.opaque, again.flag));
    assert_eq!((&command.remark, &command.body), (&again.remark, &again.body));
}
