//! Sends of one message and of batches. Java: `SendMessageProcessor`.

use std::borrow::Cow;
use std::net::SocketAddr;

use rocketmq_client_core::message::id::offset_msg_id;
use rocketmq_client_core::message::{decode_batch, names, property, sys_flag};
use rocketmq_client_core::remoting::{
    RemotingCommand, RequestCode, ResponseCode, SendMessageRequestHeader, SendMessageRequestHeaderV2,
    SendMessageResponseHeader, TopicConfig,
};
use rocketmq_client_core::time::{Instant, Timestamp};

use super::Handled;
use super::text::{Scan, copy_for_broker, copy_without, pair};
use crate::asker::{Asker, FAQ, Refusal};
use crate::broker::Broker;
use crate::reply::Answer;
use crate::store::Inner;
use crate::topic::{describe, validate_topic};

/// Clients from this version (V3_4_9) decide the maximum of retries themselves.
const MAX_RECONSUME_VERSION: i32 = 121;

/// A send, whichever names its fields came under.
pub(super) struct SendRequest<'a> {
    pub(super) producer_group: Cow<'a, str>,
    pub(super) topic: Cow<'a, str>,
    pub(super) default_topic: Cow<'a, str>,
    pub(super) default_topic_queues: i32,
    pub(super) queue_id: i32,
    pub(super) sys_flag: i32,
    pub(super) born_timestamp: i64,
    pub(super) flag: i32,
    pub(super) properties: Cow<'a, str>,
    pub(super) reconsume_times: i32,
    pub(super) unit_mode: bool,
    pub(super) max_reconsume_times: Option<i32>,
    pub(super) batch: bool,
}

macro_rules! send_request {
    ($header:expr) => {{
        let header = $header;
        SendRequest {
            producer_group: header.producer_group,
            topic: header.topic,
            default_topic: header.default_topic,
            default_topic_queues: header.default_topic_queue_nums,
            queue_id: header.queue_id,
            sys_flag: header.sys_flag,
            born_timestamp: header.born_timestamp,
            flag: header.flag,
            properties: header.properties.unwrap_or_default(),
            reconsume_times: header.reconsume_times.unwrap_or(0),
            unit_mode: header.unit_mode.unwrap_or(false),
            max_reconsume_times: header.max_reconsume_times,
            batch: header.batch.unwrap_or(false),
        }
    }};
}

impl<'a> SendRequest<'a> {
    pub(super) fn read(command: &'a RemotingCommand) -> Result<Self, Refusal> {
        let mut request = match command.request_code() {
            RequestCode::SEND_MESSAGE | RequestCode::SEND_REPLY_MESSAGE => {
                send_request!(command.header::<SendMessageRequestHeader<'_>>()?)
            }
            _ => send_request!(command.header::<SendMessageRequestHeaderV2<'_>>()?),
        };
        request.batch |= command.request_code() == RequestCode::SEND_BATCH_MESSAGE;
        Ok(request)
    }
}

fn no_body() -> Refusal {
    Refusal::new(ResponseCode::SYSTEM_ERROR, "the message has no body")
}

impl Broker {
    pub(crate) fn send(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) {
        // Java fails on these before it has an answer that fields can be put into.
        let request = match SendRequest::read(command) {
            Ok(_) if command.body.is_empty() => Err(no_body()),
            read => read,
        };
        let request = match request {
            Ok(request) => request,
            Err(refusal) => return self.replier.refuse(now, asker, &refusal, &[]),
        };
        let batch = request.batch;
        match self.try_send(now, asker, command, request) {
            // A batch that can't be taken apart is an exception in Java, and has no fields either.
            Err(refusal) if batch && refusal.code == ResponseCode::SYSTEM_ERROR => {
                self.replier.refuse(now, asker, &refusal, &[]);
            }
            Err(refusal) => self.refuse_send(now, asker, &refusal),
            Ok(()) => {}
        }
    }

    pub(super) fn refuse_send(&mut self, now: Instant, asker: &Asker, refusal: &Refusal) {
        tracing::debug!(response = refusal.code.0, remark = %refusal.remark, "send refused");
        let config = self.config.clone();
        let extra = [(property::MSG_REGION, &*config.region_id), (property::TRACE_ON, "true")];
        self.replier.refuse(now, asker, refusal, &extra);
    }

    fn try_send(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
        mut request: SendRequest<'_>,
    ) -> Handled {
        let write_queues = self.check_topic(now, asker, &request)?;
        if request.queue_id < 0 {
            let random = self.rng.below(u64::try_from(write_queues).unwrap_or(0));
            request.queue_id = i32::try_from(random).unwrap_or(0);
        }
        if request.batch {
            return self.send_batch(now, asker, command, &request);
        }
        self.send_one(now, asker, command, &request, write_queues)
    }

    /// Java: `AbstractSendMessageProcessor#msgCheck`. The number of write queues.
    pub(super) fn check_topic(
        &mut self,
        now: Instant,
        asker: &Asker,
        request: &SendRequest<'_>,
    ) -> Result<i32, Refusal> {
        let topic = &*request.topic;
        if self.topics.get(topic).is_none() {
            validate_topic(topic).map_err(|remark| Refusal::new(ResponseCode::INVALID_PARAMETER, remark))?;
        }
        if names::is_not_allowed_send(topic) {
            let remark = format!("Sending message to topic[{topic}] is forbidden.");
            return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark));
        }
        if self.topics.get(topic).is_none() {
            self.auto_create(now, request)?;
        }
        let config = self.topics.get(topic).expect("the topic was found or created");
        if request.queue_id >= config.write_queue_nums.max(config.read_queue_nums) {
            return Err(self.illegal_queue(asker, config, request.queue_id));
        }
        if request.queue_id < 0 && config.write_queue_nums <= 0 {
            // Java throws here: `Random.nextInt(0)`.
            return Err(self.illegal_queue(asker, config, request.queue_id));
        }
        Ok(config.write_queue_nums)
    }

    fn illegal_queue(&self, asker: &Asker, config: &TopicConfig, queue_id: i32) -> Refusal {
        let peer = self.peer(asker);
        let remark = format!("request queueId[{queue_id}] is illegal, {} Producer: {peer}", describe(config));
        Refusal::new(ResponseCode::INVALID_PARAMETER, remark)
    }

    fn auto_create(&mut self, now: Instant, request: &SendRequest<'_>) -> Handled {
        let wall = self.wall(now);
        let retry = names::is_retry_topic(&request.topic);
        let sys_flag = match (request.unit_mode, retry) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        };
        let queues = request.default_topic_queues;
        let config = self.config.clone();
        let created =
            self.topics.auto_create(&config, wall, &request.topic, &request.default_topic, queues, sys_flag);
        if created.is_none() {
            if !retry {
                let remark = format!("topic[{}] not exist, apply first please!{FAQ}", request.topic);
                return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
            }
            self.topics.ensure(wall, &request.topic, 1, false);
        }
        Ok(())
    }

    fn send_one(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
        request: &SendRequest<'_>,
        write_queues: i32,
    ) -> Handled {
        let mut scan = Scan::of(&request.properties);
        let place = self.place(now, command.version, request, &scan, write_queues)?;
        let generated = if scan.uniq_key.is_none() { Some(self.uniq_key(now)) } else { None };
        let uniq_key = scan.uniq_key.or(generated.as_deref()).unwrap_or_default();

        let mut properties = std::mem::take(&mut self.scratch);
        properties.clear();
        if place.dead {
            copy_without(&mut properties, &request.properties, &[property::DELAY]);
            pair(&mut properties, property::DELAY, "-1");
        } else {
            copy_for_broker(&mut properties, &request.properties, &scan);
        }
        if let Some(generated) = &generated {
            pair(&mut properties, property::UNIQ_KEY, generated);
        }
        self.add_own_properties(&mut properties);
        let mut flags = request.sys_flag;
        if place.half {
            pair(&mut properties, property::REAL_TOPIC, &request.topic);
            pair(&mut properties, property::REAL_QID, &place.answered_queue.to_string());
            pair(&mut properties, property::TRANSACTION_ID, uniq_key);
            flags = sys_flag::with_transaction_type(flags, sys_flag::TRANSACTION_NOT);
        }
        if place.half || place.dead {
            // Neither waits for a time of its own: a half message's delay begins with its commit.
            scan.delay_level = 0;
            scan.is_timer = false;
        }
        let inner = Inner {
            topic: &place.topic,
            queue_id: place.queue_id,
            flag: request.flag,
            sys_flag: flags,
            born_timestamp: Timestamp::from_millis(request.born_timestamp),
            born_host: self.peer(asker),
            reconsume_times: request.reconsume_times,
            prepared_transaction_offset: 0,
            body: &command.body,
            properties: &properties,
            tags_code: scan.tags_code(),
        };
        let put = self.put(now, &inner, &scan);
        self.scratch = properties;
        let appended = put?;
        if !scan.unflushed {
            self.store.wait_for_flush();
        }
        let id = offset_msg_id(self.config.addr, appended.position_i64());
        let recall = if scan.is_timer { self.recall_handle(&place.topic, appended, uniq_key) } else { None };
        let header = SendMessageResponseHeader {
            msg_id: Cow::Owned(id.into()),
            queue_id: place.answered_queue,
            queue_offset: appended.queue_offset,
            transaction_id: Some(Cow::Borrowed(uniq_key)),
            recall_handle: recall.map(Cow::Owned),
            ..Default::default()
        };
        self.answer_send(now, asker, &header);
        Ok(())
    }

    /// Decides where a message is stored, which may not be where it was sent.
    fn place<'r>(
        &mut self,
        now: Instant,
        version: i32,
        request: &'r SendRequest<'_>,
        scan: &Scan<'_>,
        write_queues: i32,
    ) -> Result<Place<'r>, Refusal> {
        let topic = Cow::Borrowed(&*request.topic);
        let asked = request.queue_id;
        let mut place = Place { topic, queue_id: asked, answered_queue: asked, dead: false, half: false };
        if names::is_retry_topic(&request.topic) && self.is_worn_out(now, version, request)? {
            let group = &request.topic[names::RETRY_PREFIX.len()..];
            let dead_topic = names::dlq_topic(group);
            let wall = self.wall(now);
            self.topics.ensure(wall, &dead_topic, 1, false);
            place.topic = Cow::Owned(dead_topic);
            place.queue_id = 0;
            place.dead = true;
            return Ok(place);
        }
        let is_normal =
            !scan.is_transaction && !scan.is_timer && scan.delay_level <= 0 && !scan.has_sharding_key;
        if let (Some(priority @ 0..), true) = (scan.priority, is_normal) {
            place.queue_id = priority.min(write_queues - 1).max(0);
            place.answered_queue = place.queue_id;
        }
        if scan.is_transaction && !(request.reconsume_times > 0 && scan.delay_level > 0) {
            place.half = true;
            place.topic = Cow::Borrowed(names::TRANS_HALF_TOPIC);
            place.queue_id = 0;
        }
        Ok(place)
    }

    /// Whether a retry that a client sends itself has to become a dead letter.
    /// Java: `SendMessageProcessor#handleRetryAndDLQ`.
    fn is_worn_out(
        &mut self,
        now: Instant,
        version: i32,
        request: &SendRequest<'_>,
    ) -> Result<bool, Refusal> {
        let group = &request.topic[names::RETRY_PREFIX.len()..];
        let wall = self.wall(now);
        let Some(config) = self.groups.find(wall, group) else {
            let remark = format!("subscription group not exist, {group}");
            return Err(Refusal::new(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
        };
        let theirs = request.max_reconsume_times.filter(|_| version >= MAX_RECONSUME_VERSION);
        let max = theirs.unwrap_or(config.retry_max_times);
        Ok(request.reconsume_times > max || self.locks.any_live(now, group))
    }

    /// All or nothing. Java: `SendMessageProcessor#sendBatchMessage`.
    fn send_batch(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
        request: &SendRequest<'_>,
    ) -> Handled {
        let illegal = |remark: String| Refusal::new(ResponseCode::MESSAGE_ILLEGAL, remark);
        let outer = Scan::of(&request.properties);
        if names::is_retry_topic(&request.topic) {
            return Err(illegal(format!("batch request does not support retry group {}", request.topic)));
        }
        if outer.delay_level > 0 || sys_flag::transaction_type(request.sys_flag) != 0 {
            return Err(illegal("a batch can be neither delayed nor transactional".to_owned()));
        }
        if command.body.len() > self.config.message_bytes_max {
            let remark = "java.lang.RuntimeException: message body size exceeded";
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
        }
        let mut items = Vec::new();
        for item in decode_batch(command.body.clone()) {
            items.push(item.map_err(|error| Refusal::new(ResponseCode::SYSTEM_ERROR, error.to_string()))?);
        }
        if items.is_empty() {
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, "the batch holds no message"));
        }
        let wall = self.wall(now);
        let born_host = self.peer(asker);
        let mut ids = String::with_capacity(items.len() * 33);
        let mut first = None;
        for item in &items {
            let properties = std::str::from_utf8(&item.properties).unwrap_or_default();
            let scan = Scan::of(properties);
            let inner = Inner {
                topic: &request.topic,
                queue_id: request.queue_id,
                flag: item.flag,
                sys_flag: request.sys_flag,
                born_timestamp: Timestamp::from_millis(request.born_timestamp),
                born_host,
                reconsume_times: request.reconsume_times,
                prepared_transaction_offset: 0,
                body: &item.body,
                properties,
                tags_code: scan.tags_code(),
            };
            let appended = self.store.append(now, wall, &inner);
            first.get_or_insert(appended.queue_offset);
            if !ids.is_empty() {
                ids.push(',');
            }
            offset_msg_id(self.config.addr, appended.position_i64()).push_to(&mut ids);
        }
        let header = SendMessageResponseHeader {
            msg_id: Cow::Borrowed(&ids),
            queue_id: request.queue_id,
            queue_offset: first.unwrap_or(0),
            transaction_id: outer.uniq_key.map(Cow::Borrowed),
            ..Default::default()
        };
        if !outer.unflushed {
            self.store.wait_for_flush();
        }
        self.answer_send(now, asker, &header);
        Ok(())
    }

    fn answer_send(&mut self, now: Instant, asker: &Asker, header: &SendMessageResponseHeader<'_>) {
        let extra = [(property::MSG_REGION, &*self.config.region_id), (property::TRACE_ON, "true")];
        let answer = Answer { extra: &extra, ..Answer::OK };
        self.replier.reply(now, asker, answer, header, [].iter());
    }

    fn add_own_properties(&self, out: &mut String) {
        pair(out, property::MSG_REGION, &self.config.region_id);
        pair(out, property::TRACE_ON, "true");
        pair(out, property::CLUSTER, &self.config.cluster_name);
    }

    /// An id for a message that came without one.
    fn uniq_key(&mut self, now: Instant) -> String {
        let wall = self.wall(now);
        self.ids.next_id(wall).into()
    }

    /// The address a request came from.
    pub(crate) fn peer(&self, asker: &Asker) -> SocketAddr {
        self.connections.get(&asker.connection).map_or(self.config.addr, |known| known.peer)
    }
}

/// Where a message is stored.
struct Place<'r> {
    topic: Cow<'r, str>,
    queue_id: i32,
    /// The queue that the answer names, which is not always the one that the message lies in.
    answered_queue: i32,
    dead: bool,
    half: bool,
}
