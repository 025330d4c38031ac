//! Counts what a client has done so far.

use crate::id::OperationId;
use crate::output::{ClientStatistics, Outcome};

use super::Client;

impl Client {
    /// What it has done so far.
    #[must_use]
    pub fn statistics(&self) -> ClientStatistics {
        ClientStatistics {
            connections: self.shared.channels.statistics(),
            consumers: self.consumers.iter().map(crate::consumer::PushConsumer::statistics).collect(),
        }
    }

    pub(super) fn tell_statistics(&mut self, operation: OperationId) {
        let statistics = alloc::boxed::Box::new(self.statistics());
        self.shared.complete(operation, Outcome::Statistics(statistics));
    }
}
