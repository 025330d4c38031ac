//! What a seed means: who is there, how they are set, what they send, and what goes wrong. A plan is
//! a list of items that stand for themselves: one can be left out without changing the others.

mod draw;
mod shrink;

use std::fmt;
use std::time::Duration;

use crate::fault::FaultKind;
use crate::history::MessageNumber;

pub(crate) use self::shrink::shrink;

/// A world's plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub(crate) seed: u64,
    pub(crate) topology: Topology,
    pub(crate) settings: Settings,
    /// When everything that went wrong is healed.
    pub(crate) heal_at: Duration,
    pub(crate) items: Vec<Item>,
}

/// Who is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topology {
    pub(crate) name_servers: usize,
    pub(crate) brokers: usize,
    /// Queues of the topic on each broker.
    pub(crate) queues: i32,
    pub(crate) producers: usize,
    /// Members of each group when the world begins.
    pub(crate) groups: Vec<usize>,
    /// The second group asks for this tag only.
    pub(crate) second_group_tag: Option<&'static str>,
}

/// How they are set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) send_timeout: Duration,
    pub(crate) retry_times: u32,
    pub(crate) latency_fault_tolerance: bool,
    pub(crate) broker_suspend: Duration,
    pub(crate) max_reconsume_times: i32,
    pub(crate) rebalance: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) poll_routes: Duration,
    pub(crate) persist_offsets: Duration,
    pub(crate) workers: usize,
    pub(crate) channel_expire: Duration,
    pub(crate) register: Duration,
    pub(crate) delay_level: Duration,
    pub(crate) consumption: Consumption,
    /// Sends are answered when their messages are flushed.
    pub(crate) flush_sync: bool,
    pub(crate) strategy: Strategy,
}

/// How members divide queues; see [`AllocateStrategy`](rocketmq_client_core::config::AllocateStrategy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    Averagely,
    AveragelyByCircle,
    ConsistentHash,
    MachineRoom,
    MachineRoomNearby,
    Config,
}

/// How much consumers may have at a time, and how their handlers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Consumption {
    pub(crate) pull_batch_size: i32,
    pub(crate) pull_batch_bytes: Option<i32>,
    pub(crate) queue_count: usize,
    pub(crate) queue_bytes: Option<usize>,
    pub(crate) shared_count: Option<usize>,
    pub(crate) shared_bytes: Option<usize>,
    pub(crate) span: Option<i64>,
    pub(crate) total_bytes: Option<usize>,
    /// Messages that a handler is called with; above one it is a handler of batches.
    pub(crate) consume_batch: usize,
    /// RocketMQ's own when there is none: so long that it hides nothing that is forgotten.
    pub(crate) consume_timeout: Option<Duration>,
    /// The longest that a handler takes when nothing is wrong.
    pub(crate) handler_takes: Duration,
    /// One call in so many takes long, and the others answer at once: workers get ahead of each other.
    pub(crate) one_is_slow_in: Option<u64>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Send(SendItem),
    Fault(FaultItem),
    Leave(LeaveItem),
}

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SendItem {
    pub(crate) at: Duration,
    pub(crate) producer: usize,
    pub(crate) message: MessageNumber,
    pub(crate) tag: &'static str,
    pub(crate) way: SendWay,
    pub(crate) body_bytes: usize,
}

/// How it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendWay {
    RoundRobin,
    Hashed(u64),
    Oneway,
    /// The operation is dropped at once.
    Dropped,
}

/// A member of a group closes. That is no fault: nothing comes again for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeaveItem {
    pub(crate) at: Duration,
    pub(crate) group: usize,
}

/// Something that goes wrong for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FaultItem {
    pub(crate) at: Duration,
    pub(crate) lasts: Duration,
    pub(crate) kind: FaultKind,
    /// Chooses among what is there at the time.
    pub(crate) target: u64,
    /// How much of it.
    pub(crate) amount: u64,
}

impl Consumption {
    /// How long a handler that hangs has a message, or longer.
    pub(crate) fn hangs_at_least(&self) -> Duration {
        self.consume_timeout.unwrap_or(Duration::from_secs(10)) + Duration::from_millis(1)
    }
}

impl Plan {
    /// Nothing goes wrong in this world.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.items.iter().any(|item| matches!(item, Item::Fault(_)))
    }

    pub(crate) fn has(&self, kinds: &[FaultKind]) -> bool {
        self.items.iter().any(|item| matches!(item, Item::Fault(fault) if kinds.contains(&fault.kind)))
    }

    /// The longest that a broker may believe in a member, or a name server miss a broker, after
    /// healing.
    pub(crate) fn lease(&self) -> Duration {
        use FaultKind as F;
        let settings = &self.settings;
        let half_open = [
            F::ConsumerVanishes,
            F::IsolateClient,
            F::IsolateBroker,
            F::Partition,
            F::OneWayPartition,
            F::Delay,
            F::AcceptThenSilent,
            F::ConnectionSwallows,
        ];
        let scan = Duration::from_secs(10);
        let mut lease = Duration::from_secs(2);
        if self.has(&half_open) {
            lease = lease.max(settings.channel_expire + scan + settings.rebalance);
        }
        if self.has(&[
            F::NameServerDown,
            F::NameServerForgets,
            F::TopicMadeAnew,
            F::BrokerMoved,
            F::IsolateNameServer,
            F::IsolateBroker,
            F::Partition,
            F::OneWayPartition,
        ]) {
            lease = lease.max(settings.register + settings.poll_routes);
        }
        if !self.is_quiet() {
            lease = lease.max(settings.poll_routes + settings.heartbeat);
        }
        lease
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {:?}", self.seed, self.topology)?;
        writeln!(f, "{:?}", self.settings)?;
        for item in &self.items {
            match item {
                Item::Send(send) => {
                    let (at, message, producer) = (send.at, send.message.0, send.producer);
                    writeln!(
                        f,
                        "{at:>12.3?} producer {producer} sends m{message} {} {:?}",
                        send.tag, send.way
                    )?;
                }
                Item::Leave(LeaveItem { at, group }) => {
                    writeln!(f, "{at:>12.3?} a member of group {group} leaves")?;
                }
                Item::Fault(fault) => {
                    let (at, lasts, kind) = (fault.at, fault.lasts, fault.kind);
                    writeln!(
                        f,
                        "{at:>12.3?} {kind} for {lasts:.3?} target {} amount {}",
                        fault.target, fault.amount
                    )?;
                }
            }
        }
        writeln!(f, "{:>12.3?} everything heals", self.heal_at)
    }
}
