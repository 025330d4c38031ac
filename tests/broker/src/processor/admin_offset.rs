//! Committed offsets for tools: all of them, corrections, copies. Java: `AdminBrokerProcessor`,
//! `ConsumerOffsetManager`.

use std::collections::BTreeMap;
use std::sync::Arc;

use rocketmq_client_core::remoting::{
    CloneGroupOffsetRequestHeader, ConsumerOffsetSerializeWrapper, DataVersion, DelayOffsetSerializeWrapper,
    QueryCorrectionOffsetBody, QueryCorrectionOffsetHeader, RemotingCommand,
};
use rocketmq_client_core::time::Instant;

use super::Handled;
use crate::asker::Asker;
use crate::broker::Broker;

impl Broker {
    pub(crate) fn all_offsets(&mut self, now: Instant, asker: &Asker) -> Handled {
        let mut offset_table: BTreeMap<Arc<str>, BTreeMap<i32, i64>> = BTreeMap::new();
        let mut topics: BTreeMap<Arc<str>, std::collections::BTreeSet<Arc<str>>> = BTreeMap::new();
        for (group, topic, queue_id, offset) in self.offsets.iter() {
            offset_table.entry(format!("{topic}@{group}").into()).or_default().insert(queue_id, offset);
            topics.entry(group.clone()).or_default().insert(topic.clone());
        }
        let body = ConsumerOffsetSerializeWrapper {
            data_version: Some(self.version_of(now, self.offsets.version)),
            group_topic_map: Some(topics),
            offset_table,
        };
        self.replier.body(now, asker, body.encode());
        Ok(())
    }

    pub(crate) fn all_delay_offsets(&mut self, now: Instant, asker: &Asker) -> Handled {
        let offset_table: BTreeMap<_, _> = self.delay.offsets(&self.store).collect();
        let changes = offset_table.values().sum::<i64>();
        let body = DelayOffsetSerializeWrapper {
            data_version: Some(self.version_of(now, u64::try_from(changes).unwrap_or(0))),
            offset_table,
        };
        self.replier.body(now, asker, body.encode());
        Ok(())
    }

    fn version_of(&self, now: Instant, changes: u64) -> DataVersion {
        let counter = i64::try_from(changes).unwrap_or(i64::MAX);
        DataVersion { counter, state_version: 0, timestamp: self.wall(now).as_millis() }
    }

    /// The smallest offset of all groups by queue; `i64::MAX` where the compared group is behind it.
    pub(crate) fn correction_offset(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: QueryCorrectionOffsetHeader<'_> = command.header()?;
        let topic = &*header.topic;
        // Java takes the offsets of the filtered groups out of its table, and never puts them back.
        for group in header.filter_groups.as_deref().unwrap_or_default().split(',') {
            self.offsets.remove_group(group);
        }
        let mut smallest: BTreeMap<i32, i64> = BTreeMap::new();
        let groups: Vec<Arc<str>> = self.offsets.groups_of(topic).cloned().collect();
        for group in groups {
            for (queue_id, offset) in self.offsets.queues_of(&group, topic).into_iter().flatten() {
                let min = self.store.queue_of(topic, *queue_id).map_or(0, |queue| queue.min());
                if *offset >= min {
                    let known = smallest.entry(*queue_id).or_insert(*offset);
                    *known = (*known).min(*offset);
                }
            }
        }
        for (queue_id, offset) in self.offsets.queues_of(&header.compare_group, topic).into_iter().flatten() {
            let known = smallest.entry(*queue_id).or_insert(*offset);
            if *known > *offset {
                *known = i64::MAX;
            }
        }
        let body = QueryCorrectionOffsetBody { correction_offsets: smallest };
        self.replier.body(now, asker, body.encode());
        Ok(())
    }

    pub(crate) fn clone_offsets(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: CloneGroupOffsetRequestHeader<'_> = command.header()?;
        // Without a topic Java goes through those of the group, but then copies that of the request: none.
        if let Some(topic) = header.topic.as_deref().filter(|topic| self.topics.get(topic).is_some()) {
            let online = self.clients.consumers.get(&*header.src_group).map(|info| &info.subscriptions);
            let left = online.is_some_and(|known| !known.is_empty() && !known.contains_key(topic));
            if header.offline || !left {
                self.offsets.clone_topic(&header.src_group, &header.dest_group, topic);
            }
        }
        self.replier.ok(now, asker);
        Ok(())
    }
}
