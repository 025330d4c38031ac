//! Routes that may be wrong, and what is asked for again before the next poll: of topics whose broker can't
//! be reached, of routes that can't be used, and of what somebody was refused. A name server forgets a
//! broker with its connection and tells nobody when it is back, perhaps on another port. Java finds it with
//! its next poll, within 30 s.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::time::{Instant, doubled};
use crate::timer::TimerId;

use super::{Shared, TimerKey};

/// The first pause before a doubted route is asked for again; doubles each time.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// However many routes are doubted, one of them is asked for in this time.
const ASK_INTERVAL: Duration = Duration::from_millis(100);
/// A broker that nobody could reach for the last time this long ago, and a route that is unusable for
/// longer than this, are left to the poll, and to those who want them.
const DOUBT_TIME_MAX: Duration = Duration::from_secs(300);

/// What is in doubt.
#[derive(Clone, Debug, Default)]
pub struct Doubts {
    /// Brokers that are out of reach, by address.
    lost: BTreeMap<Arc<str>, Loss>,
    topics: BTreeMap<Arc<str>, Doubt>,
    timer: Option<TimerId>,
    next_ask: Instant,
    /// When all routes were doubted last.
    all: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Loss {
    /// The broker's name, if a route names its address.
    name: Option<Arc<str>>,
    /// When it was seen last to be out of reach.
    seen: Instant,
    /// Its topics are doubted. They are not before a try to reach it has failed, or no route names it any more.
    doubted: bool,
}

#[derive(Clone, Debug)]
struct Doubt {
    since: Instant,
    due: Instant,
    tries: u32,
    /// Doubted since it was asked for last.
    again: bool,
    /// One of its brokers is lost.
    of_loss: bool,
    /// The last look-up brought nothing of use. It is remembered for as long as that is so: each poll would begin
    /// a new doubt otherwise.
    unusable: bool,
    /// As [`Lookup::default_queue_nums`](crate::route::Lookup::default_queue_nums).
    default_queue_nums: Option<i32>,
}

impl Doubt {
    fn is_open(&self, lost: bool) -> bool {
        self.again || (self.of_loss && lost)
    }
}

impl Doubts {
    /// Nobody uses this topic any more.
    pub(crate) fn forget(&mut self, topic: &str) {
        self.topics.remove(topic);
    }

    /// When there is something to do: to ask, or to drop a doubt that is over.
    fn next_due(&self) -> Option<Instant> {
        let lost = self.has_lost();
        let counts = |doubt: &&Doubt| doubt.is_open(lost) || !doubt.unusable;
        self.topics.values().filter(counts).map(|doubt| doubt.due).min()
    }

    fn has_lost(&self) -> bool {
        self.lost.values().any(|loss| loss.doubted)
    }
}

impl Shared {
    /// The route of `topic` may be wrong: it is asked for at once, or after a pause that grows while doubts
    /// remain. Senders say how many queues the topic should have if it has to be created.
    pub(crate) fn doubt_route(&mut self, now: Instant, topic: &Arc<str>, default_queue_nums: Option<i32>) {
        let doubt = self.doubts.topics.entry(topic.clone()).or_insert(Doubt {
            since: now,
            due: now,
            tries: 0,
            again: true,
            of_loss: false,
            unusable: false,
            default_queue_nums,
        });
        doubt.again = true;
        doubt.default_queue_nums = doubt.default_queue_nums.or(default_queue_nums);
        let due = doubt.due;
        self.ask_doubted_at(due);
    }

    /// The broker at `address` can't be reached, or its connection is gone: `failed` says which. The routes that
    /// name it are asked for again, and so they are until it is back: by then it may be named nowhere. Where no
    /// route names it even now, the `topics` of groups that it knew are asked for.
    pub(crate) fn broker_lost(
        &mut self,
        now: Instant,
        address: &Arc<str>,
        failed: bool,
        topics: Vec<Arc<str>>,
    ) {
        let name = self.routes.name_at(address).cloned();
        if name.is_none() && topics.is_empty() && !self.doubts.lost.contains_key(address) {
            return;
        }
        let loss = Loss { name: None, seen: now, doubted: false };
        let loss = self.doubts.lost.entry(address.clone()).or_insert(loss);
        loss.seen = now;
        let is_named = name.is_some();
        loss.name = name.or(loss.name.take());
        if loss.doubted || (is_named && !failed) {
            return;
        }
        loss.doubted = true;
        let topics = if is_named { self.routes.topics_at(address) } else { topics };
        for topic in &topics {
            self.doubt_for_loss(now, topic);
        }
    }

    fn doubt_for_loss(&mut self, now: Instant, topic: &Arc<str>) {
        self.doubt_route(now, topic, None);
        if let Some(doubt) = self.doubts.topics.get_mut(topic) {
            doubt.of_loss = true;
        }
    }

    fn doubt_unusable(&mut self, now: Instant, topic: &Arc<str>) {
        self.doubt_route(now, topic, None);
        if let Some(doubt) = self.doubts.topics.get_mut(topic) {
            doubt.unusable = true;
        }
    }

    /// A route has changed: a broker whose connection is gone may have been left out of it.
    pub(crate) fn look_for_left_out(&mut self, now: Instant, topic: &Arc<str>) {
        let Self { doubts, routes, .. } = self;
        let left_out: Vec<&mut Loss> = doubts
            .lost
            .iter_mut()
            .filter(|(address, loss)| !loss.doubted && !routes.is_broker(address))
            .map(|(_, loss)| loss)
            .collect();
        if !left_out.is_empty() {
            left_out.into_iter().for_each(|loss| loss.doubted = true);
            self.doubt_for_loss(now, topic);
        }
    }

    /// A broker is back, here or at another address than before: its topics are asked for once more, for
    /// queues that came back with it.
    pub(crate) fn broker_found(&mut self, now: Instant, address: &Arc<str>) {
        let name = self.routes.name_at(address);
        let mut doubted = false;
        self.doubts.lost.retain(|known, loss| {
            let is_back = known == address || (name.is_some() && loss.name.as_ref() == name);
            doubted |= is_back && loss.doubted;
            !is_back
        });
        if doubted {
            self.renew_doubts(now);
        }
    }

    /// What is in doubt is asked for soon again: a name server is in reach that may know more.
    pub(crate) fn renew_doubts(&mut self, now: Instant) {
        let lost = self.doubts.has_lost();
        for doubt in self.doubts.topics.values_mut() {
            doubt.again |= doubt.of_loss || doubt.unusable;
            doubt.of_loss &= lost;
            doubt.tries = 0;
            doubt.due = doubt.due.min(now + PAUSE_MIN);
        }
        self.ask_doubted_at(now);
    }

    fn ask_doubted_at(&mut self, at: Instant) {
        let at = at.max(self.doubts.next_ask);
        match self.doubts.timer {
            Some(timer) if timer.deadline() <= at => return,
            Some(timer) => self.cancel(timer),
            None => {}
        }
        self.doubts.timer = Some(self.arm(at, TimerKey::Doubts));
    }

    /// The connection to a name server was lost. It may be another process when it is back, and know better;
    /// so whatever `uses` names is asked for again, and not only with the poll. Once in an interval of the poll at most:
    /// there are balancers that close a connection after every answer.
    pub(crate) fn doubt_all_routes(&mut self, now: Instant, uses: impl Fn(&str) -> bool) {
        let next = self.doubts.all.map(|at| at + self.config.poll_name_server_interval);
        if next.is_some_and(|next| now < next) {
            return;
        }
        self.doubts.all = Some(now);
        let used: Vec<Arc<str>> = self.routes.topics().filter(|topic| uses(topic)).cloned().collect();
        for topic in used {
            self.doubt_route(now, &topic, None);
        }
    }

    /// Asks for the one doubted route that has waited longest; drops the doubts that are over.
    pub(crate) fn ask_doubted(&mut self, now: Instant, uses: impl Fn(&str) -> bool) {
        let doubts = &mut self.doubts;
        doubts.timer = None;
        doubts.lost.retain(|_, loss| now.saturating_since(loss.seen) < DOUBT_TIME_MAX);
        let lost = doubts.has_lost();
        doubts
            .topics
            .retain(|topic, doubt| uses(topic) && (doubt.due > now || doubt.unusable || doubt.is_open(lost)));
        let first = doubts.topics.iter_mut().filter(|(_, doubt)| doubt.due <= now && doubt.is_open(lost));
        if let Some((topic, doubt)) = first.min_by_key(|(_, doubt)| doubt.due) {
            doubt.again = false;
            let pause = doubled(PAUSE_MIN, doubt.tries, PAUSE_MAX);
            doubt.tries = doubt.tries.saturating_add(1);
            doubt.due = now + pause;
            doubts.next_ask = now + ASK_INTERVAL;
            let (topic, nums) = (topic.clone(), doubt.default_queue_nums);
            self.look_up_route(now, &topic, nums);
        }
        if let Some(due) = self.doubts.next_due() {
            self.ask_doubted_at(due);
        }
    }

    /// A look-up has ended: what it brought is of no use, or is, and servers may not have been heard.
    pub(crate) fn doubt_weighed(&mut self, now: Instant, topic: &Arc<str>, unusable: bool, unheard: bool) {
        let doubt = self.doubts.topics.get_mut(topic);
        let since = doubt.as_ref().map_or(now, |doubt| doubt.since);
        if let Some(doubt) = doubt {
            doubt.unusable = unusable;
            doubt.since = if unusable && !unheard { since } else { now };
        }
        if unusable && (unheard || now.saturating_since(since) < DOUBT_TIME_MAX) {
            self.doubt_unusable(now, topic);
        }
    }
}
