//! Queue locks. Java: `AdminBrokerProcessor#lockBatchMQ`, `#unlockBatchMQ`.

use std::sync::Arc;

use rocketmq_client_core::message::MessageQueue;
use rocketmq_client_core::remoting::RemotingCommand;
use rocketmq_client_core::time::Instant;

use super::Handled;
use super::client::bad_body;
use crate::asker::{Asker, Refusal};
use crate::broker::Broker;
use crate::json::{Object, Value};

struct LockRequest {
    group: Arc<str>,
    client_id: Arc<str>,
    queues: Vec<MessageQueue>,
}

impl LockRequest {
    fn read(command: &RemotingCommand) -> Result<Self, Refusal> {
        let body = Value::parse(&command.body).ok_or_else(|| bad_body("list of queues"))?;
        let text = |value: &Value, key| value.get(key).as_str().unwrap_or_default().into();
        let queue = |value: &Value| MessageQueue {
            topic: text(value, "topic"),
            broker_name: text(value, "brokerName"),
            queue_id: value.get("queueId").as_i32().unwrap_or(0),
        };
        Ok(Self {
            group: text(&body, "consumerGroup"),
            client_id: text(&body, "clientId"),
            queues: body.get("mqSet").items().iter().map(queue).collect(),
        })
    }
}

impl Broker {
    pub(crate) fn lock_batch(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let mut request = LockRequest::read(command)?;
        request.queues.retain(|queue| self.locks.lock(now, &request.group, queue, &request.client_id));
        let mut body = Object::new();
        body.key("lockOKMQSet").array(request.queues.iter().map(|queue| {
            let mut out = Object::new();
            out.key("brokerName").string(&queue.broker_name);
            out.key("queueId").number(queue.queue_id.into());
            out.key("topic").string(&queue.topic);
            out.end()
        }));
        self.replier.body(now, asker, body.end());
        Ok(())
    }

    pub(crate) fn unlock_batch(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let request = LockRequest::read(command)?;
        for queue in &request.queues {
            self.locks.unlock(&request.group, queue, &request.client_id);
        }
        self.replier.ok(now, asker);
        Ok(())
    }
}
