//! What a broker says that can't be true, and how that is seen. Java believes all of it: one record with a wrong
//! offset moves what it commits for good.

use super::PushConsumer;
use crate::id::ProcessQueueId;
use crate::output::BadAnswer;
use crate::shared::Shared;
use crate::time::Instant;

/// How far the numbers of an answer to a pull are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weighed {
    /// All of them: the queue goes on here, whatever the answer has of messages.
    To(i64),
    /// Its messages below this offset: the queue goes on behind the last of them.
    RecordsBelow(i64),
    /// Nothing, this time: the end may follow.
    Again(BadAnswer),
    /// Nothing.
    Nothing(BadAnswer),
}

/// Weighs an answer to a pull at `at` that leads to `next` in a queue that ends at `max`. Brokers up to 4.9.4
/// read the end before the messages, so that `next` may be beyond it; then the end follows with the next answer.
/// A slave that lags leads to where it was asked, whatever it has itself.
pub(super) fn weigh(at: i64, next: i64, max: i64, found: bool) -> Weighed {
    if next < at || (found && next == at) {
        return Weighed::Nothing(BadAnswer::LeadsNowhere { at, next });
    }
    if next == at || next <= max {
        return Weighed::To(next);
    }
    let beyond = BadAnswer::BeyondTheEnd { at, next, max };
    match found {
        true if at < max => Weighed::RecordsBelow(max),
        true => Weighed::Nothing(beyond),
        false => Weighed::Again(beyond),
    }
}

impl PushConsumer {
    /// Counts and tells of an answer, or a record, that is left out.
    pub(super) fn count_bad_answer(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        bad: BadAnswer,
    ) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        owned.bad_answers += 1;
        owned.bad_answer = Some(bad);
        self.statistics[owned.topic_index].bad_answers += 1;
        if shared.lines.may(now) {
            tracing::warn!(queue = %owned.queue, answer = %bad, "a broker's answer can't be true; it is left out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer_is_believed_as_far_as_it_agrees_with_itself() {
        use Weighed::{Again, Nothing, RecordsBelow, To};
        let beyond = |at, next, max| BadAnswer::BeyondTheEnd { at, next, max };
        let nowhere = |at, next| BadAnswer::LeadsNowhere { at, next };
        for (what, at, next, max, found, expected) in [
            ("messages", 5, 8, 10, true, To(8)),
            ("messages up to the end", 5, 10, 10, true, To(10)),
            ("none that matches", 5, 8, 10, false, To(8)),
            ("none yet", 10, 10, 10, false, To(10)),
            ("none at a slave that lags", 10, 10, 7, false, To(10)),
            ("messages that came after the end was read", 5, 13, 10, true, RecordsBelow(10)),
            ("none, and the end was read before", 5, 13, 10, false, Again(beyond(5, 13, 10))),
            ("messages behind the end", 10, 13, 10, true, Nothing(beyond(10, 13, 10))),
            ("messages where there is no end", 5, 13, -1, true, Nothing(beyond(5, 13, -1))),
            ("back", 5, 4, 10, true, Nothing(nowhere(5, 4))),
            ("back, none", 5, -1, 10, false, Nothing(nowhere(5, -1))),
            ("messages that lead nowhere", 5, 5, 10, true, Nothing(nowhere(5, 5))),
        ] {
            assert_eq!(weigh(at, next, max, found), expected, "{what}");
        }
    }

    proptest! {
        #[test]
        fn nothing_beyond_the_end_is_believed(at in 0..60i64, next in -2..90i64, max in -2..70i64, found: bool) {
            match weigh(at, next, max, found) {
                Weighed::To(to) => prop_assert!(to == at || (at < to && to <= max)),
                Weighed::RecordsBelow(end) => prop_assert!(found && at < end && end <= max),
                Weighed::Again(_) => prop_assert!(!found && next > max),
                Weighed::Nothing(_) => prop_assert!(next < at || next > max || next == at),
            }
        }
    }
}
