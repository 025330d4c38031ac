//! P07, P08 and P09: what a send reports is true, and comes in time.

use std::time::Duration;

use rocketmq_client_core::error::Error;
use rocketmq_client_core::producer::SendReceipt;
use rocketmq_client_core::remoting::ResponseCode;
use rocketmq_client_core::time::Instant;

use super::{Monitor, Property};
use crate::history::MessageNumber;

/// How late a send may end: one turn of the timer.
const LATE_MAX: Duration = Duration::from_millis(1);

/// How a send ended.
#[derive(Debug)]
pub(crate) struct SendResult {
    pub(crate) message: MessageNumber,
    pub(crate) elapsed: Duration,
    pub(crate) budget: Duration,
    pub(crate) result: Result<SendReceipt, Error>,
}

impl Monitor {
    /// A warm-up ended.
    pub(crate) fn warm_up_ended(&mut self, now: Instant, elapsed: Duration, budget: Duration) {
        let in_time = elapsed <= budget + LATE_MAX;
        self.verdicts.check(Property::SendEndsWithinItsBudget, now, in_time, || {
            format!("a warm-up took {elapsed:?} of {budget:?}")
        });
    }

    /// A send ended.
    pub(crate) fn send_ended(&mut self, now: Instant, sent: &SendResult) {
        let SendResult { message, elapsed, budget, result } = sent;
        let Self { verdicts, history, reported, .. } = self;
        verdicts.check(Property::SendEndsWithinItsBudget, now, *elapsed <= *budget + LATE_MAX, || {
            format!("send of {message:?} took {elapsed:?} of {budget:?}: {result:?}")
        });
        match result {
            Ok(receipt) => {
                let there = history.stored(*message).iter().any(|stored| is_at(stored, receipt));
                verdicts.check(Property::StoredIsInTheLog, now, there, || {
                    format!("{message:?} is reported at {receipt} but is at {:?}", history.stored(*message))
                });
                reported.push((*message, receipt.clone()));
            }
            Err(error) => {
                if surely_not_stored(error) {
                    self.not_stored.push((*message, error.to_string()));
                }
            }
        }
    }

    /// Brokers answered when they had flushed: no loss of power took what was reported as stored.
    pub(crate) fn check_kept(&mut self, now: Instant) {
        let Self { verdicts, history, reported, .. } = self;
        for (message, receipt) in reported {
            let mut stored = history.stored(*message).iter();
            let kept = stored.any(|stored| is_at(stored, receipt) && !stored.lost);
            verdicts.check(Property::StoredIsInTheLog, now, kept, || {
                format!("{message:?} was reported at {receipt} and flushed, but a loss of power took it")
            });
        }
    }

    /// Late frames may still be carried out after a failure was reported, so that is looked at last.
    pub(crate) fn check_not_stored(&mut self, now: Instant) {
        let Self { verdicts, history, not_stored, .. } = self;
        for (message, error) in not_stored {
            let stored = history.stored(*message);
            verdicts.check(Property::NotSentIsInNoLog, now, stored.is_empty(), || {
                format!("the send of {message:?} ended with \"{error}\" but it is at {stored:?}")
            });
        }
    }
}

fn is_at(stored: &crate::history::Stored, receipt: &SendReceipt) -> bool {
    let (queue, reported) = (&stored.queue, &receipt.queue);
    stored.queue_offset == receipt.queue_offset
        && queue.queue_id == reported.queue_id
        && queue.broker == reported.broker_name
        && queue.topic == reported.topic
}

/// A refusal says so only by its code: `SYSTEM_ERROR` may follow the append.
fn surely_not_stored(error: &Error) -> bool {
    match error {
        Error::NotSent(_) | Error::Unreachable(_) | Error::Full(_) | Error::Usage(_) => true,
        Error::Refused(_) => error.code() != Some(ResponseCode::SYSTEM_ERROR),
        _ => false,
    }
}
