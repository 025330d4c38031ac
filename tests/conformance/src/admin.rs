//! What a scenario asks name server and broker itself, past the client under test.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::BytesMut;
use rocketmq_client_core::message::{StoredMessage, StoredMessages};
use rocketmq_client_core::remoting::{
    CreateTopicRequestHeader, DeleteTopicFromNamesrvRequestHeader, DeleteTopicRequestHeader, Encoder,
    FRAME_BYTES_MAX, FrameDecoder, GetConsumerListByGroupRequestHeader, GetConsumerListByGroupResponseBody,
    GetMaxOffsetRequestHeader, GetMaxOffsetResponseHeader, GetRouteInfoRequestHeader, Head, Header,
    HeartbeatData, LanguageCode, NoHeader, PullMessageRequestHeader, QueryConsumerOffsetRequestHeader,
    QueryConsumerOffsetResponseHeader, RemotingCommand, RequestCode, RequestHeader, ResetOffsetRequestHeader,
    ResponseCode, SendMessageRequestHeaderV2, TopicRouteData,
};

use rocketmq_sim::Ctx;

use crate::{Failure, Verdict, simulated};

const TIMEOUT: Duration = Duration::from_secs(10);
/// The topic that every broker with auto-creation serves from its start.
const TEMPLATE_TOPIC: &str = "TBW102";
const READ_WRITE: i32 = 6;
/// The bit of a pull that brings its subscription along. Java: `PullSysFlag#FLAG_SUBSCRIPTION`.
const PULL_WITH_SUBSCRIPTION: i32 = 4;
const PULL_MESSAGES_MAX: i32 = 32;
const READ_BYTES: usize = 64 << 10;

/// Asks one cluster of one broker. Every call has a connection of its own.
#[derive(Clone, Debug)]
pub struct Admin {
    name_server: String,
}

impl Admin {
    /// For the cluster of this name server.
    #[must_use]
    pub fn new(name_server: String) -> Self {
        Self { name_server }
    }

    /// The route of a topic, if there is one.
    ///
    /// # Errors
    /// The name server does not answer, or not with a route.
    pub fn route(&self, topic: &str) -> Verdict<Option<TopicRouteData>> {
        let header = GetRouteInfoRequestHeader { topic: topic.into(), ..Default::default() };
        let answer = ask(&self.name_server, &header)?;
        match answer.response_code() {
            ResponseCode::SUCCESS => Ok(Some(TopicRouteData::decode(&answer.body)?)),
            ResponseCode::TOPIC_NOT_EXIST => Ok(None),
            _ => Err(refused("the route", &answer)),
        }
    }

    /// How many queues of the topic can be written, by the name server's word; 0 for a topic unknown.
    ///
    /// # Errors
    /// As [`route`](Self::route).
    pub fn queue_count(&self, topic: &str) -> Verdict<i32> {
        let route = self.route(topic)?;
        Ok(route.iter().flat_map(|route| &route.queue_datas).map(|queues| queues.write_queue_nums).sum())
    }

    /// The broker's name.
    ///
    /// # Errors
    /// The cluster has no broker.
    pub fn broker_name(&self) -> Verdict<String> {
        Ok(self.broker()?.0)
    }

    /// Has the broker make a topic. Its route comes a little later.
    ///
    /// # Errors
    /// The broker refuses.
    pub fn create_topic(&self, topic: &str, queues: i32) -> Verdict {
        self.create_topic_with(topic, (queues, queues))
    }

    /// As [`create_topic`](Self::create_topic), with so many queues that can be read and so many that can be
    /// written.
    ///
    /// # Errors
    /// The broker refuses.
    pub fn create_topic_with(&self, topic: &str, (read, write): (i32, i32)) -> Verdict {
        let header = CreateTopicRequestHeader {
            topic: topic.into(),
            default_topic: TEMPLATE_TOPIC.into(),
            read_queue_nums: read,
            write_queue_nums: write,
            perm: READ_WRITE,
            topic_filter_type: "SINGLE_TAG".into(),
            ..Default::default()
        };
        self.ask_broker("the topic", &header).map(drop)
    }

    /// How many messages were ever put into a queue.
    ///
    /// # Errors
    /// The broker refuses.
    pub fn max_offset(&self, topic: &str, queue_id: i32) -> Verdict<i64> {
        let header = GetMaxOffsetRequestHeader { topic: topic.into(), queue_id, ..Default::default() };
        Ok(self.ask_broker("the end of a queue", &header)?.header::<GetMaxOffsetResponseHeader>()?.offset)
    }

    /// Where a group would go on; `None` where it stands nowhere.
    ///
    /// # Errors
    /// The broker refuses.
    pub fn committed_offset(&self, group: &str, topic: &str, queue_id: i32) -> Verdict<Option<i64>> {
        let header = QueryConsumerOffsetRequestHeader {
            consumer_group: group.into(),
            topic: topic.into(),
            queue_id,
            set_zero_if_not_found: Some(false),
            ..Default::default()
        };
        let answer = ask(&self.broker()?.1, &header)?;
        match answer.response_code() {
            ResponseCode::SUCCESS => Ok(Some(answer.header::<QueryConsumerOffsetResponseHeader>()?.offset)),
            ResponseCode::QUERY_NOT_FOUND => Ok(None),
            _ => Err(refused("a committed offset", &answer)),
        }
    }

    /// Lets a group begin again on all queues of a topic, forward too, at the first message that was stored
    /// then or later; -1 is their end.
    ///
    /// # Errors
    /// The broker refuses.
    pub fn reset(&self, group: &str, topic: &str, timestamp: i64) -> Verdict {
        let header = ResetOffsetRequestHeader {
            group: group.into(),
            topic: topic.into(),
            timestamp,
            is_force: true,
            ..Default::default()
        };
        let code = RequestCode::INVOKE_BROKER_TO_RESET_OFFSET;
        let answer = ask_code(&self.broker()?.1, code, &header, &[])?;
        match answer.response_code() {
            ResponseCode::SUCCESS => Ok(()),
            _ => Err(refused("a reset", &answer)),
        }
    }

    /// Deletes a topic, its messages and its route.
    ///
    /// # Errors
    /// Broker or name server refuse.
    pub fn delete_topic(&self, topic: &str) -> Verdict {
        let header = DeleteTopicRequestHeader { topic: topic.into(), ..Default::default() };
        self.ask_broker("the topic's end", &header)?;
        let header = DeleteTopicFromNamesrvRequestHeader { topic: topic.into(), ..Default::default() };
        let answer = ask(&self.name_server, &header)?;
        match answer.response_code() {
            ResponseCode::SUCCESS => Ok(()),
            _ => Err(refused("the route's end", &answer)),
        }
    }

    /// How many members a group has, by the broker's word.
    ///
    /// # Errors
    /// The broker's list can't be read.
    pub fn member_count(&self, group: &str) -> Verdict<usize> {
        let header =
            GetConsumerListByGroupRequestHeader { consumer_group: group.into(), ..Default::default() };
        let answer = ask(&self.broker()?.1, &header)?;
        match answer.response_code() {
            ResponseCode::SUCCESS => {
                Ok(GetConsumerListByGroupResponseBody::decode(&answer.body)?.consumer_id_list.len())
            }
            // So a broker says that the group has no member.
            _ => Ok(0),
        }
    }

    /// Waits until the broker has taken up all heartbeats that have reached it: it takes them up in turn, so
    /// one that comes later is answered later. With some threads of its own the last but one may still be in
    /// work then, hence two.
    ///
    /// # Errors
    /// The broker refuses.
    pub fn await_heartbeats(&self) -> Verdict {
        let (_, address) = self.broker()?;
        let client_id = "conformance-admin".into();
        let body = HeartbeatData { client_id, ..Default::default() }.encode();
        for _ in 0..2 {
            let answer = ask_code(&address, RequestCode::HEART_BEAT, &NoHeader, &body)?;
            if answer.response_code() != ResponseCode::SUCCESS {
                return Err(refused("a heartbeat", &answer));
            }
        }
        Ok(())
    }

    /// All messages of a topic, queue by queue; nothing for a topic that does not exist.
    ///
    /// # Errors
    /// The broker refuses, or a record can't be read.
    pub fn messages(&self, topic: &str) -> Verdict<Vec<StoredMessage>> {
        let mut messages = Vec::new();
        for queue_id in 0..self.queue_count(topic)? {
            let end = self.max_offset(topic, queue_id)?;
            let mut next = 0;
            while next < end {
                let found = self.pull(topic, queue_id, next)?;
                next = found.last().map_or(end, |last| last.queue_offset + 1);
                messages.extend(found);
            }
        }
        Ok(messages)
    }

    /// Puts a message into the first queue of a topic, with this system flag, whatever the body is.
    ///
    /// # Errors
    /// The broker refuses.
    pub fn put(&self, topic: &str, sys_flag: i32, body: &[u8]) -> Verdict {
        let header = SendMessageRequestHeaderV2 {
            producer_group: "conformance-admin".into(),
            topic: topic.into(),
            default_topic: TEMPLATE_TOPIC.into(),
            default_topic_queue_nums: 4,
            sys_flag,
            properties: Some("".into()),
            ..Default::default()
        };
        let answer = ask_with(&self.broker()?.1, &header, body)?;
        match answer.response_code() {
            ResponseCode::SUCCESS => Ok(()),
            _ => Err(refused("room for a message", &answer)),
        }
    }

    fn pull(&self, topic: &str, queue_id: i32, queue_offset: i64) -> Verdict<Vec<StoredMessage>> {
        let header = PullMessageRequestHeader {
            consumer_group: "conformance-admin".into(),
            topic: topic.into(),
            queue_id,
            queue_offset,
            max_msg_nums: PULL_MESSAGES_MAX,
            sys_flag: PULL_WITH_SUBSCRIPTION,
            subscription: Some("*".into()),
            expression_type: Some("TAG".into()),
            ..Default::default()
        };
        let answer = self.ask_broker("a pull", &header)?;
        Ok(StoredMessages::new(answer.body).collect::<Result<_, _>>()?)
    }

    fn broker(&self) -> Verdict<(String, String)> {
        let route = self.route(TEMPLATE_TOPIC)?;
        let broker = route.as_ref().and_then(|route| route.broker_datas.first());
        let broker = broker.ok_or("the cluster has no broker")?;
        let address = broker.broker_addrs.get(&0).ok_or("the broker has no address")?;
        Ok((broker.broker_name.to_string(), address.to_string()))
    }

    fn ask_broker<'a, H: RequestHeader<'a>>(&self, what: &str, header: &H) -> Verdict<RemotingCommand> {
        let answer = ask(&self.broker()?.1, header)?;
        match answer.response_code() {
            ResponseCode::SUCCESS => Ok(answer),
            _ => Err(refused(what, &answer)),
        }
    }
}

fn refused(what: &str, answer: &RemotingCommand) -> Failure {
    let remark = answer.remark.as_deref().unwrap_or_default();
    format!("asked for {what}, the broker answered {}: {remark}", answer.response_code()).into()
}

fn ask<'a, H: RequestHeader<'a>>(address: &str, header: &H) -> Verdict<RemotingCommand> {
    ask_with(address, header, &[])
}

fn ask_with<'a, H: RequestHeader<'a>>(address: &str, header: &H, body: &[u8]) -> Verdict<RemotingCommand> {
    ask_code(address, H::CODE, header, body)
}

/// Some codes share a header.
fn ask_code<'a, H: Header<'a>>(
    address: &str,
    code: RequestCode,
    header: &H,
    body: &[u8],
) -> Verdict<RemotingCommand> {
    let mut request = BytesMut::new();
    let head = Head { code: code.0, opaque: 1, flag: 0, remark: None };
    // Brokers up to 4.9 know no Rust, and fall over a reset by somebody whose language they don't know.
    let encoder = Encoder { language: LanguageCode::Other, ..Encoder::default() };
    encoder.encode(&mut request, &head, header, &[], body.len());
    request.extend_from_slice(body);
    match simulated::world() {
        Some(world) => ask_in(&world, address, &request),
        None => ask_by_socket(address, &request),
    }
}

fn ask_in(world: &Ctx, address: &str, request: &[u8]) -> Verdict<RemotingCommand> {
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    decoder.buffer_mut().extend_from_slice(request);
    let request = decoder.next_frame()?.ok_or("a request that is not whole")?;
    world.ask(address, request).ok_or_else(|| format!("{address} does not answer").into())
}

fn ask_by_socket(address: &str, request: &[u8]) -> Verdict<RemotingCommand> {
    let mut stream = TcpStream::connect_timeout(&address.parse()?, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request)?;
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        if let Some(answer) = decoder.next_frame()? {
            return Ok(answer);
        }
        match stream.read(&mut buffer)? {
            0 => return Err(format!("{address} closed the connection").into()),
            bytes => decoder.buffer_mut().extend_from_slice(&buffer[..bytes]),
        }
    }
}
