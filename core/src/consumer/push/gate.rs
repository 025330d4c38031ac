//! Brokers that refuse. Their queues wait together: one of them asks, after a pause that grows, and while it
//! is refused the others ask nothing. When it is not, the others follow in groups that double. Queues that
//! are served are not concerned. Java: each queue asks again by itself, at once or every second.
//!
//! ```text
//!  refused ──► waiting ──(pause over)──► out ──(not refused for a while)──► served, the next group goes
//!                 ▲  ▲                    │     │
//!                 │  └─── a longer pause ◄┘ refused
//!                 └──(there is room)── no room ◄┘ too much is cached to ask
//! ```

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::queue::Fetch;
use super::{PushConsumer, refused};
use crate::consumer::{ConsumerTimer, Refusal};
use crate::error::Cause;
use crate::id::ProcessQueueId;
use crate::message::names;
use crate::output::Pause;
use crate::route::MASTER_ID;
use crate::shared::Shared;
use crate::time::{Instant, doubled};
use crate::timer::TimerId;

/// A broker that refuses is asked at most so often for long, whatever the settings: ten times a second.
const GATE_PAUSE_MIN: Duration = Duration::from_millis(100);
/// A question that is not refused for so long is being served; pulls that find nothing are held.
const SERVED_AFTER_MIN: Duration = Duration::from_millis(100);
/// The longest time that a refusal is waited for, for a broker that refuses slowly.
const SERVED_AFTER_MAX: Duration = Duration::from_secs(1);
/// Refused questions in a row after which also what may be over in a moment is warned of.
const PATIENT_ROUNDS: u32 = 2;

/// The brokers that refuse.
#[derive(Clone, Debug, Default)]
pub(super) struct Gates {
    /// By the name of the broker.
    gates: BTreeMap<Arc<str>, Gate>,
    /// Armed for the earliest of them.
    timer: Option<TimerId>,
}

#[derive(Clone, Debug)]
struct Gate {
    why: Pause,
    cause: Arc<str>,
    since: Instant,
    /// Whether people were told.
    told: bool,
    /// Those that were refused least often in a row come first, so that no queue that is refused for its own
    /// sake keeps others from their turn.
    waiting: BTreeSet<(u32, ProcessQueueId)>,
    /// Those that ask now.
    out: BTreeSet<ProcessQueueId>,
    /// Those whose turn came while too much was cached for them to ask: they wait for room, and then for a turn.
    no_room: BTreeSet<ProcessQueueId>,
    /// How many go next.
    group: usize,
    /// Questions in a row that were refused.
    rounds: u32,
    /// Whether one of those that are out, or were last, was refused.
    refused: bool,
    /// When the last ones went, and when the next ones go.
    opened: Instant,
    opens: Instant,
    /// How long the broker took to refuse.
    took: Duration,
}

impl PushConsumer {
    /// A queue's broker said no: it waits for its turn to ask again.
    pub(super) fn wait_at_gate(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        why: Pause,
        (cause, begun): (Option<&Cause>, Option<Instant>),
    ) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        owned.failures = owned.failures.saturating_add(1);
        // The slave that was suggested may be what is wrong.
        owned.broker_id = MASTER_ID;
        if self.suspended {
            owned.fetch = Fetch::Suspended;
        }
        if self.suspended || matches!(owned.fetch, Fetch::Stopped) {
            return;
        }
        owned.fetch = Fetch::Gated(why);
        let (failures, queue) = (owned.failures, owned.queue.clone());
        let max = self.config.pull_delay_when_exception.max(GATE_PAUSE_MIN);
        let gates = &mut self.gates.gates;
        let is_new = !gates.contains_key(&queue.broker_name);
        let gate = gates.entry(queue.broker_name.clone()).or_insert_with(|| Gate::new(why, now));
        gate.why = why;
        gate.cause = cause.map_or_else(|| why.to_string(), ToString::to_string).into();
        gate.waiting.insert((failures, id));
        gate.no_room.remove(&id);
        let asked = gate.out.remove(&id);
        // A pull that was held before it was refused tells nothing of how fast the broker refuses.
        let asked_at = if asked { Some(gate.opened) } else { begun.filter(|_| is_new) };
        let took = asked_at.map(|at| now.saturating_since(at));
        gate.took = took.filter(|took| *took <= SERVED_AFTER_MAX).unwrap_or(gate.took);
        // Those that come later from the same round, or were under way before, change nothing.
        // Where all had missed their turn, nobody asks until this one does.
        let sleeps = gate.opens == Instant::FAR_FUTURE;
        let counts = is_new || sleeps || (asked && !gate.refused);
        if counts {
            gate.refused = true;
            gate.group = 1;
            gate.rounds += u32::from(asked);
            gate.opens = now + doubled(refused::first_pause(why), gate.rounds, max);
        }
        let passes = why == Pause::NotRegistered || names::is_retry_topic(&queue.topic);
        if !gate.told && (!passes || gate.rounds >= PATIENT_ROUNDS) && shared.lines.may(now) {
            gate.told = true;
            tracing::warn!(
                group = %self.config.group, %queue, %why, cause = %gate.cause,
                "a broker refuses pulls; asking on, less and less often"
            );
        } else {
            tracing::debug!(%queue, %why, cause = %gate.cause, "pull refused");
        }
        if counts {
            self.ask_around(shared, now, why, &queue.topic);
        }
        self.arm_gates(shared);
    }

    /// The next ones go, where their time has come.
    pub(super) fn open_gates(&mut self, shared: &mut Shared, now: Instant) {
        self.gates.timer = None;
        let due = self.gates.gates.iter().filter(|(_, gate)| gate.opens <= now);
        let due: Vec<Arc<str>> = due.map(|(broker, _)| broker.clone()).collect();
        for broker in due {
            self.open_gate(shared, now, &broker);
        }
        self.arm_gates(shared);
    }

    fn open_gate(&mut self, shared: &mut Shared, now: Instant, broker: &Arc<str>) {
        let Some(gate) = self.gates.gates.get_mut(broker) else { return };
        // Where nobody asked, nobody was served.
        if !gate.refused && !gate.out.is_empty() {
            gate.group = gate.group.saturating_mul(2);
        }
        gate.out.clear();
        if gate.waiting.is_empty() && !gate.no_room.is_empty() {
            gate.opens = Instant::FAR_FUTURE;
            return;
        }
        if gate.waiting.is_empty() {
            if gate.told && shared.lines.may(now) {
                let after_ms = now.saturating_since(gate.since).as_millis();
                tracing::info!(group = %self.config.group, %broker, after_ms, "a broker refuses pulls no more");
            }
            self.gates.gates.remove(broker);
            return;
        }
        gate.refused = false;
        gate.opened = now;
        gate.opens = now + (gate.took * 2).clamp(SERVED_AFTER_MIN, SERVED_AFTER_MAX);
        let mut left = gate.group;
        while left > 0 {
            let Some(gate) = self.gates.gates.get_mut(broker) else { return };
            let Some((_, id)) = gate.waiting.pop_first() else { return };
            gate.out.insert(id);
            self.proceed(shared, now, id);
            let Some(owned) = self.owned.get(id) else { continue };
            if owned.fetch.is_at_broker() {
                left -= 1;
            } else if let Some(gate) = self.gates.gates.get_mut(broker) {
                gate.out.remove(&id);
                if matches!(owned.fetch, Fetch::Full(_)) {
                    gate.no_room.insert(id);
                }
            }
        }
    }

    /// Whether a queue for which there is room now waits for its turn again, having missed it.
    pub(super) fn returns_to_gate(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId) -> bool {
        if !self.takes_missed_turn(id) {
            return false;
        }
        let Some(owned) = self.owned.get_mut(id) else { return false };
        let Some(gate) = self.gates.gates.get_mut(&owned.queue.broker_name) else { return false };
        owned.fetch = Fetch::Gated(gate.why);
        gate.waiting.insert((owned.failures, id));
        // The pause is over, and nobody could ask.
        if gate.opens == Instant::FAR_FUTURE {
            gate.opens = now;
        }
        self.arm_gates(shared);
        true
    }

    /// A queue does not wait for room any more. Whether it had missed its turn for want of it.
    pub(super) fn takes_missed_turn(&mut self, id: ProcessQueueId) -> bool {
        let Some(owned) = self.owned.get(id) else { return false };
        let gate = self.gates.gates.get_mut(&owned.queue.broker_name);
        gate.is_some_and(|gate| gate.no_room.remove(&id))
    }

    /// A broker has heard of the group: who waited for that asks at once, but only the first time, since
    /// there are brokers that take every heartbeat and refuse every pull.
    pub(super) fn hasten_gates_of(&mut self, shared: &mut Shared, now: Instant, address: &Arc<str>) {
        for (broker, gate) in &mut self.gates.gates {
            let is_there =
                shared.routes.address(broker, MASTER_ID).is_some_and(|(known, _)| known == address);
            let waits = gate.rounds == 0 && gate.refused;
            if is_there && waits && matches!(gate.why, Pause::NotRegistered | Pause::NoGroup) {
                gate.opens = now;
            }
        }
        self.arm_gates(shared);
    }

    /// Whether the broker refuses queues.
    pub(super) fn has_gate(&self, broker: &str) -> bool {
        self.gates.gates.contains_key(broker)
    }

    /// The queue waits for something else from now on, or is given up.
    pub(super) fn leave_gate(&mut self, broker: &str, failures: u32, id: ProcessQueueId) {
        if let Some(gate) = self.gates.gates.get_mut(broker) {
            gate.waiting.remove(&(failures, id));
            gate.out.remove(&id);
            gate.no_room.remove(&id);
            // It would not open again.
            if gate.opens == Instant::FAR_FUTURE && gate.no_room.is_empty() {
                self.gates.gates.remove(broker);
            }
        }
    }

    /// When a queue's turn may come.
    pub(super) fn gate_opens(&self, broker: &str) -> Option<Instant> {
        self.gates.gates.get(broker).map(|gate| gate.opens)
    }

    /// Nobody waits any more.
    pub(super) fn stop_gates(&mut self, shared: &mut Shared) {
        self.gates.gates.clear();
        if let Some(timer) = self.gates.timer.take() {
            shared.cancel(timer);
        }
    }

    /// The queues that wait for their turn, and those that have missed it.
    #[cfg(test)]
    pub(super) fn in_line(&self) -> (Vec<ProcessQueueId>, Vec<ProcessQueueId>) {
        let gates = self.gates.gates.values();
        let waiting = gates.clone().flat_map(|gate| gate.waiting.iter().map(|(_, id)| *id)).collect();
        (waiting, gates.flat_map(|gate| gate.no_room.iter().copied()).collect())
    }

    /// What brokers refuse, for people.
    pub(super) fn refusals(&self, now: Instant) -> Vec<Refusal> {
        let told = |(broker, gate): (&Arc<str>, &Gate)| Refusal {
            broker: broker.clone(),
            why: gate.why,
            cause: gate.cause.clone(),
            since: now.saturating_since(gate.since),
            queues: gate.waiting.len() + gate.no_room.len(),
            asked: gate.rounds,
        };
        self.gates.gates.iter().map(told).collect()
    }

    fn arm_gates(&mut self, shared: &mut Shared) {
        let earliest = self.gates.gates.values().map(|gate| gate.opens).min();
        let Some(at) = earliest.filter(|_| !self.is_closing()) else { return };
        match self.gates.timer {
            Some(timer) if timer.deadline() <= at => return,
            Some(timer) => shared.cancel(timer),
            None => {}
        }
        self.gates.timer = Some(shared.arm(at, self.timer(ConsumerTimer::Refused)));
    }
}

impl Gate {
    fn new(why: Pause, now: Instant) -> Self {
        Self {
            why,
            cause: "".into(),
            since: now,
            told: false,
            waiting: BTreeSet::new(),
            out: BTreeSet::new(),
            no_room: BTreeSet::new(),
            group: 1,
            rounds: 0,
            refused: true,
            opened: now,
            opens: now,
            took: Duration::ZERO,
        }
    }
}
