//! What it means when a broker answers a pull with `PULL_OFFSET_MOVED`: the position is not one that it has,
//! or an operator wants another one. Java goes to the answer's `nextBeginOffset` whatever it is, commits that,
//! and drops what is cached (`DefaultMQPushConsumerImpl`, `OFFSET_ILLEGAL`): messages that handlers had below
//! a lost tail are passed over, and so are the first ones of a topic that was made anew.

/// The numbers of such an answer, and where the queue stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// Where the pull began.
    pub(super) at: i64,
    /// Where the broker wants it to begin.
    pub(super) next: i64,
    /// The first offset that the broker has.
    pub(super) min: i64,
    /// Where its queue ends.
    pub(super) max: i64,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The numbers can't be: nothing is believed, and the broker is asked again.
    Nonsense,
    /// The queue has no message and never had one, by its broker's word. One that has not built its queues
    /// yet after a start says so as well, so the position is kept until the queue has an end.
    Empty,
    /// What was below is gone. What is cached is finished.
    Forward(i64),
    /// An operator wants the group to stand here, before or behind where it stood.
    Reset(i64),
    /// The queue ends below the position: its tail was lost, or it is a new queue of the same name. Only the
    /// time of its messages can tell which.
    Beyond {
        /// Its first offset.
        min: i64,
        /// Its end.
        max: i64,
    },
}

impl Facts {
    /// Where the position stood against the queue decides. `next` does not: asked above the end, brokers up to
    /// 4.9.3 answer 0 where the queue begins at 0, later ones their end.
    pub(super) fn verdict(self) -> Verdict {
        let Self { at, next, max, .. } = self;
        // A broker that has no object for the queue has no first offset either, and says -1.
        let min = if self.min == -1 && max == 0 { 0 } else { self.min };
        if next < 0 || min < 0 || max < min || next > max {
            return Verdict::Nonsense;
        }
        if max == 0 {
            return Verdict::Empty;
        }
        if at > max {
            // No broker says anything between of its own accord.
            let wanted = min < next && next < max;
            return if wanted { Verdict::Reset(next) } else { Verdict::Beyond { min, max } };
        }
        if at < min {
            return Verdict::Forward(next.max(min));
        }
        Verdict::Reset(next.max(min))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn verdict(at: i64, next: i64, min: i64, max: i64) -> Verdict {
        Facts { at, next, min, max }.verdict()
    }

    #[test]
    fn where_the_position_stood_decides() {
        let beyond = |min, max| Verdict::Beyond { min, max };
        for (what, at, next, min, max, expected) in [
            ("a lost tail", 520, 500, 0, 500, beyond(0, 500)),
            ("a lost tail, up to 4.9.3", 520, 0, 0, 500, beyond(0, 500)),
            ("a lost tail of an old queue", 520, 500, 300, 500, beyond(300, 500)),
            ("all but the first files lost", 520, 300, 300, 300, beyond(300, 300)),
            ("a new queue", 5_000, 10, 0, 10, beyond(0, 10)),
            ("a new queue, up to 4.9.3", 5_000, 0, 0, 10, beyond(0, 10)),
            ("reset after a loss", 520, 250, 0, 500, Verdict::Reset(250)),
            ("no message yet", 10_000, 0, 0, 0, Verdict::Empty),
            ("no queue yet", 10_000, 0, -1, 0, Verdict::Empty),
            ("expired", 3, 6, 6, 10, Verdict::Forward(6)),
            ("expired, and all of it", 3, 10, 10, 10, Verdict::Forward(10)),
            ("expired, and the answer is below as well", 3, 0, 6, 10, Verdict::Forward(6)),
            ("expired, and reset", 3, 8, 6, 10, Verdict::Forward(8)),
            ("before all", -1, 6, 6, 10, Verdict::Forward(6)),
            ("reset backward", 5_000, 1_000, 0, 10_000, Verdict::Reset(1_000)),
            ("reset to the first", 5_000, 0, 0, 10_000, Verdict::Reset(0)),
            ("reset to the end", 5_000, 10_000, 0, 10_000, Verdict::Reset(10_000)),
            ("reset at the end", 10_000, 1_000, 0, 10_000, Verdict::Reset(1_000)),
            ("reset to where it stands", 5_000, 5_000, 0, 10_000, Verdict::Reset(5_000)),
            ("reset below what is left", 5_000, 10, 20, 10_000, Verdict::Reset(20)),
            ("next is negative", 5, -1, 0, 10, Verdict::Nonsense),
            ("next is beyond the end", 5, 11, 0, 10, Verdict::Nonsense),
            ("next is far beyond the end", 5, i64::MAX, 0, 10, Verdict::Nonsense),
            ("the first is behind the end", 5, 3, 11, 10, Verdict::Nonsense),
            ("the first is negative", 5, 3, -1, 10, Verdict::Nonsense),
            ("the end is negative", 5, 0, 0, -1, Verdict::Nonsense),
            ("all are negative", 5, i64::MIN, i64::MIN, i64::MIN, Verdict::Nonsense),
        ] {
            assert_eq!(verdict(at, next, min, max), expected, "{what}");
        }
    }

    fn offset() -> impl Strategy<Value = i64> {
        prop_oneof![Just(i64::MIN), -3..0i64, 0..50i64, Just(i64::MAX)]
    }

    proptest! {
        #[test]
        fn no_place_lies_outside_of_what_the_broker_has(
            at in offset(), next in offset(), min in offset(), max in offset()
        ) {
            match verdict(at, next, min, max) {
                Verdict::Forward(place) => {
                    prop_assert!(place > at && min <= place && place <= max);
                }
                Verdict::Reset(place) => prop_assert!(min <= place && place <= max),
                Verdict::Beyond { min, max } => prop_assert!(0 <= min && min <= max && max < at),
                Verdict::Empty => prop_assert_eq!(max, 0),
                Verdict::Nonsense => prop_assert!(
                    next < 0 || min < 0 || max < 0 || min > max || next > max
                ),
            }
        }

        #[test]
        fn both_answers_about_a_position_above_the_end_mean_the_same(
            max in 1..1_000i64, above in 1..1_000i64
        ) {
            let at = max + above;
            prop_assert_eq!(verdict(at, 0, 0, max), verdict(at, max, 0, max));
        }
    }
}
