//! Heartbeats, member lists and queue locks.

use super::super::json::{Json, JsonError, JsonKey, Scan, bodies};
use super::SubscriptionData;
use crate::message::MessageQueue;
use alloc::{sync::Arc, vec::Vec};
use bytes::BytesMut;

bodies! {
    /// What a client tells brokers of itself. Java: `HeartbeatData`.
    HeartbeatData {
        /// The client's id.
        client_id: "clientID" Arc<str> = "".into(),
        /// Its consumer groups.
        consumer_data_set: "consumerDataSet" Vec<ConsumerData>,
        /// A hash of the content, 0 for the classic form.
        heartbeat_fingerprint: "heartbeatFingerprint" i32,
        /// Its producer groups.
        producer_data_set: "producerDataSet" Vec<ProducerData>,
        /// Whether subscriptions were left out.
        without_sub: "withoutSub" bool,
    }

    /// A producer group. Java: `ProducerData`.
    ProducerData {
        /// The group.
        group_name: "groupName" Arc<str> = "".into(),
    }

    /// A consumer group. Java: `ConsumerData`.
    ConsumerData {
        /// `CONSUME_FROM_LAST_OFFSET` and the like.
        consume_from_where: "consumeFromWhere" Arc<str> = "CONSUME_FROM_LAST_OFFSET".into(),
        /// `CONSUME_PASSIVELY` for push.
        consume_type: "consumeType" Arc<str> = "CONSUME_PASSIVELY".into(),
        /// The group.
        group_name: "groupName" Arc<str> = "".into(),
        /// `CLUSTERING` or `BROADCASTING`.
        message_model: "messageModel" Arc<str> = "CLUSTERING".into(),
        /// What it subscribes to.
        subscription_data_set: "subscriptionDataSet" Vec<SubscriptionData>,
        /// A legacy.
        unit_mode: "unitMode" bool,
    }

    /// The members of a group. Java: `GetConsumerListByGroupResponseBody`.
    GetConsumerListByGroupResponseBody {
        /// Client ids, in no order.
        consumer_id_list: "consumerIdList" Vec<Arc<str>>,
    }

    /// Queues to lock or unlock. Java: `LockBatchRequestBody`, `UnlockBatchRequestBody`.
    LockBatchRequestBody {
        /// Who wants them.
        client_id: "clientId" Arc<str> = "".into(),
        /// For which group.
        consumer_group: "consumerGroup" Arc<str> = "".into(),
        /// The queues.
        mq_set: "mqSet" Vec<MessageQueue>,
        /// Whether replicas are left alone.
        only_this_broker: "onlyThisBroker" bool,
    }

    /// The queues that a client now holds. Java: `LockBatchResponseBody`.
    LockBatchResponseBody {
        /// The queues.
        lock_ok_mq_set: "lockOKMQSet" Vec<MessageQueue>,
    }
}

bodies! {
    QueueFields {
        broker_name: "brokerName" Arc<str> = "".into(),
        queue_id: "queueId" i32,
        topic: "topic" Arc<str> = "".into(),
    }
}

impl Json for MessageQueue {
    fn read(scan: &mut Scan<'_>) -> Result<Self, JsonError> {
        let QueueFields { broker_name, queue_id, topic } = QueueFields::read(scan)?;
        Ok(Self { topic, broker_name, queue_id })
    }

    fn write(&self, out: &mut BytesMut) {
        let Self { topic, broker_name, queue_id } = self.clone();
        QueueFields { broker_name, queue_id, topic }.write(out);
    }
}

/// Java writes the queue as an object where the key stands, and reads no other form.
impl JsonKey for MessageQueue {
    fn read_key(scan: &mut Scan<'_>) -> Result<Self, JsonError> {
        Self::read(scan)
    }

    fn write_key(&self, out: &mut BytesMut) {
        self.write(out);
    }
}
