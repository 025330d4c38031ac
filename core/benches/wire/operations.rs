//! The operations. To add one, add a function here: its name is the operation's.

use super::{Measure, Operation, group::Group, world::World};
use bytes::{BufMut as _, Bytes, BytesMut};
use rocketmq_client_core::config::AllocateStrategy;
use rocketmq_client_core::consumer::rebalance::{allocate, sort_members};
use rocketmq_client_core::message::{MessageQueue, StoredRecord, encode_stored, scan_stored};
use rocketmq_client_core::remoting::{
    Encoder, FLAG_RESPONSE, FRAME_BYTES_MAX, FrameDecoder, Head, PullMessageResponseHeader, RequestCode,
    SendFields, SendMessageRequestHeaderV2, SendMessageResponseHeader, SendTemplate, SerializeType,
};
use rocketmq_client_core::time::Timestamp;
use std::cell::RefCell;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

/// Declares a table of operations.
macro_rules! operations {
    ($table:ident: $($(#[$doc:meta])* fn $name:ident($measure:ident: &mut Measure) $body:block)*) => {
        pub(super) const $table: &[Operation] = &[$(Operation { name: stringify!($name), run: $name }),*];
        $($(#[$doc])* fn $name($measure: &mut Measure) $body)*
    };
}

operations! { ALL:
    /// The header of a send, all that is constant rendered before. Prototype: 61 ns.
    fn encode_send_template_json(measure: &mut Measure) {
        encode_from_template(measure, SerializeType::Json);
    }

    /// The same in the binary form. Prototype: 52 ns.
    fn encode_send_template_binary(measure: &mut Measure) {
        encode_from_template(measure, SerializeType::Rocketmq);
    }

    /// The header of a send, every field rendered. Java 1,516 ns, mxsm 722 ns.
    fn encode_send_full_json(measure: &mut Measure) {
        encode_in_full(measure, SerializeType::Json);
    }

    /// The same in the binary form. Java 421 ns, mxsm 597 ns.
    fn encode_send_full_binary(measure: &mut Measure) {
        encode_in_full(measure, SerializeType::Rocketmq);
    }

    /// From the read buffer to the typed header of a send's answer. Java 1,476 ns, mxsm 1,241 ns for the
    /// header of a send; prototype 200 ns.
    fn decode_send_answer_json(measure: &mut Measure) {
        decode_send_answers(measure, SerializeType::Json);
    }

    /// The same in the binary form. Java 973 ns, mxsm 715 ns for the header of a send; prototype 31 ns.
    fn decode_send_answer_binary(measure: &mut Measure) {
        decode_send_answers(measure, SerializeType::Rocketmq);
    }

    /// A send through the core: from the command to the frame, and from its decoded answer to the receipt. 64 are
    /// under way at once.
    fn send_through_core(measure: &mut Measure) {
        let mut world = World::new(&send_answer(SerializeType::Json, 0));
        measure.every(FRAMES, || {
            (0..FRAMES).for_each(|number| world.send(number));
            world.drain();
            assert_eq!(world.answer_sends(FRAMES), FRAMES as usize);
        });
    }

    /// A message of a batch of 32 through the core: from the command, with the messages that a user makes, to the
    /// frame, and from its decoded answer to each receipt. 2 batches are under way at once.
    fn batched_message_through_core(measure: &mut Measure) {
        let mut world = World::new(&batch_answer());
        measure.every(2 * MESSAGES, || {
            (0..2).for_each(|number| world.send_batch(number, MESSAGES));
            world.drain();
            assert_eq!(world.answer_sends(2), 2 * MESSAGES as usize);
        });
    }

    /// A message that was pulled, through the core: from its decoded answer to the settled delivery and the
    /// next pull, with the decoding of its record. 32 come at once.
    fn pulled_message_through_core(measure: &mut Measure) {
        let mut group = Group::new(1);
        let body = records_from(0, BODY_LEN);
        measure.every(MESSAGES, || {
            assert_eq!(group.deliver(black_box(&body), i64::from(MESSAGES)), MESSAGES as usize);
        });
    }

    /// What a consumer does for each of its 1,000 queues in 15 s without messages: a pull that brings nothing,
    /// with what the scripted broker does; three looks at the offset, a part of a heartbeat.
    fn idle_queue_of_1000(measure: &mut Measure) {
        let mut group = Group::new(1_000);
        measure.every(1_000, || group.idle());
    }

    /// Each of 1,000 queues when one of 100 members works out its share, with the members sorted, as the
    /// broker's list is not.
    fn rebalance_queue_of_1000_over_100(measure: &mut Measure) {
        let queues: Vec<Arc<MessageQueue>> = (0..1_000)
            .map(|queue_id| {
                Arc::new(MessageQueue { topic: "TopicTest".into(), broker_name: "broker-a".into(), queue_id })
            })
            .collect();
        let listed: Vec<Arc<str>> =
            (0..100).map(|number| format!("10.0.{}.{number}@4242", number * 7 % 100).into()).collect();
        measure.every(1_000, || {
            let mut members = black_box(&listed).clone();
            sort_members(&mut members);
            let share = allocate(&AllocateStrategy::Averagely, &listed[37], &queues, &members);
            assert_eq!(share.expect("a share").len(), 10);
        });
    }

    /// A record of a pull answer: where it lies and what decides. Prototype: 66 ns.
    fn scan_record_128(measure: &mut Measure) {
        scan_records(measure, 128);
    }

    /// A larger record costs the same: its body is passed over.
    fn scan_record_1024(measure: &mut Measure) {
        scan_records(measure, 1024);
    }

    /// A whole pull answer of 32 messages, its typed header and every record scanned. Java 15,900 ns, mxsm
    /// 44,900 ns for the records alone, which they decode in full.
    fn decode_pull_answer_json_32x128(measure: &mut Measure) {
        decode_pull_answers(measure, SerializeType::Json, 128);
    }

    /// The same of larger messages.
    fn decode_pull_answer_json_32x1024(measure: &mut Measure) {
        decode_pull_answers(measure, SerializeType::Json, 1024);
    }

    /// The same with a binary header.
    fn decode_pull_answer_binary_32x128(measure: &mut Measure) {
        decode_pull_answers(measure, SerializeType::Rocketmq, 128);
    }
}

// Too long to count instructions of. From the answer that names the members to the last request that follows from
// it, for a consumer of a topic with 10,000 queues: 20 ms at most.
operations! { LONG:
    /// Nine of ten members leave: 9,000 queues more.
    fn rebalance_10000_to_1_of_1(measure: &mut Measure) {
        rebalance(measure, 9, 0);
    }

    /// Nine members come: 9,000 queues are given up.
    fn rebalance_10000_to_1_of_10(measure: &mut Measure) {
        rebalance(measure, 0, 9);
    }

    /// All stays as it is.
    fn rebalance_10000_unchanged(measure: &mut Measure) {
        rebalance(measure, 0, 0);
    }
}

fn rebalance(measure: &mut Measure, others_before: usize, others: usize) {
    let group = RefCell::new(Group::new(10_000));
    let before = || {
        let mut group = group.borrow_mut();
        let answer = group.members_answer(others_before);
        group.divide(answer);
        group.members_answer(others)
    };
    measure.after(before, |answer| group.borrow_mut().divide(answer));
}

/// Frames in the read buffer at once, as many as a busy connection has.
const FRAMES: u32 = 64;
const MESSAGES: u32 = 32;
const BODY_LEN: usize = 128;
const PROPERTIES: &str = "TAGS\u{1}paid\u{2}UNIQ_KEY\u{1}7F000001271E0A54E2B00000000000A1\u{2}";

fn send_header() -> SendMessageRequestHeaderV2<'static> {
    SendMessageRequestHeaderV2 {
        producer_group: "order-producers".into(),
        topic: "TopicTest".into(),
        default_topic: "TBW102".into(),
        default_topic_queue_nums: 4,
        queue_id: 3,
        born_timestamp: 1_700_000_000_000,
        properties: Some(PROPERTIES.into()),
        reconsume_times: Some(0),
        unit_mode: Some(false),
        batch: Some(false),
        broker_name: Some("broker-a".into()),
        ..SendMessageRequestHeaderV2::default()
    }
}

fn encoder(serialize: SerializeType) -> Encoder {
    Encoder { serialize, ..Encoder::default() }
}

fn encode_from_template(measure: &mut Measure, serialize: SerializeType) {
    let code = RequestCode::SEND_MESSAGE_V2;
    let template = SendTemplate::new(&encoder(serialize), code, &send_header(), &[]);
    let mut out = BytesMut::with_capacity(1 << 16);
    let mut opaque = 1_000_000;
    measure.each(|| {
        opaque += 1;
        let fields = SendFields {
            opaque,
            queue_id: opaque & 7,
            born_timestamp: 1_700_000_000_000 + i64::from(opaque),
            properties: black_box(PROPERTIES),
            reconsume_times: Some(0),
            ..SendFields::default()
        };
        out.clear();
        template.encode(&mut out, &fields, BODY_LEN)
    });
}

fn encode_in_full(measure: &mut Measure, serialize: SerializeType) {
    let encoder = encoder(serialize);
    let mut out = BytesMut::with_capacity(1 << 16);
    let mut header = send_header();
    let mut opaque = 1_000_000;
    measure.each(|| {
        opaque += 1;
        header.queue_id = opaque & 7;
        header.born_timestamp = 1_700_000_000_000 + i64::from(opaque);
        out.clear();
        let head = Head { code: RequestCode::SEND_MESSAGE_V2.0, opaque, flag: 0, remark: None };
        encoder.encode(&mut out, &head, black_box(&header), &[], BODY_LEN)
    });
}

/// A frame as a broker of version 5.4.0 writes it.
fn answer(
    serialize: SerializeType,
    opaque: u32,
    remark: &str,
    fields: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut header = Vec::new();
    match serialize {
        SerializeType::Json => {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("\"{key}\":\"{value}\"")).collect();
            let remark = if remark.is_empty() { String::new() } else { format!("\"remark\":\"{remark}\",") };
            let text = format!(
                "{{\"code\":0,\"extFields\":{{{}}},\"flag\":{FLAG_RESPONSE},\"language\":\"JAVA\",\
                 \"opaque\":{opaque},{remark}\"serializeTypeCurrentRPC\":\"JSON\",\"version\":493}}",
                fields.join(",")
            );
            header.put_slice(text.as_bytes());
        }
        SerializeType::Rocketmq => {
            header.put_slice(&[0, 0, 0, 1, 237]);
            header.put_u32(opaque);
            header.put_i32(FLAG_RESPONSE);
            header.put_u32(u32::try_from(remark.len()).unwrap());
            header.put_slice(remark.as_bytes());
            let len: usize = fields.iter().map(|(key, value)| 6 + key.len() + value.len()).sum();
            header.put_u32(u32::try_from(len).unwrap());
            for (key, value) in fields {
                header.put_u16(u16::try_from(key.len()).unwrap());
                header.put_slice(key.as_bytes());
                header.put_u32(u32::try_from(value.len()).unwrap());
                header.put_slice(value.as_bytes());
            }
        }
    }
    let mut frame = Vec::new();
    frame.put_u32(u32::try_from(4 + header.len() + body.len()).unwrap());
    frame.put_u32(u32::from(serialize.byte()) << 24 | u32::try_from(header.len()).unwrap());
    frame.put_slice(&header);
    frame.put_slice(body);
    frame
}

fn send_answer(serialize: SerializeType, number: u32) -> Vec<u8> {
    let offset = (1_234_567 + number).to_string();
    let fields = [
        ("queueId", "0"),
        ("transactionId", "7F000001271E0A54E2B00000000000A1"),
        ("msgId", "7F00000100002A9F0000000000123456"),
        ("TRACE_ON", "true"),
        ("MSG_REGION", "DefaultRegion"),
        ("queueOffset", &*offset),
    ];
    answer(serialize, 1_000_000 + number, "", &fields, b"")
}

/// With an id for each message.
fn batch_answer() -> Vec<u8> {
    let ids = ["7F00000100002A9F0000000000123456"; MESSAGES as usize].join(",");
    let fields = [
        ("queueId", "0"),
        ("transactionId", "7F000001271E0A54E2B00000000000A1"),
        ("msgId", &*ids),
        ("TRACE_ON", "true"),
        ("MSG_REGION", "DefaultRegion"),
        ("queueOffset", "1234567"),
    ];
    answer(SerializeType::Json, 1_000_000, "", &fields, b"")
}

fn decode_send_answers(measure: &mut Measure, serialize: SerializeType) {
    let frames: Vec<u8> = (0..FRAMES).flat_map(|number| send_answer(serialize, number)).collect();
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    measure.every(FRAMES, || {
        decoder.buffer_mut().extend_from_slice(black_box(&frames));
        while let Some(command) = decoder.next_frame().expect("a frame") {
            let header: SendMessageResponseHeader<'_> = command.header().expect("a header");
            black_box((command.opaque, &header));
        }
    });
}

/// A body of a pull answer.
fn records(body_len: usize) -> Bytes {
    records_from(1_234_567, body_len)
}

fn records_from(first: i64, body_len: usize) -> Bytes {
    let host = SocketAddr::from(([127, 0, 0, 1], 10_911));
    let mut out = BytesMut::new();
    for number in 0..i64::from(MESSAGES) {
        let record = StoredRecord {
            queue_id: 3,
            flag: 0,
            queue_offset: first + number,
            commit_log_offset: 987_654_321 + number * 300,
            sys_flag: 0,
            born_timestamp: Timestamp::from_millis(1_700_000_000_000),
            born_host: host,
            store_timestamp: Timestamp::from_millis(1_700_000_000_001),
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: &vec![b'x'; body_len],
            topic: "TopicTest",
            properties: "MIN_OFFSET\u{1}0\u{2}TRACE_ON\u{1}true\u{2}MAX_OFFSET\u{1}1234599\u{2}\
                         MSG_REGION\u{1}DefaultRegion\u{2}UNIQ_KEY\u{1}7F000001271E0A54E2B00000000000A1\u{2}\
                         CLUSTER\u{1}DefaultCluster\u{2}TAGS\u{1}paid\u{2}",
        };
        encode_stored(&mut out, &record).unwrap();
    }
    out.freeze()
}

fn scan_records(measure: &mut Measure, body_len: usize) {
    let body = records(body_len);
    measure.every(MESSAGES, || {
        scan_stored(black_box(&body)).for_each(|record| {
            black_box(record.expect("a record"));
        });
    });
}

fn decode_pull_answers(measure: &mut Measure, serialize: SerializeType, body_len: usize) {
    let fields = [
        ("suggestWhichBrokerId", "0"),
        ("groupSysFlag", "0"),
        ("nextBeginOffset", "1234599"),
        ("maxOffset", "1234599"),
        ("minOffset", "0"),
        ("topicSysFlag", "0"),
    ];
    let frame = answer(serialize, 1_000_000, "FOUND", &fields, &records(body_len));
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    measure.each(|| {
        decoder.buffer_mut().extend_from_slice(black_box(&frame));
        let command = decoder.next_frame().expect("a frame").expect("all of it");
        let header: PullMessageResponseHeader = command.header().expect("a header");
        let messages = scan_stored(&command.body).filter(Result::is_ok).count();
        assert_eq!(messages, MESSAGES as usize);
        header.next_begin_offset
    });
}
