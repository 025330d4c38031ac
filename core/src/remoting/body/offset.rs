//! Tables of offsets.

use super::{DataVersion, bodies};
use crate::message::MessageQueue;
use crate::remoting::{JsonError, json::FromJson, json::JsonReader};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

bodies! {
    /// Offsets to start again from.
    ResetOffsetBody [Eq] {
        /// Offsets by queue.
        offset_table: "offsetTable" BTreeMap<MessageQueue, i64>,
    }

    /// The same as a list, which brokers send to clients that state the language `CPP`.
    ResetOffsetBodyForC [Eq] {
        /// Offsets and their queues.
        offset_table: "offsetTable" Vec<MessageQueueForC>,
    }

    /// A queue and its offset.
    MessageQueueForC [Eq] {
        /// The broker's name.
        broker_name: "brokerName" Arc<str>,
        /// The offset; -1 where none is told.
        offset: "offset" i64 = -1,
        /// The queue's number.
        queue_id: "queueId" i32,
        /// The topic.
        topic: "topic" Arc<str>,
    }

    /// Where clients of a group are.
    GetConsumerStatusBody [Eq] {
        /// Offsets by client id and queue; in a broker's answer.
        consumer_table: "consumerTable" BTreeMap<Arc<str>, BTreeMap<MessageQueue, i64>>,
        /// Offsets by queue; in a client's answer.
        message_queue_table: "messageQueueTable" BTreeMap<MessageQueue, i64>,
    }

    /// All committed offsets of a broker.
    ConsumerOffsetSerializeWrapper [Eq] {
        /// The table's version.
        data_version: "dataVersion" Option<DataVersion>,
        /// The topics that each group has offsets on; not every broker says.
        group_topic_map: "groupTopicMap" Option<BTreeMap<Arc<str>, BTreeSet<Arc<str>>>>,
        /// Offsets by `topic@group` and queue number.
        offset_table: "offsetTable" BTreeMap<Arc<str>, BTreeMap<i32, i64>>,
    }

    /// Where each delay level is.
    DelayOffsetSerializeWrapper [Eq] {
        /// The table's version.
        data_version: "dataVersion" Option<DataVersion>,
        /// Offsets by level.
        offset_table: "offsetTable" BTreeMap<i32, i64>,
    }

    /// Offsets that a group would have to be corrected to.
    QueryCorrectionOffsetBody [Eq] {
        /// Offsets by queue number.
        correction_offsets: "correctionOffsets" BTreeMap<i32, i64>,
    }
}

impl ResetOffsetBody {
    /// Reads the body in either form. Where it tells no offset, that is -1: 0 would be a place.
    ///
    /// # Errors
    /// [`JsonError`] when it is neither.
    pub fn decode_any(body: &[u8]) -> Result<Self, JsonError> {
        let mut table = Self::default();
        let mut reader = JsonReader::new(body)?;
        reader.object(|reader, key| {
            if key != "offsetTable" {
                return reader.skip();
            }
            if reader.at_array() {
                let list = Vec::<MessageQueueForC>::from_json(reader)?;
                let queue = |entry: &MessageQueueForC| MessageQueue {
                    topic: entry.topic.clone(),
                    broker_name: entry.broker_name.clone(),
                    queue_id: entry.queue_id,
                };
                table.offset_table = list.iter().map(|entry| (queue(entry), entry.offset)).collect();
            } else {
                let told = BTreeMap::<MessageQueue, Option<i64>>::from_json(reader)?;
                table.offset_table =
                    told.into_iter().map(|(queue, offset)| (queue, offset.unwrap_or(-1))).collect();
            }
            Ok(())
        })?;
        Ok(table)
    }
}
