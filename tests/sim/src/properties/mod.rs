//! What must hold, checked while a world runs and at its end. One file a property or a close pair.

mod cached;
mod commits;
mod consumed;
mod ended;
mod given;
mod go_away;
mod lives;
mod offsets;
mod once;
mod owners;
mod pulls;
mod rates;
mod sends;
mod silence;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::fmt;

use rocketmq_client_core::client::{Input, Output};
use rocketmq_client_core::config::ClientConfig;
use rocketmq_client_core::id::ChannelId;
use rocketmq_client_core::producer::SendReceipt;
use rocketmq_client_core::remoting::{FrameError, RemotingCommand};
use rocketmq_client_core::time::Instant;
use rocketmq_dev_broker::Broker;

use crate::bound::Bounds;
use crate::executor::{NodeId, Turn};
use crate::fault::FaultKind;
use crate::history::{History, MessageNumber};
use crate::inject::Switched;
use crate::network::ConnId;

pub(crate) use self::consumed::Consumed;
pub(crate) use self::given::Given;
pub(crate) use self::sends::SendResult;

use self::cached::Cached;
use self::commits::Commits;
use self::ended::Ended;
use self::go_away::Leaving;
use self::lives::Lives;
use self::offsets::{Books, Offsets};
use self::once::Once;
use self::owners::Owners;
use self::pulls::Pulls;
use self::rates::Rates;
use self::silence::Silence;
use self::wire::{Awaited, Wire, frames};

macro_rules! properties {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// A property, called by what it says; [`number`](Self::number) is what failures and rules to break go by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Property {
            $($(#[$doc])* $name,)*
        }

        impl Property {
            /// All properties.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its number, a `P` before it.
            #[must_use]
            pub const fn number(self) -> &'static str {
                match self {
                    $(Self::$name => $number,)*
                }
            }
        }
    };
}

properties! {
    /// Each operation ends exactly once.
    EachOperationEndsOnce = "P01",
    /// Driving makes progress or is idle: a task is not polled without end at one time.
    DrivingMakesProgress = "P06",
    /// What a send reports as stored is in the broker's log, at the queue and offset reported.
    StoredIsInTheLog = "P07",
    /// What a send reports as surely not stored is in no log.
    NotSentIsInNoLog = "P08",
    /// A send ends within its budget, and so does a warm-up.
    SendEndsWithinItsBudget = "P09",
    /// A committed offset is never past a message that the group has not settled.
    CommittedNeverPassesUnfinished = "P19",
    /// One client never commits less than it has committed.
    ClientNeverCommitsLess = "P20",
    /// Every durable matching message is consumed, or in the dead letters, at the end.
    EverythingIsConsumed = "P21",
    /// Nothing is given to a handler after its queue was revoked, or its consumer was closed; while a consumer is
    /// closing, only what lies before a message of the queue that a handler has been given.
    NothingIsGivenAfterARevoke = "P22",
    /// Without faults each message is consumed exactly once.
    ConsumedOnceWithoutFaults = "P23",
    /// No more is cached than a bound allows and one pull of each queue brings.
    CacheKeepsItsBounds = "P24",
    /// No handler gets a message whose tag its group did not ask for.
    OnlyTagsAskedFor = "P26",
    /// A pull begins where the last answer ended.
    PullBeginsWhereTheLastEnded = "P27",
    /// When everything is stable each queue has exactly one owner.
    EachQueueHasOneOwner = "P34",
    /// After healing everything goes on and comes to an end.
    EverythingGoesOnAfterHealing = "P46",
    /// A queue is pulled from once at a time.
    OnePullAQueue = "P47",
    /// A consumer that is suspended begins no pull.
    SuspendedBeginsNoPull = "P48",
    /// What is committed is not past the end of the queue, which the broker has shown.
    CommittedNeverPassesTheEnd = "P49",
    /// Where nothing new can be learned, a peer is asked ten times a second at most, after the first second; and
    /// it gets a heartbeat a second beside the periodic ones. What is new is an answer with messages, a place that
    /// lies further on, and the first word that a queue's offset has moved.
    AsksAtABoundedRate = "P51",
    /// Nothing begins after the end: a consumer that has closed gets no message and asks nothing as a member of its group,
    /// and a client that has closed wants nothing.
    NothingBeginsAfterTheEnd = "P52",
    /// Who awaits something notices within 10 s that its peer is silent for ever; and no pull is awaited of a peer that
    /// has said nothing for so long, for whatever reason.
    SilenceIsNoticed = "P56",
    /// A broker at a new address is used soon after it has registered, by those who pulled from it.
    NewAddressIsUsedSoon = "P57",
    /// A close overtakes no send before it, ends in time, and a second one with the first.
    CloseOvertakesNoSend = "P58",
    /// What one name server in reach knows is found, though another does not know it.
    OneServersNoIsNotTheClusters = "P59",
    /// One commit of a queue is on its way at a time.
    OneCommitAQueue = "P60",
    /// A peer that is about to leave is asked nothing new on the connection on which it has said so.
    LeavingPeerIsAskedNothing = "P61",
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {self:?}", self.number())
    }
}

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub property: Property,
    /// When it was seen.
    pub at: Instant,
    /// What is wrong, with the names and values.
    pub text: String,
}

/// Counts evaluations and keeps the first violation.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    pub(crate) evaluations: BTreeMap<Property, u64>,
    violation: Option<Violation>,
}

impl Verdicts {
    pub(crate) fn check(
        &mut self,
        property: Property,
        at: Instant,
        holds: bool,
        text: impl FnOnce() -> String,
    ) {
        *self.evaluations.entry(property).or_default() += 1;
        if !holds && self.violation.is_none() {
            self.violation = Some(Violation { property, at, text: text() });
        }
    }
}

/// Polls of one task at one time that are still no spin: every input and every short write may
/// cause one.
const POLLS_MAX: u32 = 2_000;
/// By how many times it may be more with servers of the user's own: those may name any number of queues.
const PEERS_FACTOR: u32 = 500;

/// Sees everything that happens and checks it.
#[derive(Debug, Default)]
pub(crate) struct Monitor {
    pub(crate) verdicts: Verdicts,
    pub(crate) history: History,
    pub(crate) given: Given,
    pub(crate) consumed: Consumed,
    pub(crate) owners: Owners,
    /// How often consumers were held back.
    pub(crate) bounds: Bounds,
    /// Which fault a rule for a broker's answers belongs to.
    pub(crate) answer_faults: BTreeMap<Switched, FaultKind>,
    /// Servers of the user's own answer as they like: what holds of pulls by what brokers answer doesn't hold.
    pub(crate) has_peers: bool,
    not_stored: Vec<(MessageNumber, String)>,
    reported: Vec<(MessageNumber, SendReceipt)>,
    once: Once,
    offsets: Offsets,
    cached: Cached,
    pulls: Pulls,
    wire: Wire,
    lives: Lives,
    rates: Rates,
    silence: Silence,
    leaving: Leaving,
    ended: Ended,
    commits: Commits,
}

impl Monitor {
    /// The first message that a group should have and has not.
    pub(crate) fn missing(&self) -> Option<String> {
        self.consumed.missing(&self.history, &self.lives)
    }

    /// The pulls that a client awaits on a connection.
    pub(crate) fn awaited(&self, now: Instant, node: NodeId, channel: ChannelId) -> Vec<Awaited> {
        self.silence.awaited(now, node, channel, &self.wire).map(|request| request.id).collect()
    }

    /// Whether a client waits for messages of a peer: by a pull of before a stay ended it perhaps does not.
    pub(crate) fn pulls_from(&self, node: NodeId, peer: &str) -> bool {
        self.wire.awaits_since(node, peer, self.lives.stay_ended(node))
    }

    /// One of these that waits to this day.
    pub(crate) fn still_awaited(&self, awaited: &[Awaited]) -> Option<Awaited> {
        awaited.iter().copied().find(|request| self.wire.is_awaited(*request))
    }

    pub(crate) fn violation(&self) -> Option<Violation> {
        self.verdicts.violation.clone()
    }

    /// A task was polled.
    pub(crate) fn turned(&mut self, now: Instant, turn: &Turn) {
        let polls_max = if self.has_peers { POLLS_MAX * PEERS_FACTOR } else { POLLS_MAX };
        self.verdicts.check(Property::DrivingMakesProgress, now, turn.polls_now <= polls_max, || {
            format!(
                "task {} of node {} was polled {} times at one time (does it try again without a sleep?)",
                turn.task.0, turn.node.0, turn.polls_now
            )
        });
    }

    pub(crate) fn core_input(&mut self, now: Instant, node: NodeId, input: &Input) {
        self.once.input(&mut self.verdicts, now, node, input);
        self.given.input(now, node, input, &mut self.consumed);
        if !self.has_peers {
            self.cached.input(&mut self.bounds, now, node, input);
            self.pulls.input(&mut self.bounds, now, node, input);
            self.silence.input(&mut self.verdicts, now, node, (input, &self.wire));
            self.leaving.input(node, input);
            self.ended.input(node, input);
            if let Some(answered) = self.wire.input(node, input) {
                self.leaving.answered(now, &answered);
                self.rates.answered(&mut self.verdicts, now, &answered);
                self.lives.answered(now, &answered);
            }
        }
    }

    pub(crate) fn core_output(&mut self, now: Instant, node: NodeId, output: &Output) {
        self.once.output(&mut self.verdicts, now, node, output);
        self.given.output(node, output);
        if !self.has_peers {
            self.lives.output(now, node, self.given.group_of(node, output), output);
            self.cached.output(&mut self.verdicts, &mut self.bounds, now, node, output);
            self.silence.output(now, node, output);
            self.leaving.output(node, output);
            self.ended.output(&mut self.verdicts, now, node, output);
            let frames = frames(output);
            self.pulls.output(&mut self.verdicts, now, node, output, &frames);
            for request in self.wire.output(now, node, output, frames) {
                self.rates.asked(&mut self.verdicts, now, &request);
                self.leaving.asked(&mut self.verdicts, now, &request);
                self.ended.asked(&mut self.verdicts, now, &request);
                self.commits.asked(&mut self.verdicts, now, &request, &self.wire);
            }
        }
    }

    /// A client's machine is gone with all that it had begun.
    pub(crate) fn node_gone(&mut self, node: NodeId) {
        self.once.forget(node);
        self.cached.forget(node);
        self.pulls.forget(node);
        self.wire.forget(node);
        self.lives.forget(node);
        self.rates.forget(node);
        self.silence.forget(node);
        self.leaving.forget(node);
        self.ended.forget(node);
        self.commits.forget(node);
    }

    /// A client has closed: nothing of it may be open any more.
    pub(crate) fn client_closed(&mut self, now: Instant, node: NodeId) {
        self.once.closed(&mut self.verdicts, now, node);
    }

    pub(crate) fn broker_started(&mut self, broker: &Broker) {
        self.offsets.rebase(broker);
        self.pulls.broker_started(broker);
        self.lives.broker_started(broker);
    }

    /// A client begins, so set.
    pub(crate) fn client_started(&mut self, node: NodeId, config: &ClientConfig) {
        self.pulls.client_started(node, config);
    }

    pub(crate) fn broker_restarted(&mut self, now: Instant, broker: &Broker) {
        for (queue, since) in self.history.shrink(broker) {
            self.lives.begin(now, &queue, since);
            self.consumed.forget_places(&queue, since);
        }
        self.offsets.rebase(broker);
        // Perhaps it is at another address.
        self.pulls.broker_started(broker);
        self.lives.broker_started(broker);
    }

    /// A topic was deleted, with its messages and what groups had committed.
    pub(crate) fn topic_deleted(&mut self, now: Instant, broker: &Broker, topic: &str) {
        for queue in self.history.delete_topic(&broker.config().broker_name, topic) {
            self.lives.begin(now, &queue, 0);
            self.consumed.forget_places(&queue, 0);
        }
        self.offsets.rebase(broker);
    }

    /// A frame is about to be carried out.
    pub(crate) fn broker_frame(
        &mut self,
        _now: Instant,
        broker: &Broker,
        client: NodeId,
        command: &RemotingCommand,
    ) {
        self.owners.frame(broker, client, command);
        self.lives.frame(broker, client, command);
    }

    pub(crate) fn look_at_broker(&mut self, now: Instant, broker: &Broker) {
        self.history.grow(now, broker);
    }

    /// A frame was carried out; it may have committed something.
    pub(crate) fn look_at_offsets(&mut self, now: Instant, broker: &Broker, by: Option<(NodeId, ConnId)>) {
        self.history.grow(now, broker);
        let Self { verdicts, history, consumed, offsets, lives, commits, .. } = self;
        offsets.look(verdicts, now, broker, by, &Books { history, consumed, lives, commits });
    }

    /// Bytes that are no frame arrived at a server: a client wrote them.
    pub(crate) fn bad_frame(&mut self, now: Instant, error: &FrameError) {
        self.verdicts.check(Property::EachOperationEndsOnce, now, false, || {
            format!("a client wrote bytes that are no frame: {error}")
        });
    }
}
