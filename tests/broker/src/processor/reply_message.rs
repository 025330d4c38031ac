//! Replies, which the broker hands to the client that asked. Java: `ReplyMessageProcessor`.

use std::borrow::Cow;
use std::time::Duration;

use rocketmq_client_core::message::id::offset_msg_id;
use rocketmq_client_core::message::properties::find;
use rocketmq_client_core::message::property;
use rocketmq_client_core::remoting::{
    RemotingCommand, ReplyMessageRequestHeader, RequestCode, ResponseCode, SendMessageResponseHeader,
};
use rocketmq_client_core::time::{Instant, Timestamp};

use super::Handled;
use super::send::SendRequest;
use super::text::{Scan, copy_without, pair};
use crate::asker::{Asker, Refusal};
use crate::broker::Broker;
use crate::call::Purpose;
use crate::output::ConnectionId;
use crate::reply::Answer;
use crate::store::Inner;

/// Java: `Broker2Client#callClient`.
const PUSH_TIMEOUT: Duration = Duration::from_secs(10);

/// A reply that was pushed and is answered to its sender when the client has answered.
#[derive(Clone, Debug)]
pub(crate) struct PushedReply {
    asker: Asker,
    command: RemotingCommand,
    queue_id: i32,
    client_id: String,
}

impl Broker {
    pub(crate) fn reply_message(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) {
        if let Err(refusal) = self.try_reply(now, asker, command) {
            self.refuse_send(now, asker, &refusal);
        }
    }

    fn try_reply(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let short = command.request_code() == RequestCode::SEND_REPLY_MESSAGE_V2;
        if short && command.ext.get("b").is_none() {
            // Java's reader of the short form doesn't miss the topic.
            let remark = "The specified topic is blank.";
            return Err(Refusal::new(ResponseCode::INVALID_PARAMETER, remark));
        }
        let request = SendRequest::read(command)?;
        let write_queues = self.check_topic(now, asker, &request)?;
        let random = self.rng.below(u64::try_from(write_queues).unwrap_or(0).max(1));
        let queue_id = match request.queue_id {
            asked @ 0.. => asked,
            _ => i32::try_from(random).unwrap_or(0),
        };
        let client_id = find(&request.properties, property::REPLY_TO_CLIENT).unwrap_or_default();
        let reply = PushedReply {
            asker: asker.clone(),
            command: command.clone(),
            queue_id,
            client_id: client_id.to_owned(),
        };
        if client_id.is_empty() {
            let remark = format!("reply message properties[{}] is null", property::REPLY_TO_CLIENT);
            self.finish_reply(now, &reply, Err(remark));
            return Ok(());
        }
        let Some(connection) = self.clients.producer_connection(client_id) else {
            let remark = format!("push reply message fail, channel of <{client_id}> not found.");
            self.finish_reply(now, &reply, Err(remark));
            return Ok(());
        };
        self.push_reply(now, asker, command, &request, connection);
        let opaque = self.replier.last_opaque();
        self.calls.add(connection, opaque, now + PUSH_TIMEOUT, Purpose::Reply(reply));
        Ok(())
    }

    fn push_reply(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
        request: &SendRequest<'_>,
        connection: ConnectionId,
    ) {
        let wall_ms = self.wall(now).as_millis();
        let mut properties = self.reply_properties(&request.properties);
        pair(&mut properties, property::PUSH_REPLY_TIME, &wall_ms.to_string());
        let header = ReplyMessageRequestHeader {
            producer_group: Cow::Borrowed(&request.producer_group),
            topic: Cow::Borrowed(&request.topic),
            default_topic: Cow::Borrowed(&request.default_topic),
            default_topic_queue_nums: request.default_topic_queues,
            queue_id: request.queue_id,
            sys_flag: request.sys_flag,
            born_timestamp: request.born_timestamp,
            flag: request.flag,
            properties: Some(properties.as_str().into()),
            reconsume_times: Some(request.reconsume_times),
            unit_mode: request.unit_mode,
            born_host: self.peer(asker).to_string().into(),
            store_host: self.config.addr.to_string().into(),
            store_timestamp: wall_ms,
            ..Default::default()
        };
        self.replier.call(connection, &header, &command.body);
    }

    /// A reply's properties with what the broker adds.
    fn reply_properties(&self, text: &str) -> String {
        let mut properties = String::with_capacity(text.len() + 80);
        let replaced = [property::PUSH_REPLY_TIME, property::MSG_REGION, property::TRACE_ON];
        copy_without(&mut properties, text, &replaced);
        pair(&mut properties, property::MSG_REGION, &self.config.region_id);
        pair(&mut properties, property::TRACE_ON, "true");
        properties
    }

    /// The client that asked has answered, or will not.
    pub(crate) fn reply_pushed(&mut self, now: Instant, reply: &PushedReply, taken: bool) {
        let outcome = match taken {
            true => Ok(()),
            // Java puts no blank here.
            false => Err(format!("push reply message to {}fail.", reply.client_id)),
        };
        self.finish_reply(now, reply, outcome);
    }

    /// Stores a reply, whatever became of its push, and answers its sender.
    fn finish_reply(&mut self, now: Instant, reply: &PushedReply, outcome: Result<(), String>) {
        let Ok(request) = SendRequest::read(&reply.command) else { return };
        let stored = self.store_reply(now, reply, &request);
        let config = self.config.clone();
        let extra = [(property::MSG_REGION, &*config.region_id), (property::TRACE_ON, "true")];
        let code = match outcome {
            Ok(()) => ResponseCode::SUCCESS,
            Err(_) => ResponseCode::SYSTEM_ERROR,
        };
        let answer = Answer { code, remark: outcome.as_ref().err().map(String::as_str), extra: &extra };
        let header = match (stored, &outcome) {
            (Ok(header), _) => header,
            // Java: what is not null, so that clients can read it.
            (Err(_), Ok(())) => SendMessageResponseHeader {
                msg_id: "0".into(),
                queue_id: reply.queue_id,
                ..Default::default()
            },
            (Err(refusal), Err(remark)) => {
                tracing::debug!(remark = %refusal.remark, "a reply could not be stored");
                let refusal = Refusal::new(code, remark.clone());
                return self.replier.refuse(now, &reply.asker, &refusal, &extra);
            }
        };
        self.replier.reply(now, &reply.asker, answer, &header, [].iter());
        self.dispatch(now);
        self.register_changes();
    }

    fn store_reply(
        &mut self,
        now: Instant,
        reply: &PushedReply,
        request: &SendRequest<'_>,
    ) -> Result<SendMessageResponseHeader<'static>, Refusal> {
        if reply.command.body.is_empty() {
            return Err(Refusal::new(ResponseCode::MESSAGE_ILLEGAL, "the reply has no body"));
        }
        let scan = Scan::of(&request.properties);
        let properties = self.reply_properties(&request.properties);
        let inner = Inner {
            topic: &request.topic,
            queue_id: reply.queue_id,
            flag: request.flag,
            sys_flag: 0,
            born_timestamp: Timestamp::from_millis(request.born_timestamp),
            born_host: self.peer(&reply.asker),
            reconsume_times: request.reconsume_times,
            prepared_transaction_offset: 0,
            body: &reply.command.body,
            properties: &properties,
            tags_code: 0,
        };
        let appended = self.put(now, &inner, &scan)?;
        if !scan.unflushed {
            self.store.wait_for_flush();
        }
        let id = offset_msg_id(self.config.addr, appended.position_i64());
        Ok(SendMessageResponseHeader {
            msg_id: Cow::Owned(id.into()),
            queue_id: reply.queue_id,
            queue_offset: appended.queue_offset,
            ..Default::default()
        })
    }
}
