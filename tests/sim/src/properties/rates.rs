//! P51: where nothing new can be learned, little is asked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_core::remoting::{
    PullMessageRequestHeader, PullMessageResponseHeader, RemotingCommand, RequestCode, ResponseCode,
};
use rocketmq_client_core::time::Instant;

use super::wire::{Answered, Request};
use super::{Property, Verdicts};
use crate::executor::NodeId;

/// Requests of a kind to one peer that may bring nothing: ten a second, looked at over two, since several that wait
/// apart from each other may come together once.
const BARREN_MAX: usize = 20;
const BARREN_WITHIN: Duration = Duration::from_secs(2);
/// The first second is free.
const FREE: Duration = Duration::from_secs(1);
/// After so long without a barren answer the next one is the first of its kind.
const FORGOTTEN: Duration = Duration::from_secs(5);
/// Heartbeats to one peer: one a second, the periodic ones, and those of the first second.
const HEARTBEATS_WITHIN: Duration = Duration::from_secs(10);
const HEARTBEATS_MAX: usize = 15;

/// Who asks whom for what.
type Key = (NodeId, Arc<str>, i32);

/// When it was asked in vain.
#[derive(Debug)]
struct Barren {
    since: Instant,
    last: VecDeque<Instant>,
}

/// How often everybody asks.
#[derive(Debug, Default)]
pub(super) struct Rates {
    /// Queues whose offset has moved: who was told, by whom, of which topic and queue, and when first.
    moved: BTreeMap<(NodeId, Arc<str>, Box<str>, i32), Instant>,
    /// Messages that were to go back and were refused: by whom, whose, and its place in the broker's log.
    refused: BTreeSet<(NodeId, Arc<str>, Box<str>)>,
    barren: BTreeMap<Key, Barren>,
    heartbeats: BTreeMap<(NodeId, Arc<str>), VecDeque<Instant>>,
}

impl Rates {
    /// A request goes out.
    pub(super) fn asked(&mut self, verdicts: &mut Verdicts, now: Instant, request: &Request) {
        if request.command.request_code() != RequestCode::HEART_BEAT {
            return;
        }
        let times = self.heartbeats.entry((request.node, request.peer.clone())).or_default();
        let count = count_within(times, now, HEARTBEATS_WITHIN);
        verdicts.check(Property::AsksAtABoundedRate, now, count <= HEARTBEATS_MAX, || {
            let (node, peer) = (request.node.0, &request.peer);
            format!("node {node} has sent {peer} {count} heartbeats in {HEARTBEATS_WITHIN:?}")
        });
    }

    /// An answer has come.
    pub(super) fn answered(&mut self, verdicts: &mut Verdicts, now: Instant, answered: &Answered<'_>) {
        let Answered { request, answer } = answered;
        let is_news = self.is_news(now, request, answer) || self.is_another_message(request);
        if is_news || !is_barren(request, answer) {
            return;
        }
        let key = (request.node, request.peer.clone(), request.command.code);
        let known = self.barren.entry(key).or_insert_with(|| Barren { since: now, last: VecDeque::new() });
        if known.last.back().is_none_or(|last| *last + FORGOTTEN < now) {
            *known = Barren { since: now, last: VecDeque::new() };
        }
        let count = count_within(&mut known.last, now, BARREN_WITHIN);
        let may_be = now < known.since + FREE + BARREN_WITHIN || count <= BARREN_MAX;
        verdicts.check(Property::AsksAtABoundedRate, now, may_be, || {
            let (node, peer, code) = (request.node.0, &request.peer, request.command.request_code());
            let answer = ResponseCode(answer.code);
            format!(
                "node {node} has asked {peer} for {code} {count} times in {BARREN_WITHIN:?} in vain, last: {answer}"
            )
        });
    }

    /// That the offset of a queue has moved is new the first time, of each queue of its own: no other queue could
    /// have told. A refusal is not: a broker that refuses one queue refuses them all.
    fn is_news(&mut self, now: Instant, request: &Request, answer: &RemotingCommand) -> bool {
        let code = ResponseCode(answer.code);
        let may_matter = code == ResponseCode::PULL_OFFSET_MOVED || !self.moved.is_empty();
        if !may_matter || request.command.request_code() != RequestCode::PULL_MESSAGE {
            return false;
        }
        let Ok(asked) = request.command.header::<PullMessageRequestHeader<'_>>() else { return false };
        let queue = (request.node, request.peer.clone(), (&*asked.topic).into(), asked.queue_id);
        match code {
            ResponseCode::PULL_OFFSET_MOVED if !self.moved.contains_key(&queue) => {
                self.moved.insert(queue, now);
                true
            }
            ResponseCode::SUCCESS | ResponseCode::PULL_NOT_FOUND | ResponseCode::PULL_RETRY_IMMEDIATELY => {
                // A broker that says so again and again tells nothing.
                if self.moved.get(&queue).is_some_and(|first| *first + FORGOTTEN < now) {
                    self.moved.remove(&queue);
                }
                false
            }
            _ => false,
        }
    }

    /// Handlers decide how many messages go back, and nobody knows before which of them a broker takes; but the
    /// next time that one is refused tells nothing.
    fn is_another_message(&mut self, request: &Request) -> bool {
        if request.command.request_code() != RequestCode::CONSUMER_SEND_MSG_BACK {
            return false;
        }
        let place = request.command.ext.get("offset");
        place.is_some_and(|place| self.refused.insert((request.node, request.peer.clone(), place.into())))
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        self.refused.retain(|(owner, ..)| *owner != node);
        self.moved.retain(|(owner, ..), _| *owner != node);
        self.barren.retain(|(owner, ..), _| *owner != node);
        self.heartbeats.retain(|(owner, _), _| *owner != node);
    }
}

/// Counts one more, and those of the time before.
fn count_within(times: &mut VecDeque<Instant>, now: Instant, within: Duration) -> usize {
    times.push_back(now);
    while times.front().is_some_and(|time| *time + within <= now) {
        times.pop_front();
    }
    times.len()
}

/// Whether an answer brings nothing that the next request could build on.
fn is_barren(request: &Request, answer: &RemotingCommand) -> bool {
    let code = ResponseCode(answer.code);
    match request.command.request_code() {
        RequestCode::PULL_MESSAGE => match code {
            ResponseCode::SUCCESS => false,
            ResponseCode::PULL_NOT_FOUND
            | ResponseCode::PULL_RETRY_IMMEDIATELY
            | ResponseCode::PULL_OFFSET_MOVED => {
                let asked = request.command.header::<PullMessageRequestHeader<'_>>();
                let header = answer.header::<PullMessageResponseHeader>();
                let ends = asked.ok().zip(header.ok());
                ends.is_none_or(|(asked, header)| header.next_begin_offset <= asked.queue_offset)
            }
            _ => true,
        },
        // What was refused is sent anew, elsewhere or by the user's will.
        RequestCode::SEND_MESSAGE | RequestCode::SEND_MESSAGE_V2 | RequestCode::SEND_BATCH_MESSAGE => false,
        _ => code != ResponseCode::SUCCESS,
    }
}
