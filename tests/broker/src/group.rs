//! The subscription groups of a broker. Java: `SubscriptionGroupManager`.

use std::collections::BTreeMap;

use rocketmq_client_core::remoting::{DataVersion, SubscriptionGroupConfig, SubscriptionGroupWrapper};
use rocketmq_client_core::time::Timestamp;

use crate::topic::validate_group;

/// The groups that a broker has from the start, fewer than [`SYSTEM_GROUPS`](rocketmq_client_core::message::names::SYSTEM_GROUPS).
const BUILT_IN: [&str; 8] = [
    "TOOLS_CONSUMER",
    "FILTERSRV_CONSUMER",
    "SELF_TEST_C_GROUP",
    "CID_ONS-HTTP-PROXY",
    "CID_ONSAPI_PULL",
    "CID_ONSAPI_PERMISSION",
    "CID_ONSAPI_OWNER",
    "CID_RMQ_SYS_TRANS",
];

/// Java: the bit `PermName#INDEX_PERM_READ` of a ban.
const FORBIDDEN_READ: i32 = 1 << 2;

/// A group's configuration with every default.
pub(crate) fn group_config(group: &str) -> SubscriptionGroupConfig {
    SubscriptionGroupConfig { group_name: group.into(), ..SubscriptionGroupConfig::default() }
}

/// The groups of a broker.
#[derive(Clone, Debug)]
pub(crate) struct GroupTable {
    auto_create: bool,
    table: SubscriptionGroupWrapper,
}

impl GroupTable {
    pub(crate) fn new(auto_create: bool, wall: Timestamp) -> Self {
        let built_in = BUILT_IN.into_iter().map(|group| (group.into(), group_config(group)));
        let table = SubscriptionGroupWrapper {
            data_version: DataVersion { counter: 1, state_version: 0, timestamp: wall.as_millis() },
            forbidden_table: BTreeMap::new(),
            subscription_group_table: built_in.collect(),
        };
        Self { auto_create, table }
    }

    /// Whether groups come into being on first use from here on.
    pub(crate) fn set_auto_create(&mut self, auto_create: bool) {
        self.auto_create = auto_create;
    }

    /// The group, if it exists.
    pub(crate) fn get(&self, group: &str) -> Option<&SubscriptionGroupConfig> {
        self.table.subscription_group_table.get(group)
    }

    /// All groups.
    pub(crate) fn table(&self) -> &SubscriptionGroupWrapper {
        &self.table
    }

    /// The group, created on first use where that is allowed and the name is legal.
    /// Java: `SubscriptionGroupManager#findSubscriptionGroupConfig`.
    pub(crate) fn find(&mut self, wall: Timestamp, group: &str) -> Option<&SubscriptionGroupConfig> {
        if !self.table.subscription_group_table.contains_key(group) {
            if !self.auto_create || validate_group(group).is_err() {
                return None;
            }
            self.put(wall, group_config(group));
        }
        self.table.subscription_group_table.get(group)
    }

    /// Creates or replaces a group.
    pub(crate) fn put(&mut self, wall: Timestamp, group: SubscriptionGroupConfig) {
        self.bump(wall);
        self.table.subscription_group_table.insert(group.group_name.clone(), group);
    }

    /// Deletes a group.
    pub(crate) fn remove(&mut self, wall: Timestamp, group: &str) {
        if self.table.subscription_group_table.remove(group).is_some() {
            self.bump(wall);
        }
    }

    /// Bans a group from a topic, or lifts that. Java: `SubscriptionGroupManager#updateForbidden`.
    pub(crate) fn forbid(&mut self, wall: Timestamp, group: &str, topic: &str, ban: bool) {
        let topics = self.table.forbidden_table.entry(group.into()).or_default();
        match ban {
            true => drop(topics.insert(topic.into(), FORBIDDEN_READ)),
            false => drop(topics.remove(topic)),
        }
        self.table.forbidden_table.retain(|_, topics| !topics.is_empty());
        self.bump(wall);
    }

    /// Whether a group is banned from a topic.
    pub(crate) fn is_forbidden(&self, group: &str, topic: &str) -> bool {
        let topics = self.table.forbidden_table.get(group);
        topics.and_then(|topics| topics.get(topic)).is_some_and(|bits| bits & FORBIDDEN_READ != 0)
    }

    fn bump(&mut self, wall: Timestamp) {
        self.table.data_version.counter += 1;
        self.table.data_version.timestamp = wall.as_millis();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_comes_into_being_on_use_when_that_is_allowed() {
        let wall = Timestamp::from_millis(0);
        let mut on = GroupTable::new(true, wall);
        assert_eq!(on.find(wall, "G").unwrap().retry_max_times, 16);
        assert!(on.find(wall, "not a name").is_none());
        let mut off = GroupTable::new(false, wall);
        assert!(off.find(wall, "G").is_none());
        assert!(off.find(wall, "TOOLS_CONSUMER").is_some());
    }
}
