//! What the null server says to each request.

use bytes::{BufMut, BytesMut};
use rocketmq_client_tokio::core::message::{decode_batch, names, perm};
use rocketmq_client_tokio::core::remoting::{
    BrokerData, ClusterInfo, Encoder, FLAG_RESPONSE, GetConsumerListByGroupRequestHeader,
    GetConsumerListByGroupResponseBody, GetMaxOffsetResponseHeader, GetMinOffsetResponseHeader,
    GetRouteInfoRequestHeader, Head, Header, HeartbeatData, NoHeader, PullMessageRequestHeader,
    QueryConsumerOffsetResponseHeader, QueueData, RemotingCommand, RequestCode, ResponseCode,
    SearchOffsetResponseHeader, SendMessageRequestHeaderV2, SendMessageResponseHeader, TopicRouteData,
    UnregisterClientRequestHeader,
};

use super::pulled::Pulled;
use super::world::World;

const BROKER: &str = "null";
const CLUSTER: &str = "NullCluster";
/// The answer to a send: up to its queue, up to its number, and the end.
const RECEIPT: &[u8] = b"{\"code\":0,\"extFields\":{\"queueId\":\"";
const RECEIPT_PLACE: &[u8] = b"\",\"TRACE_ON\":\"true\",\
    \"MSG_REGION\":\"DefaultRegion\",\"msgId\":\"7F00000100002A9F0000000000000000\",\"queueOffset\":\"0\"},\
    \"flag\":1,\"language\":\"JAVA\",\"opaque\":";
const RECEIPT_END: &[u8] = b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":495}";
/// Of each message of a batch.
const MESSAGE_ID: &str = "7F00000100002A9F0000000000000000";
/// How a send begins, with one-letter names and JSON header.
const SEND: &[u8] = b"{\"code\":310,";
const QUEUE: &[u8] = b"\"e\":\"";
const OPAQUE: &[u8] = b"\"opaque\":";
const TWO_WAY: &[u8] = b"\"flag\":0,";
/// Where flag and number are looked for: they stand beside the code or behind everything else.
const NEAR: usize = 72;

/// Answers the requests of one connection.
pub(super) struct Answerer<'w> {
    world: &'w World,
    encoder: Encoder,
    pulled: Pulled,
    /// Where the last send had its queue; the next has it there, too.
    queue_at: usize,
}

impl<'w> Answerer<'w> {
    pub(super) fn new(world: &'w World) -> Self {
        Self {
            world,
            encoder: Encoder::default(),
            pulled: Pulled::new(world.messages, world.size),
            queue_at: 0,
        }
    }

    /// Answers a send that is written as usual, without decoding it. False for anything else.
    pub(super) fn answer_send(&mut self, frame: &[u8], out: &mut BytesMut) -> bool {
        let Some(opaque) = opaque_of_send(frame) else { return false };
        if !frame.get(self.queue_at..).is_some_and(|rest| rest.starts_with(QUEUE)) {
            let Some(at) = frame.windows(QUEUE.len()).position(|window| window == QUEUE) else {
                return false;
            };
            self.queue_at = at;
        }
        let Some(queue_id) = digits(&frame[self.queue_at + QUEUE.len()..]) else { return false };
        put_receipt(out, queue_id, opaque);
        true
    }

    /// Answers any request.
    pub(super) fn answer(&mut self, request: &RemotingCommand, out: &mut BytesMut) {
        if request.is_oneway() || request.is_response() {
            return;
        }
        let messages = i64::try_from(self.world.messages).unwrap_or(i64::MAX);
        match request.request_code() {
            RequestCode::SEND_BATCH_MESSAGE => self.batch_receipt(request, out),
            RequestCode::SEND_MESSAGE | RequestCode::SEND_MESSAGE_V2 => {
                let queue_id =
                    request.ext.get("e").or_else(|| request.ext.get("queueId")).unwrap_or_default();
                put_receipt(out, queue_id.as_bytes(), request.opaque.to_string().as_bytes());
            }
            RequestCode::PULL_MESSAGE => self.pull(request, out),
            RequestCode::GET_ROUTEINFO_BY_TOPIC => self.route(request, out),
            RequestCode::GET_BROKER_CLUSTER_INFO => self.success(request, &self.cluster().encode(), out),
            RequestCode::HEART_BEAT => {
                self.heartbeat(request);
                self.success(request, &[], out);
            }
            RequestCode::UNREGISTER_CLIENT => {
                if let Ok(header) = request.header::<UnregisterClientRequestHeader<'_>>() {
                    self.world.leave(&header.client_id);
                }
                self.success(request, &[], out);
            }
            RequestCode::GET_CONSUMER_LIST_BY_GROUP => {
                let header = request.header::<GetConsumerListByGroupRequestHeader<'_>>();
                let group = header.map(|header| header.consumer_group).unwrap_or_default();
                let consumer_id_list = self.world.members(&group);
                let body = GetConsumerListByGroupResponseBody { consumer_id_list };
                self.success(request, &body.encode(), out);
            }
            RequestCode::QUERY_CONSUMER_OFFSET => {
                self.header(request, &QueryConsumerOffsetResponseHeader { offset: 0 }, out);
            }
            RequestCode::SEARCH_OFFSET_BY_TIMESTAMP => {
                self.header(request, &SearchOffsetResponseHeader { offset: 0 }, out);
            }
            RequestCode::GET_MIN_OFFSET => {
                self.header(request, &GetMinOffsetResponseHeader { offset: 0 }, out);
            }
            RequestCode::GET_MAX_OFFSET => {
                self.header(request, &GetMaxOffsetResponseHeader { offset: messages }, out);
            }
            _ => self.success(request, &[], out),
        }
    }

    /// As a broker does, with an id for each message.
    fn batch_receipt(&self, request: &RemotingCommand, out: &mut BytesMut) {
        let Ok(header) = request.header::<SendMessageRequestHeaderV2<'_>>() else { return };
        let ids = vec![MESSAGE_ID; decode_batch(request.body.clone()).count()].join(",");
        let (msg_id, queue_id) = (ids.into(), header.queue_id);
        self.header(request, &SendMessageResponseHeader { msg_id, queue_id, ..Default::default() }, out);
    }

    /// A pull at the end, and every pull for messages to be delivered again, is held for ever.
    fn pull(&mut self, request: &RemotingCommand, out: &mut BytesMut) {
        let Ok(header) = request.header::<PullMessageRequestHeader<'_>>() else { return };
        if header.topic.starts_with(names::RETRY_PREFIX) {
            return;
        }
        if let Some((answer, body)) = self.pulled.batch(&header) {
            let head = Head { code: 0, opaque: request.opaque, flag: FLAG_RESPONSE, remark: None };
            self.encoder.encode(out, &head, &answer, &[], body.len());
            out.put_slice(body);
        }
    }

    fn route(&self, request: &RemotingCommand, out: &mut BytesMut) {
        let Ok(header) = request.header::<GetRouteInfoRequestHeader<'_>>() else { return };
        let retries = header.topic.starts_with(names::RETRY_PREFIX);
        let queues = if retries { 1 } else { i32::from(self.world.queues) };
        let queue_data = QueueData {
            broker_name: BROKER.into(),
            perm: perm::READ | perm::WRITE,
            read_queue_nums: queues,
            write_queue_nums: queues,
            ..QueueData::default()
        };
        let route = TopicRouteData {
            broker_datas: vec![self.broker()],
            queue_datas: vec![queue_data],
            ..TopicRouteData::default()
        };
        self.success(request, &route.encode(), out);
    }

    fn broker(&self) -> BrokerData {
        BrokerData {
            broker_addrs: [(0, self.world.address.to_string().into())].into(),
            broker_name: BROKER.into(),
            cluster: CLUSTER.into(),
            ..BrokerData::default()
        }
    }

    fn cluster(&self) -> ClusterInfo {
        ClusterInfo {
            broker_addr_table: [(BROKER.into(), self.broker())].into(),
            cluster_addr_table: [(CLUSTER.into(), vec![BROKER.into()])].into(),
        }
    }

    fn heartbeat(&self, request: &RemotingCommand) {
        let Ok(heartbeat) = HeartbeatData::decode(&request.body) else { return };
        for consumer in &heartbeat.consumer_data_set {
            self.world.join(&consumer.group_name, &heartbeat.client_id);
        }
    }

    fn success(&self, request: &RemotingCommand, body: &[u8], out: &mut BytesMut) {
        self.encode(request, &NoHeader, body, out);
    }

    fn header<'h, H: Header<'h>>(&self, request: &RemotingCommand, header: &H, out: &mut BytesMut) {
        self.encode(request, header, &[], out);
    }

    fn encode<'h, H: Header<'h>>(
        &self,
        request: &RemotingCommand,
        header: &H,
        body: &[u8],
        out: &mut BytesMut,
    ) {
        let code = ResponseCode::SUCCESS.0;
        let head = Head { code, opaque: request.opaque, flag: FLAG_RESPONSE, remark: None };
        self.encoder.encode(out, &head, header, &[], body.len());
        out.put_slice(body);
    }
}

/// The digits of a two-way send's number; `None` for every other frame.
fn opaque_of_send(frame: &[u8]) -> Option<&[u8]> {
    let header_len = u32::from_be_bytes(*frame.get(4..)?.first_chunk()?) as usize;
    let header = frame.get(8..8 + header_len)?;
    if !header.starts_with(SEND) {
        return None;
    }
    let (first, last) = (&header[..header.len().min(NEAR)], &header[header.len().saturating_sub(NEAR)..]);
    find(first, TWO_WAY).or_else(|| find(last, TWO_WAY))?;
    digits(&last[find(last, OPAQUE)? + OPAQUE.len()..])
}

/// The digits that `bytes` begin with.
fn digits(bytes: &[u8]) -> Option<&[u8]> {
    let len = bytes.iter().position(|byte| !byte.is_ascii_digit())?;
    (len > 0).then(|| &bytes[..len])
}

fn put_receipt(out: &mut BytesMut, queue_id: &[u8], opaque: &[u8]) {
    let start = out.len();
    out.put_u64(0);
    for part in [RECEIPT, queue_id, RECEIPT_PLACE, opaque, RECEIPT_END] {
        out.put_slice(part);
    }
    let header_len = (out.len() - start - 8) as u32;
    out[start..start + 4].copy_from_slice(&(header_len + 4).to_be_bytes());
    out[start + 4..start + 8].copy_from_slice(&header_len.to_be_bytes());
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).rposition(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use rocketmq_client_tokio::core::message::{Message, encode_batch};
    use rocketmq_client_tokio::core::remoting::{
        FLAG_ONEWAY, FRAME_BYTES_MAX, FrameDecoder, RequestHeader, SendFields, SendTemplate,
    };

    use super::*;

    fn world() -> World {
        World {
            address: ([127, 0, 0, 1], 1).into(),
            queues: 1,
            messages: 0,
            size: 0,
            members: Default::default(),
        }
    }

    fn send(flag: i32) -> BytesMut {
        let header = SendMessageRequestHeaderV2 {
            topic: "T".into(),
            queue_id: 5,
            properties: Some("\"opaque\":7,\"flag\":2,".into()),
            ..SendMessageRequestHeaderV2::default()
        };
        let head = Head { code: 310, opaque: 1_234, flag, remark: None };
        let mut out = BytesMut::new();
        Encoder::default().encode(&mut out, &head, &header, &[], 0);
        out
    }

    #[test]
    fn a_sends_number_is_found_in_either_order_of_fields() {
        assert_eq!(opaque_of_send(&send(0)), Some(&b"1234"[..]));
        let (encoder, header) = (Encoder::default(), SendMessageRequestHeaderV2::default());
        let template = SendTemplate::new(&encoder, SendMessageRequestHeaderV2::CODE, &header, &[]);
        let mut out = BytesMut::new();
        template.encode(&mut out, &SendFields { opaque: 99, ..SendFields::default() }, 0);
        assert_eq!(opaque_of_send(&out), Some(&b"99"[..]));
    }

    #[test]
    fn a_oneway_send_is_left_to_those_who_decode() {
        assert_eq!(opaque_of_send(&send(FLAG_ONEWAY)), None);
    }

    #[test]
    fn a_receipt_can_be_read() {
        let world = world();
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        assert!(Answerer::new(&world).answer_send(&send(0), decoder.buffer_mut()));
        let answer = decoder.next_frame().unwrap().expect("a frame");
        assert!(answer.is_response() && answer.opaque == 1_234 && answer.code == 0);
        let receipt: SendMessageResponseHeader<'_> = answer.header().expect("a receipt");
        assert_eq!(receipt.queue_id, 5);
    }

    #[test]
    fn a_batch_gets_an_id_for_each_message() {
        let mut body = BytesMut::new();
        encode_batch(&mut body, &[Message::new("T", "a"), Message::new("T", "b")]).expect("short ones");
        let header = SendMessageRequestHeaderV2 { queue_id: 5, ..SendMessageRequestHeaderV2::default() };
        let code = RequestCode::SEND_BATCH_MESSAGE.0;
        let head = Head { code, opaque: 7, ..Head::default() };
        let (world, mut decoder) = (world(), FrameDecoder::new(FRAME_BYTES_MAX));
        Encoder::default().encode(decoder.buffer_mut(), &head, &header, &[], body.len());
        decoder.buffer_mut().extend_from_slice(&body);
        let request = decoder.next_frame().unwrap().expect("a frame");
        Answerer::new(&world).answer(&request, decoder.buffer_mut());
        let answer = decoder.next_frame().unwrap().expect("a frame");
        let receipt: SendMessageResponseHeader<'_> = answer.header().expect("a receipt");
        assert_eq!((answer.opaque, receipt.queue_id, receipt.msg_id.split(',').count()), (7, 5, 2));
    }
}
