//! P34: who pulls which queue.

use std::collections::{BTreeMap, BTreeSet};

use rocketmq_client_core::remoting::{PullMessageRequestHeader, RemotingCommand, RequestCode};
use rocketmq_client_core::time::Instant;
use rocketmq_dev_broker::Broker;

use super::{Monitor, Property};
use crate::executor::NodeId;
use crate::history::QueueName;

/// Who has pulled which queue of a group.
type Pulls = BTreeMap<(Box<str>, QueueName), BTreeSet<NodeId>>;

/// Pulls, while somebody looks.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    pulls: Option<Pulls>,
}

impl Owners {
    /// From now on pulls are remembered.
    pub(crate) fn begin(&mut self) {
        self.pulls = Some(BTreeMap::new());
    }

    pub(super) fn frame(&mut self, broker: &Broker, client: NodeId, command: &RemotingCommand) {
        let Some(pulls) = &mut self.pulls else { return };
        if command.is_response() || command.request_code() != RequestCode::PULL_MESSAGE {
            return;
        }
        let Ok(header) = command.header::<PullMessageRequestHeader<'_>>() else { return };
        let queue = QueueName {
            broker: broker.config().broker_name.clone(),
            topic: (&*header.topic).into(),
            queue_id: header.queue_id,
        };
        pulls.entry(((&*header.consumer_group).into(), queue)).or_default().insert(client);
    }
}

impl Monitor {
    /// Everything has been stable since [`Owners::begin`]: each of these queues has one owner.
    pub(crate) fn check_owners(&mut self, now: Instant, queues: &[(Box<str>, QueueName)]) {
        let pulls = self.owners.pulls.take().unwrap_or_default();
        for key in queues {
            let owners = pulls.get(key);
            let count = owners.map_or(0, BTreeSet::len);
            self.verdicts.check(Property::EachQueueHasOneOwner, now, count == 1, || {
                format!("{} has {count} owners of {:?}: {owners:?}", key.0, key.1)
            });
        }
    }
}
