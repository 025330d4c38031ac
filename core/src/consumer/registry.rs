//! All consumers of a client: who hears what.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::channel::Reply;
use crate::client::{Outcome, Shared};
use crate::config::PushConsumerConfig;
use crate::error::{Error, UsageError};
use crate::id::{ConsumerId, OperationId};
use crate::remoting::ConsumerData;
use crate::route::RouteOutcome;
use crate::time::Instant;

use super::{Ack, ConsumeToken, ConsumerRequest, ConsumerTimer};

#[derive(Clone, Debug)]
enum PushConsumer {}

/// The consumers, in the order they were started.
#[derive(Clone, Debug, Default)]
pub struct Consumers {
    table: BTreeMap<ConsumerId, PushConsumer>,
}

#[expect(
    unused_variables,
    clippy::unused_self,
    clippy::needless_pass_by_ref_mut,
    clippy::needless_pass_by_value,
    reason = "the machine is on its way"
)]
impl Consumers {
    /// Refused until the machine is here.
    pub fn start(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        operation: OperationId,
        id: ConsumerId,
        config: Arc<PushConsumerConfig>,
    ) {
        shared.complete(operation, Outcome::Failed(Error::Closed));
    }
    /// .
    pub fn close(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ConsumerId,
        closing: (Option<OperationId>, Instant),
    ) {
        shared.complete_done(closing.0);
    }
    /// .
    pub fn close_all(&mut self, shared: &mut Shared, now: Instant, deadline: Instant) {}
    /// .
    pub fn abandon_all(&mut self, shared: &mut Shared, now: Instant) {}
    /// .
    pub fn handle_settled(&mut self, shared: &mut Shared, now: Instant, token: ConsumeToken, ack: Ack) {}
    /// .
    pub fn handle_reply(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ConsumerId,
        request: ConsumerRequest,
        reply: Reply,
    ) {
    }
    /// .
    pub fn handle_timer(&mut self, shared: &mut Shared, now: Instant, id: ConsumerId, timer: ConsumerTimer) {}
    /// .
    pub fn handle_route(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        topic: &Arc<str>,
        outcome: &RouteOutcome,
    ) {
    }
    /// .
    pub fn handle_members_changed(&mut self, shared: &mut Shared, now: Instant, group: &str) {}
    /// .
    pub fn handle_broker_connected(&mut self, shared: &mut Shared, now: Instant, address: &Arc<str>) {}
    /// .
    pub fn handle_broker_lost(&mut self, shared: &mut Shared, now: Instant, address: &Arc<str>) {}
    /// .
    pub fn handle_heartbeat_done(&mut self, shared: &mut Shared, now: Instant, ok: bool) {}
    /// .
    #[must_use]
    pub fn heartbeat_data(&self) -> Vec<ConsumerData> {
        Vec::new()
    }
    /// .
    pub fn topics(&self) -> impl Iterator<Item = &Arc<str>> {
        core::iter::empty()
    }
    /// .
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}
