//! Asking a broker where a queue goes on whose position is in doubt.

use alloc::sync::Arc;
use core::time::Duration;

use bytes::Bytes;

use super::pull::cause_of;
use super::queue::{Fetch, OwnedQueue, RETRY_DELAY_MIN};
use super::{BadAnswer, PushConsumer};
use crate::channel::Reply;
use crate::consumer::ConsumerRequest;
use crate::id::ProcessQueueId;
use crate::message::MessageQueue;
use crate::output::Pause;
use crate::remoting::{
    GetMaxOffsetRequestHeader, GetMaxOffsetResponseHeader, ResponseCode, SearchOffsetRequestHeader,
};
use crate::route::MASTER_ID;
use crate::shared::Shared;
use crate::time::{Instant, Timestamp, doubled};

/// How often a broker may refuse to say where a queue goes on, or say what can't be, before the queue goes
/// on at its end. About ten seconds with the pauses between at the defaults.
const REFUSALS_MAX: u32 = 12;

/// What the broker is to be asked before a queue goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    ask: Ask,
    /// Attempts that came to nothing.
    tries: u32,
    /// Of these, the ones that the broker answered, but not with a place.
    refusals: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// The queue ends below the position, or has been empty since. Where is the first message that was stored
    /// after the newest one that was fetched? In a queue that lost its tail that is its end then, in a new one
    /// its begin; nothing that lies beyond the position is passed over. Brokers of 4.x name the nearest message,
    /// so that one may come twice.
    StoredSince { time: Timestamp, min: i64, max: i64 },
    /// Does the queue reach this offset, which an operator wants?
    End { wanted: i64 },
}

impl Question {
    fn new(ask: Ask) -> Self {
        Self { ask, tries: 0, refusals: 0 }
    }

    /// After so many answers that did not fit.
    fn after(misfits: u32, ask: Ask) -> Self {
        Self { refusals: misfits, ..Self::new(ask) }
    }

    /// Where does the queue end? The group is to stand here, if it can.
    pub(super) fn end(wanted: i64) -> Self {
        Self::new(Ask::End { wanted })
    }

    /// The offset of a reset that is to be weighed.
    pub(super) fn wanted(self) -> Option<i64> {
        match self.ask {
            Ask::End { wanted } => Some(wanted),
            Ask::StoredSince { .. } => None,
        }
    }
}

/// The place in an answer, or what is wrong with it.
fn place_of(ask: Ask, offset: i64) -> Result<i64, BadAnswer> {
    match ask {
        // Nothing lies below the first: there is no harm in a place before it.
        Ask::StoredSince { min, max, .. } if (0..=max).contains(&offset) => Ok(offset.max(min)),
        Ask::End { wanted } if offset >= 0 => Ok(wanted.min(offset)),
        Ask::StoredSince { min, max, .. } => Err(BadAnswer::Place { offset, min, max }),
        Ask::End { wanted } => Err(BadAnswer::Place { offset, min: 0, max: wanted }),
    }
}

/// Whether a place that was found by time lies beyond the end that the broker told of the queue, and the broker
/// may still be asked which it is.
fn is_beyond(question: Question, offset: i64) -> bool {
    matches!(question.ask, Ask::StoredSince { max, .. } if offset > max)
        && question.refusals + 1 < REFUSALS_MAX
}

impl OwnedQueue {
    /// What was stored later is new: than the newest message that was fetched, or, where this stay has fetched
    /// none, than a pull was begun that was told that the queue is empty. The client's clock is believed there.
    fn known_until(&self, empty_since: Option<Timestamp>) -> Option<Timestamp> {
        let time = self.newest.map(|newest| newest.time).or(empty_since);
        time.filter(|time| time.as_millis() > 0)
    }
}

impl PushConsumer {
    /// The queue ends below where it stood; before, it may have been said to be empty.
    pub(super) fn position_is_beyond(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        empty_since: Option<Timestamp>,
        (min, max): (i64, i64),
    ) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        let at = owned.next_offset.unwrap_or_default();
        let Some(time) = owned.known_until(empty_since) else {
            if shared.lines.may(now) {
                tracing::warn!(queue = %owned.queue, at, end = max, "the queue ends below the group's offset; going on at its end");
            }
            return self.go_on_at(shared, now, id, max);
        };
        if shared.lines.may(now) {
            tracing::warn!(
                queue = %owned.queue, at, end = max,
                "the queue ends below the offset that was reached: its tail was lost, or it was made anew; asking by time"
            );
        }
        self.ask_by_time(shared, now, id, Ask::StoredSince { time, min, max });
    }

    /// The queue was said to be empty and has messages. If it was made anew, the first ones lie below where it
    /// stood, which only their time can tell; a broker that had not built it yet after a start finds none there.
    /// False when there is no time to ask with.
    pub(super) fn was_empty(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        since: Timestamp,
        (min, max): (i64, i64),
    ) -> bool {
        let Some(owned) = self.owned.get_mut(id) else { return false };
        let at = owned.next_offset.unwrap_or_default();
        let Some(time) = owned.known_until(Some(since)).filter(|_| at <= max) else { return false };
        if shared.lines.may(now) {
            tracing::info!(queue = %owned.queue, at, end = max, "the queue has messages again; asking by time whether it was made anew");
        }
        self.ask_by_time(shared, now, id, Ask::StoredSince { time, min: min.clamp(0, at), max });
        true
    }

    fn ask_by_time(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, ask: Ask) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        let question = Question::after(owned.misfits, ask);
        owned.question = Some(question);
        self.offsets.hold(&owned.queue);
        self.ask_place(shared, now, id, question);
    }

    pub(super) fn ask_place(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        question: Question,
    ) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        let queue = owned.queue.clone();
        let Some((address, _)) = shared.routes.address(&queue.broker_name, MASTER_ID) else {
            shared.doubt_route(now, &queue.topic, None);
            return self.ask_place_later(shared, now, id, Pause::NoAddress);
        };
        let address = address.clone();
        owned.fetch = Fetch::Asking;
        let purpose = self.purpose(ConsumerRequest::Place(id));
        let deadline = now + shared.config.request_timeout;
        let (topic, queue_id) = ((&*queue.topic).into(), queue.queue_id);
        match question.ask {
            Ask::StoredSince { time, .. } => {
                // Later by one: of those that were stored in the same millisecond some may be left.
                let timestamp = time.as_millis().saturating_add(1);
                let header = SearchOffsetRequestHeader {
                    topic,
                    queue_id,
                    timestamp,
                    ..SearchOffsetRequestHeader::default()
                };
                shared.request(now, &address, &header, Bytes::new(), deadline, purpose);
            }
            Ask::End { .. } => {
                let header =
                    GetMaxOffsetRequestHeader { topic, queue_id, ..GetMaxOffsetRequestHeader::default() };
                shared.request(now, &address, &header, Bytes::new(), deadline, purpose);
            }
        }
    }

    /// The broker has said where the queue goes on, or has not.
    pub(super) fn handle_place(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        reply: Reply,
    ) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        let (Some(question), Fetch::Asking) = (owned.question, owned.fetch) else { return };
        let queue = owned.queue.clone();
        let why = match &reply {
            Err(_) => Pause::Unreachable,
            Ok(command) => match ResponseCode(command.code) {
                // Both answers have the one field `offset`.
                ResponseCode::SUCCESS => match command.header::<GetMaxOffsetResponseHeader>() {
                    Ok(header) => match place_of(question.ask, header.offset) {
                        Ok(place) => return self.place_is_known(shared, now, id, question.ask, place),
                        Err(bad) => {
                            self.count_bad_answer(shared, now, id, bad);
                            if is_beyond(question, header.offset) {
                                return self.ends_do_not_fit(shared, now, id, question);
                            }
                            Pause::BadAnswer
                        }
                    },
                    Err(_) => {
                        self.count_bad_answer(shared, now, id, BadAnswer::Header);
                        Pause::BadAnswer
                    }
                },
                ResponseCode::SYSTEM_BUSY | ResponseCode::FLOW_CONTROL => Pause::FlowControl,
                _ => Pause::Refused,
            },
        };
        let cause = cause_of(reply);
        tracing::debug!(%queue, %cause, "where the queue goes on is not known yet; asking again");
        let Some(owned) = self.owned.get_mut(id) else { return };
        let refused = matches!(why, Pause::BadAnswer | Pause::Refused);
        let refusals = question.refusals + u32::from(refused);
        owned.question = Some(Question { refusals, ..question });
        if refusals >= REFUSALS_MAX {
            return self.place_stays_unknown(shared, now, id, &queue, question.ask);
        }
        self.ask_place_later(shared, now, id, why);
    }

    /// The broker finds a message, or its end, beyond the end that it told before. One of both is wrong, and
    /// only another pull can tell which: it goes out at once the first time.
    fn ends_do_not_fit(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, question: Question) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        owned.question = None;
        self.offsets.let_go(&owned.queue);
        owned.misfits = question.refusals + 1;
        if owned.misfits == 1 {
            return self.proceed(shared, now, id);
        }
        self.back_off(shared, now, id, Pause::BadAnswer);
    }

    fn ask_place_later(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, why: Pause) {
        let max = self.config.pull_delay_when_exception;
        let Some(question) = self.owned.get_mut(id).and_then(|owned| owned.question.as_mut()) else { return };
        let delay: Duration = doubled(RETRY_DELAY_MIN, question.tries, max);
        question.tries = question.tries.saturating_add(1);
        self.pause(shared, now, id, delay, why);
    }

    fn place_is_known(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        ask: Ask,
        place: i64,
    ) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        match ask {
            Ask::StoredSince { time, max, .. } => {
                let (at, since) = (owned.next_offset.unwrap_or_default(), time.as_millis());
                let place = place.min(at);
                if place < at && owned.newest.is_some_and(|newest| newest.offset < place) {
                    return self.look_again_from(shared, now, id, place);
                }
                if shared.lines.may(now) {
                    tracing::warn!(queue = %owned.queue, at, end = max, since, place, "the queue goes on here");
                }
                self.go_on_at(shared, now, id, place);
            }
            Ask::End { wanted } => {
                if place < wanted && shared.lines.may(now) {
                    tracing::warn!(queue = %owned.queue, wanted, end = place, "the queue ends below the offset that it was reset to; going on at its end");
                }
                self.begin_at(shared, now, id, place);
            }
        }
    }

    /// The broker does not tell. The end is where a queue goes on that lost its tail, which happens more often
    /// than that a topic is made anew.
    fn place_stays_unknown(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        queue: &Arc<MessageQueue>,
        ask: Ask,
    ) {
        let at = self.owned.get(id).and_then(|owned| owned.next_offset).unwrap_or_default();
        match ask {
            Ask::StoredSince { max, .. } => {
                if shared.lines.may(now) {
                    tracing::warn!(%queue, at, end = max, "the broker does not tell where the queue goes on; going on at its end, if that is below");
                }
                self.go_on_at(shared, now, id, max.min(at));
            }
            Ask::End { wanted } => {
                if shared.lines.may(now) {
                    tracing::warn!(%queue, wanted, "the broker does not tell where the queue ends; the reset counts for nothing");
                }
                let Some(owned) = self.owned.get_mut(id) else { return };
                owned.question = None;
                owned.next_offset = None;
                self.proceed(shared, now, id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_believed_inside_of_the_queue_only() {
        let since = Ask::StoredSince { time: Timestamp::from_millis(5), min: 10, max: 20 };
        for (offset, expected) in
            [(10, Some(10)), (15, Some(15)), (20, Some(20)), (0, Some(10)), (9, Some(10))]
        {
            assert_eq!(place_of(since, offset).ok(), expected, "{offset}");
        }
        for offset in [21, i64::MAX, -1, i64::MIN] {
            assert_eq!(place_of(since, offset), Err(BadAnswer::Place { offset, min: 10, max: 20 }));
        }
        let end = Ask::End { wanted: 10 };
        assert_eq!((place_of(end, 7), place_of(end, 10), place_of(end, 99)), (Ok(7), Ok(10), Ok(10)));
        assert!(place_of(end, -1).is_err());
    }
}
