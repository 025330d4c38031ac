//! The pull loop. Java: `DefaultMQPushConsumerImpl#pullMessage`, `PullAPIWrapper`.

use alloc::string::ToString;
use alloc::sync::Arc;
use core::fmt::Display;
use core::time::Duration;

use bytes::Bytes;

use super::bad_answer::{Weighed, weigh};
use super::offset_moved::{Facts, Verdict};
use super::queue::{Fetch, OwnedQueue, RETRY_DELAY_MIN};
use super::take::{Found, NotTaken};
use super::{BadAnswer, PushConsumer};
use crate::channel::Reply;
use crate::consumer::{ConsumeToken, ConsumerRequest, Delivery, PulledMessage};
use crate::error::Cause;
use crate::id::ProcessQueueId;
use crate::message::property;
use crate::message::sys_flag::pull as pull_flag;
use crate::output::Pause;
use crate::remoting::{PullMessageRequestHeader, PullMessageResponseHeader, ResponseCode};
use crate::shared::Shared;
use crate::time::{Instant, doubled};

/// A broker holds a pull that has nothing to bring; one that answers sooner without bringing anything
/// is not asked again at once.
const HELD_MIN: Duration = Duration::from_millis(50);
/// An answer without messages that leads on by less is a small step, however many messages a pull may bring: brokers look
/// through hundreds that are not for the group before they answer, so it has led to the end, or the broker is odd.
const SMALL_STEP: i64 = 32;
/// So many small steps in a row may come sooner than [`HELD_MIN`] before their queue is asked for less often.
const SMALL_STEPS_MAX: u32 = 8;
/// The first time after that from pull to pull; each doubles. Where a busy topic's messages are merely not for this group,
/// so many gather in it that the next step is none of the small ones.
const SMALL_STEP_INTERVAL_MIN: Duration = Duration::from_millis(20);
/// The longest time from pull to pull. A message for the group among a few that are not waits no longer than that.
const SMALL_STEP_INTERVAL_MAX: Duration = Duration::from_millis(100);
/// The longest pause before a broker is asked again that says that a queue is empty although it was not.
const EMPTY_DELAY_MAX: Duration = Duration::from_secs(2);
/// However many queues of a broker are said to be empty, one of them is asked for in this time: each of sixteen still
/// within [`EMPTY_DELAY_MAX`].
const EMPTY_INTERVAL: Duration = Duration::from_millis(125);

impl OwnedQueue {
    /// An answer came after `took` and has led on by `step` without messages: for how long the next pull waits.
    fn wait_for_steps(&mut self, took: Duration, step: i64) -> Option<Duration> {
        let is_small = took < HELD_MIN && 0 < step && step < SMALL_STEP;
        self.small_steps = if is_small { self.small_steps.saturating_add(1) } else { 0 };
        let further = self.small_steps.checked_sub(SMALL_STEPS_MAX + 1)?;
        let interval = doubled(SMALL_STEP_INTERVAL_MIN, further, SMALL_STEP_INTERVAL_MAX);
        interval.checked_sub(took).filter(|delay| !delay.is_zero())
    }
}

impl PushConsumer {
    /// Pulls from `offset`.
    pub(super) fn pull(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, offset: i64) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        let queue = owned.queue.clone();
        let Some((address, _)) = shared.routes.address(&queue.broker_name, owned.broker_id) else {
            return self.no_address(shared, now, id, &queue.topic);
        };
        let address = address.clone();
        owned.fetch = Fetch::Pulling(now);
        // Of a queue that was said to be empty it is soon to be known whether it ends right here now.
        // Of one that is looked at again as well.
        let waits = owned.empty.is_none() && owned.looks_again_until.is_none();
        let sys_flag = if waits { pull_flag::SUSPEND } else { 0 };
        let version = self.subscriptions.get(&queue.topic).map_or(0, |subscription| subscription.sub_version);
        let header = PullMessageRequestHeader {
            consumer_group: (&*self.config.group).into(),
            topic: (&*queue.topic).into(),
            queue_id: queue.queue_id,
            queue_offset: offset,
            max_msg_nums: self.config.pull_batch_size,
            // Java sends the committed offset along with each pull. Brokers serve pulls and commits in
            // different threads, so that an older offset could overwrite a newer one: here commits go
            // alone, one at a time.
            sys_flag,
            commit_offset: 0,
            suspend_timeout_millis: i64::try_from(self.config.broker_suspend_max.as_millis())
                .unwrap_or(i64::MAX),
            sub_version: version,
            expression_type: Some("TAG".into()),
            max_msg_bytes: Some(self.config.pull_batch_bytes),
            ..PullMessageRequestHeader::default()
        };
        let purpose = self.purpose(ConsumerRequest::Pull { queue: id });
        shared.request(now, &address, &header, Bytes::new(), now + self.config.pull_timeout, purpose);
    }

    /// A pull has ended.
    #[expect(clippy::too_many_lines, reason = "to be split")]
    pub(super) fn handle_pulled(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        reply: Reply,
    ) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        let Fetch::Pulling(begun) = owned.fetch else { return };
        let Ok(command) = &reply else { return self.pull_refused(shared, now, id, begun, reply) };
        let code = ResponseCode(command.code);
        if !matches!(
            code,
            ResponseCode::SUCCESS
                | ResponseCode::PULL_NOT_FOUND
                | ResponseCode::PULL_RETRY_IMMEDIATELY
                | ResponseCode::PULL_OFFSET_MOVED
        ) {
            return self.pull_refused(shared, now, id, begun, reply);
        }
        let header = match command.header::<PullMessageResponseHeader>() {
            Ok(header) => header,
            Err(error) => {
                tracing::debug!(queue = %owned.queue, %error, "a pull answer can't be read; pulling again");
                self.stats_of(id).pulls += 1;
                return self.bad_pull(shared, now, id, BadAnswer::Header);
            }
        };
        owned.last_pull = Some(now);
        if header.max_offset >= 0 {
            owned.max_offset = Some(header.max_offset);
        }
        let topic_index = owned.topic_index;
        let other_broker = owned.broker_id != header.suggest_which_broker_id;
        owned.broker_id = header.suggest_which_broker_id;
        self.statistics[topic_index].pulls += 1;
        if code == ResponseCode::PULL_OFFSET_MOVED {
            return self.offset_moved(shared, now, id, begun, &header);
        }
        let Some(owned) = self.owned.get_mut(id) else { return };
        let at = owned.next_offset.unwrap_or_default();
        let (next, max) = (header.next_begin_offset, header.max_offset);
        let found = code == ResponseCode::SUCCESS;
        let end = match weigh(at, next, max, found) {
            Weighed::To(end) | Weighed::RecordsBelow(end) => end,
            // The end may have been read before the messages: the next answer has it.
            Weighed::Again(_) if owned.failures == 0 => {
                owned.failures = 1;
                return self.proceed(shared, now, id);
            }
            Weighed::Again(bad) | Weighed::Nothing(bad) => return self.bad_pull(shared, now, id, bad),
        };
        owned.misfits = 0;
        if let Some(since) = owned.empty.take() {
            self.offsets.let_go(&owned.queue);
            if self.was_empty(shared, now, id, since, (header.min_offset, max)) {
                return;
            }
        }
        let Some(owned) = self.owned.get_mut(id) else { return };
        if owned.is_shorter_than_before(max) {
            return self.is_another(shared, now, id);
        }
        if core::mem::take(&mut owned.unproved) && at <= max {
            self.offsets.begin(owned.queue.clone(), at);
        }
        if found {
            let (body, delta) = (command.body.clone(), header.offset_delta);
            self.statistics[topic_index].pull_time.record(now.saturating_since(begun));
            match self.take_messages(shared, now, id, Found { body, next, end, delta }) {
                Ok(()) => {}
                Err(NotTaken::Bad(bad)) => return self.bad_pull(shared, now, id, bad),
                Err(NotTaken::OfAnotherQueue) => return self.is_another(shared, now, id),
            }
        } else {
            owned.next_offset = Some(next);
            owned.cache.see(next);
        }
        self.end_look(id);
        let Some(owned) = self.owned.get_mut(id) else { return };
        let took = now.saturating_since(begun);
        let soon = took < HELD_MIN;
        if let Some(delay) = owned.wait_for_steps(took, if found { 0 } else { next - at }) {
            owned.failures = 0;
            return self.pause(shared, now, id, delay, Pause::SmallSteps);
        }
        if next == at && soon {
            if !other_broker || owned.failures > 0 {
                return self.back_off(shared, now, id, Pause::Empty);
            }
            // Brokers that send us to each other are asked at once only the first time.
            owned.failures = 1;
            return self.proceed(shared, now, id);
        }
        owned.failures = 0;
        self.proceed(shared, now, id);
    }

    /// An answer can't be true: it is counted, and the broker is asked again.
    fn bad_pull(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, bad: BadAnswer) {
        self.count_bad_answer(shared, now, id, bad);
        self.back_off(shared, now, id, Pause::BadAnswer);
    }

    /// The offset is not one that the broker has, or not the one that an operator wants.
    fn offset_moved(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        begun: Instant,
        header: &PullMessageResponseHeader,
    ) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        let at = owned.next_offset.unwrap_or_default();
        let (next, min, max) = (header.next_begin_offset, header.min_offset, header.max_offset);
        let verdict = (Facts { at, next, min, max }).verdict();
        let until = owned.looks_again_until;
        if let Verdict::Forward(place) = verdict
            && until.is_some_and(|until| place < until)
        {
            // What it was to be looked for there has expired.
            owned.next_offset = Some(place);
            return self.go_on_paced(shared, now, id);
        }
        if verdict != Verdict::Nonsense {
            owned.stop_looking_again();
        }
        match verdict {
            Verdict::Nonsense => {
                self.count_bad_answer(shared, now, id, BadAnswer::Moved { at, next, min, max });
                self.back_off(shared, now, id, Pause::BadAnswer);
            }
            Verdict::Empty => {
                if owned.empty.is_none() && shared.lines.may(now) {
                    tracing::warn!(queue = %owned.queue, at, "the broker says that the queue has no message and never had one; keeping the offset");
                }
                owned.empty.get_or_insert(shared.clock.timestamp(begun));
                self.offsets.hold(&owned.queue);
                let delay = doubled(RETRY_DELAY_MIN, owned.failures, EMPTY_DELAY_MAX);
                owned.failures = owned.failures.saturating_add(1);
                let broker = owned.queue.broker_name.clone();
                let is_as_empty = |(_, owned): &(_, &OwnedQueue)| {
                    owned.empty.is_some() && owned.queue.broker_name == broker
                };
                let count = u32::try_from(self.owned.iter().filter(is_as_empty).count()).unwrap_or(u32::MAX);
                let delay = delay.max(EMPTY_INTERVAL.saturating_mul(count));
                self.pause(shared, now, id, delay, Pause::QueueEmpty);
            }
            Verdict::Forward(place) => {
                owned.empty = None;
                if shared.lines.may(now) {
                    tracing::warn!(queue = %owned.queue, at, place, "the messages below have expired; going on behind them");
                }
                self.go_on_at(shared, now, id, place);
            }
            Verdict::Reset(place) => {
                owned.empty = None;
                if shared.lines.may(now) {
                    tracing::warn!(queue = %owned.queue, at, place, "the group's offset was reset");
                }
                self.go_on_at(shared, now, id, place);
            }
            Verdict::Beyond { min, max } => {
                let empty_since = owned.empty.take();
                self.position_is_beyond(shared, now, id, empty_since, (min, max));
            }
        }
    }
}

/// A delivery of a cached message.
pub(super) fn delivery(
    owned: &OwnedQueue,
    token: ConsumeToken,
    message: PulledMessage,
    retry_topic: &Arc<str>,
) -> Delivery {
    let origin_topic = origin_topic(owned, &message, retry_topic);
    Delivery { token, message, origin_topic }
}

/// The topic that the user subscribed to, where it is not the queue's.
/// Java: `DefaultMQPushConsumerImpl#resetRetryAndNamespace`.
fn origin_topic(owned: &OwnedQueue, message: &PulledMessage, retry_topic: &Arc<str>) -> Option<Arc<str>> {
    if owned.queue.topic != *retry_topic {
        return None;
    }
    message.property(property::RETRY_TOPIC).map(Into::into)
}

/// The topic that the user subscribed to.
pub(super) fn real_topic(owned: &OwnedQueue, message: &PulledMessage, retry_topic: &Arc<str>) -> Arc<str> {
    origin_topic(owned, message, retry_topic).unwrap_or_else(|| owned.queue.topic.clone())
}

/// Why a reply is not the one that was hoped for.
pub(super) fn cause_of(reply: Reply) -> Cause {
    match reply {
        Ok(command) => {
            let code = ResponseCode(command.code);
            Cause::Answered { code, remark: command.remark.unwrap_or_default() }
        }
        Err(failure) => failure.cause,
    }
}

pub(super) fn bad_answer(reason: impl Display) -> Cause {
    Cause::BadAnswer { reason: reason.to_string().into() }
}
