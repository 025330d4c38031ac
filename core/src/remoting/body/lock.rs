//! Locks, membership and assignment of queues.

use super::{MessageModel, bodies, names};
use crate::message::MessageQueue;
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

names! {
    /// How a group gets a queue's messages. Java: `MessageRequestMode`.
    MessageRequestMode {
        /// By pulling.
        Pull = "PULL",
        /// By popping.
        Pop = "POP",
    }
}

bodies! {
    /// Locks queues for orderly consumption.
    LockBatchRequestBody [Eq] {
        /// Who locks.
        client_id: "clientId" Arc<str>,
        /// For which group.
        consumer_group: "consumerGroup" Arc<str>,
        /// The queues.
        mq_set: "mqSet" Vec<MessageQueue>,
        /// Whether replicas are left out in quorum mode.
        only_this_broker: "onlyThisBroker" bool,
    }

    /// The queues that this client holds now.
    LockBatchResponseBody [Eq] {
        /// The queues.
        lock_ok_mq_set: "lockOKMQSet" Vec<MessageQueue>,
    }

    /// Unlocks queues.
    UnlockBatchRequestBody [Eq] {
        /// Who unlocks.
        client_id: "clientId" Arc<str>,
        /// For which group.
        consumer_group: "consumerGroup" Arc<str>,
        /// The queues.
        mq_set: "mqSet" Vec<MessageQueue>,
        /// Whether replicas are left out in quorum mode.
        only_this_broker: "onlyThisBroker" bool,
    }

    /// The members of a group.
    GetConsumerListByGroupResponseBody [Eq] {
        /// Their client ids.
        consumer_id_list: "consumerIdList" Vec<Arc<str>>,
    }

    /// Asks the broker which queues a client gets.
    QueryAssignmentRequestBody [Eq] {
        /// Who asks.
        client_id: "clientId" Arc<str>,
        /// For which group.
        consumer_group: "consumerGroup" Arc<str>,
        /// Whether the group's members share messages.
        message_model: "messageModel" MessageModel = MessageModel::Clustering,
        /// How queues are shared out: `AVG` or `AVG_BY_CIRCLE`.
        strategy_name: "strategyName" Arc<str>,
        /// The topic.
        topic: "topic" Arc<str>,
    }

    /// The queues a client gets.
    QueryAssignmentResponseBody [Eq] {
        /// Absent when the broker doesn't know: keep what you have. Empty: give up everything.
        message_queue_assignments: "messageQueueAssignments" Option<Vec<MessageQueueAssignment>>,
    }

    /// One queue a client gets.
    MessageQueueAssignment [Eq] {
        /// Facts for pop.
        attachments: "attachments" Option<BTreeMap<Arc<str>, Arc<str>>>,
        /// The queue.
        message_queue: "messageQueue" Option<MessageQueue>,
        /// How its messages are got.
        mode: "mode" MessageRequestMode = MessageRequestMode::Pull,
    }

    /// Sets whether a group pulls or pops a topic.
    SetMessageRequestModeRequestBody [Eq] {
        /// The group.
        consumer_group: "consumerGroup" Arc<str>,
        /// Whether it pulls or pops.
        mode: "mode" MessageRequestMode = MessageRequestMode::Pull,
        /// How many other clients share a queue when popping; -1 for all.
        pop_share_queue_num: "popShareQueueNum" i32,
        /// The topic.
        topic: "topic" Arc<str>,
    }

    /// All request modes of a broker.
    MessageRequestModeSerializeWrapper [Eq] {
        /// Modes by topic and group.
        message_request_mode_map: "messageRequestModeMap" BTreeMap<Arc<str>, BTreeMap<Arc<str>, SetMessageRequestModeRequestBody>>,
    }

    /// Acknowledges popped messages.
    BatchAckMessageRequestBody [Eq] {
        /// One entry a (retry mark, queue, start offset, pop time).
        acks: "acks" Vec<BatchAck>,
        /// The broker that has them.
        broker_name: "brokerName" Arc<str>,
    }

    /// The acknowledged messages of one check point.
    BatchAck [Eq] {
        /// Bit `i` acknowledges the message at `start_offset + i`.
        bit_set: "b" | "bitSet" BitSet,
        /// The group.
        consumer_group: "c" | "consumerGroup" Arc<str>,
        /// For how long the messages were hidden, in milliseconds.
        invisible_time: "it" | "invisibleTime" i64,
        /// When they were popped, in Unix milliseconds.
        pop_time: "pt" | "popTime" i64,
        /// Their queue.
        queue_id: "q" | "queueId" i32,
        /// `0` normal, `1` and `2` retry topics.
        retry: "r" | "retry" Arc<str>,
        /// The revive queue.
        revive_queue_id: "rq" | "reviveQueueId" i32,
        /// Where the check point starts.
        start_offset: "so" | "startOffset" i64,
        /// The original topic.
        topic: "t" | "topic" Arc<str>,
    }
}

/// A set of small numbers, written as Java's `BitSet` bytes in Base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BitSet {
    /// Little endian, without zero bytes at the end.
    bytes: Vec<u8>,
}

/// The largest number in a [`BitSet`]: a pop takes at most 32 messages, but a check point may span gaps.
const BIT_MAX: u32 = 1 << 16;

impl BitSet {
    /// Adds a number; false when it is above 65536 and not added.
    pub fn insert(&mut self, bit: u32) -> bool {
        if bit > BIT_MAX {
            return false;
        }
        let byte = (bit / 8) as usize;
        if self.bytes.len() <= byte {
            self.bytes.resize(byte + 1, 0);
        }
        self.bytes[byte] |= 1 << (bit % 8);
        true
    }

    /// The numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        (0_u32..).step_by(8).zip(&self.bytes).flat_map(|(from, byte)| {
            (0..8).filter(move |bit| byte >> bit & 1 == 1).map(move |bit| from + bit)
        })
    }
}

impl FromIterator<u32> for BitSet {
    fn from_iter<T: IntoIterator<Item = u32>>(bits: T) -> Self {
        let mut set = Self::default();
        for bit in bits {
            set.insert(bit);
        }
        set
    }
}

impl crate::remoting::json::FromJson for BitSet {
    fn from_json(
        reader: &mut crate::remoting::json::JsonReader<'_>,
    ) -> Result<Self, crate::remoting::JsonError> {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        let text = reader.text()?;
        reader.charge(text.len())?;
        let mut bytes = BASE64_STANDARD
            .decode(&*text)
            .map_err(|_| reader.error(crate::remoting::JsonProblem::Expected("a bit set in Base64")))?;
        let len = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(len);
        Ok(Self { bytes })
    }
}

impl crate::remoting::json::ToJson for BitSet {
    fn to_json(&self, writer: &mut crate::remoting::json::JsonWriter) {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        writer.text(&BASE64_STANDARD.encode(&self.bytes));
    }
}
