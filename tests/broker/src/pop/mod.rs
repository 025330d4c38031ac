//! What a broker remembers of pops: check points of messages that nobody else may get for a while,
//! batches of orderly pops, and requests that wait for messages.

pub(crate) mod check_point;
pub(crate) mod order;
pub(crate) mod poll;

use self::check_point::CheckPoints;
use self::order::OrderTable;
use self::poll::PollTable;

/// The state of all pops.
#[derive(Clone, Debug, Default)]
pub(crate) struct PopService {
    pub(crate) check_points: CheckPoints,
    pub(crate) orders: OrderTable,
    pub(crate) polls: PollTable,
    /// Pops so far; decides the revive queue of the next one. Java: `ckMessageNumber`.
    pub(crate) popped: i32,
}

impl PopService {
    /// What the next process of the broker knows after a clean end: all but who waited.
    pub(crate) fn started_again(&self) -> Self {
        Self {
            check_points: self.check_points.clone(),
            orders: self.orders.started_again(),
            ..Self::default()
        }
    }

    /// When the next check point or waiting request must be looked at by the broker's wall clock,
    /// in Unix milliseconds, check points aside.
    pub(crate) fn polls_due_ms(&self) -> Option<i64> {
        if self.polls.is_empty() {
            return None;
        }
        self.polls.due_ms().into_iter().chain(self.orders.next_free_ms()).min()
    }
}
