//! The pace of look-ups that may be in vain: whoever sends again and again to a topic that no name server knows asks
//! for it no oftener than they can tell. Java asks with every send.
//!
//! ```text
//! look_up_route ── not denied lately ──────────────▶ asked at once
//!        └──────── denied lately ──▶ held ── turn ─▶ asked, one in REQUEST_INTERVAL for each question that was in vain
//! ```

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::time::Duration;

use crate::time::Instant;
use crate::timer::TimerId;

use super::{Shared, TimerKey};

/// Questions in vain to one name server are so far apart: eight a second.
const REQUEST_INTERVAL: Duration = Duration::from_millis(125);
/// A topic that was denied longer ago than this is asked for at once.
const REMEMBERED_FOR: Duration = Duration::from_secs(5);
/// So many topics are remembered.
const REMEMBERED_MAX: usize = 256;

/// Who was denied, and who waits for a turn.
#[derive(Clone, Debug, Default)]
pub(super) struct LookupPace {
    denied: BTreeMap<Arc<str>, Instant>,
    held: VecDeque<Arc<str>>,
    next: Instant,
    timer: Option<TimerId>,
}

impl LookupPace {
    /// A question was in vain, or may be: the next one waits.
    fn charge(&mut self, now: Instant) {
        self.next = self.next.max(now) + REQUEST_INTERVAL;
    }

    fn was_denied(&self, now: Instant, topic: &str) -> bool {
        self.denied.get(topic).is_some_and(|at| now.saturating_since(*at) < REMEMBERED_FOR)
    }

    /// Forgets the topics that were denied long ago; without room for one more it is not remembered.
    fn remember(&mut self, now: Instant, topic: &Arc<str>) {
        if self.denied.len() >= REMEMBERED_MAX && !self.denied.contains_key(topic) {
            self.denied.retain(|_, at| now.saturating_since(*at) < REMEMBERED_FOR);
            if self.denied.len() >= REMEMBERED_MAX {
                return;
            }
        }
        self.denied.insert(topic.clone(), now);
    }
}

impl Shared {
    /// Whether a look-up that begins has to wait for its turn.
    pub(super) fn hold_lookup(&mut self, now: Instant, topic: &Arc<str>) -> bool {
        if !self.pace.was_denied(now, topic) {
            return false;
        }
        self.pace.held.push_back(topic.clone());
        self.arm_lookup_turn(now);
        true
    }

    /// The next look-up has its turn.
    pub(crate) fn lookup_turn(&mut self, now: Instant) {
        self.pace.timer = None;
        // The look-up before may have had another question.
        if now >= self.pace.next
            && let Some(topic) = self.pace.held.pop_front()
        {
            self.pace.charge(now);
            self.ask_next_name_server(now, &topic);
        }
        self.arm_lookup_turn(now);
    }

    /// No name server knows `topic`, which was asked for as the first question of its look-up or the last.
    pub(crate) fn lookup_denied(&mut self, now: Instant, topic: &Arc<str>) {
        // The question of a look-up that was held is charged already.
        if !self.pace.was_denied(now, topic) {
            self.pace.charge(now);
        }
        self.pace.remember(now, topic);
    }

    /// The look-up goes on with the auto-creation topic.
    pub(crate) fn lookup_goes_on(&mut self, now: Instant) {
        self.pace.charge(now);
    }

    /// `topic` has a route.
    pub(crate) fn lookup_found(&mut self, topic: &str) {
        self.pace.denied.remove(topic);
    }

    fn arm_lookup_turn(&mut self, now: Instant) {
        if self.pace.timer.is_none() && !self.pace.held.is_empty() {
            let at = self.pace.next.max(now);
            self.pace.timer = Some(self.arm(at, TimerKey::LookupTurn));
        }
    }
}
