//! Pulls that brokers refuse: what a refusal means, and what its queue waits for then.
//! Java: `DefaultMQPushConsumerImpl#pullMessage`, `PullCallback#onException`.

use alloc::sync::Arc;
use core::time::Duration;

use super::PushConsumer;
use super::pull::cause_of;
use super::queue::Pause;
use crate::channel::Reply;
use crate::client::Shared;
use crate::id::ProcessQueueId;
use crate::message::names;
use crate::remoting::ResponseCode;
use crate::route::MASTER_ID;
use crate::time::Instant;

/// Pause after a broker shed load. Java: `PULL_TIME_DELAY_MILLS_WHEN_BROKER_FLOW_CONTROL`.
const FLOW_CONTROL_DELAY: Duration = Duration::from_millis(20);

impl PushConsumer {
    pub(super) fn pull_refused(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        begun: Instant,
        reply: Reply,
    ) {
        let why = refusal(&reply);
        let Some(owned) = self.owned.get(id) else { return };
        let (queue, first, broker_id) = (owned.queue.clone(), owned.failures == 0, owned.broker_id);
        let cause = cause_of(reply);
        self.stats_of(id).pull_failures += 1;
        if first && why == Pause::Refused && !names::is_retry_topic(&queue.topic) {
            tracing::warn!(%queue, %cause, "a broker refuses pulls; trying on");
        } else {
            tracing::debug!(%queue, %cause, "pull failed");
        }
        match why {
            Pause::FlowControl => self.pause(shared, now, id, FLOW_CONTROL_DELAY, why),
            Pause::NotRegistered => {
                // Brokers answer heartbeats and pulls in different threads: it may know of us by now.
                let address = shared.routes.address(&queue.broker_name, broker_id);
                let since = address.and_then(|(address, _)| self.registered.get(address));
                if since.is_some_and(|since| *since > begun) {
                    return self.proceed(shared, now, id);
                }
                shared.heartbeat_soon(now);
                self.back_off(shared, now, id, why);
            }
            Pause::Refused => {
                // Topic or queue may be gone: the route knows.
                shared.look_up_route(now, &queue.topic, None);
                if let Some(owned) = self.owned.get_mut(id) {
                    owned.failures = owned.failures.saturating_add(1);
                    owned.broker_id = MASTER_ID;
                }
                self.pause(shared, now, id, self.config.pull_delay_when_exception, why);
            }
            _ => self.back_off(shared, now, id, why),
        }
    }

    /// No route names an address of the queue's broker.
    pub(super) fn no_address(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        topic: &Arc<str>,
    ) {
        shared.look_up_route(now, topic, None);
        self.back_off(shared, now, id, Pause::NoAddress);
    }
}

/// What a queue waits for after an answer that was none.
pub(super) fn refusal(reply: &Reply) -> Pause {
    match reply {
        Err(_) => Pause::Unreachable,
        Ok(command) => match ResponseCode(command.code) {
            ResponseCode::FLOW_CONTROL | ResponseCode::SYSTEM_BUSY => Pause::FlowControl,
            ResponseCode::SUBSCRIPTION_NOT_EXIST
            | ResponseCode::SUBSCRIPTION_NOT_LATEST
            | ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST => Pause::NotRegistered,
            _ => Pause::Refused,
        },
    }
}
