//! P60: commits of one queue do not overtake each other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_core::remoting::{RequestCode, UpdateConsumerOffsetRequestHeader};
use rocketmq_client_core::time::Instant;

use super::wire::{Awaited, Request, Wire};
use super::{Property, Verdicts};
use crate::executor::NodeId;

/// A commit surely waits for its answer for so long: the core gives it 5 s, of which it may have waited for its
/// connection for 3 s before it was written.
const SURELY_WAITS: Duration = Duration::from_secs(2);

/// Who commits what: group, topic and queue, to whom.
type Key = (NodeId, Box<str>, Box<str>, i32, Arc<str>);

/// The last commit of every queue.
#[derive(Debug, Default)]
pub(super) struct Commits {
    last: BTreeMap<Key, (Awaited, Instant, i64)>,
}

impl Commits {
    /// A request goes out.
    pub(super) fn asked(&mut self, verdicts: &mut Verdicts, now: Instant, request: &Request, wire: &Wire) {
        if request.command.request_code() != RequestCode::UPDATE_CONSUMER_OFFSET {
            return;
        }
        let Ok(header) = request.command.header::<UpdateConsumerOffsetRequestHeader<'_>>() else { return };
        let (group, topic) = ((&*header.consumer_group).into(), (&*header.topic).into());
        let key = (request.node, group, topic, header.queue_id, request.peer.clone());
        let before = self.last.insert(key, (request.id, now, header.commit_offset));
        let under_way = before.filter(|(id, at, _)| wire.is_awaited(*id) && *at + SURELY_WAITS > now);
        verdicts.check(Property::OneCommitAQueue, now, under_way.is_none(), || {
            format!(
                "node {} commits {} for {} in {} {} while {under_way:?} is on its way",
                request.node.0, header.commit_offset, header.consumer_group, header.topic, header.queue_id
            )
        });
    }

    /// When a member wrote this commit of a queue to a peer that is the queue's broker, of its last ones.
    pub(super) fn sent(
        &self,
        node: NodeId,
        (group, topic, queue_id): (&str, &str, i32),
        offset: i64,
        is_broker: impl Fn(&Arc<str>) -> bool,
    ) -> Option<Instant> {
        let from = (node, group.into(), topic.into(), queue_id, "".into());
        let of_queue = self.last.range(from..).take_while(|((by, of, about, id, _), _)| {
            (*by, &**of, &**about, *id) == (node, group, topic, queue_id)
        });
        let of_broker = of_queue.filter(|((.., peer), _)| is_broker(peer));
        of_broker.filter(|(_, (_, _, sent))| *sent == offset).map(|(_, (_, at, _))| *at).max()
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        self.last.retain(|(owner, ..), _| *owner != node);
    }
}
