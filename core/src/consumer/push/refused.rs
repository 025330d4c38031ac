//! Requests that brokers refuse: what a refusal means, how long its queue waits, and who is asked about it.
//! Java: `DefaultMQPushConsumerImpl#pullMessage`, `PullCallback#onException`.

use alloc::sync::Arc;
use core::time::Duration;

use super::PushConsumer;
use super::pull::cause_of;
use super::queue::RETRY_DELAY_MIN;
use crate::channel::Reply;
use crate::id::ProcessQueueId;
use crate::output::Pause;
use crate::remoting::ResponseCode;
use crate::shared::Shared;
use crate::time::Instant;

/// The first pause after a broker shed load; each further one is twice as long. Java:
/// `PULL_TIME_DELAY_MILLS_WHEN_BROKER_FLOW_CONTROL`, which does not grow.
const FLOW_CONTROL_DELAY: Duration = Duration::from_millis(20);

impl PushConsumer {
    /// A pull brought nothing that could be taken for an answer.
    pub(super) fn pull_refused(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        begun: Instant,
        reply: Reply,
    ) {
        self.stats_of(id).pull_failures += 1;
        self.refused(shared, now, id, Some(begun), reply);
    }

    /// A request for a queue failed.
    pub(super) fn refused(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        begun: Option<Instant>,
        reply: Reply,
    ) {
        let why = refusal(&reply);
        let Some(owned) = self.owned.get(id) else { return };
        let cause = cause_of(reply);
        if why == Pause::Unreachable && !self.has_gate(&owned.queue.broker_name) {
            tracing::debug!(queue = %owned.queue, %cause, "pull failed");
            return self.back_off(shared, now, id, why);
        }
        // Brokers answer heartbeats and pulls in different threads: it may know of us by now.
        if why == Pause::NotRegistered && owned.failures == 0 {
            let address = shared.routes.address(&owned.queue.broker_name, owned.broker_id);
            let since = address.and_then(|(address, _)| self.registered.get(address));
            if since.is_some_and(|since| begun.is_some_and(|begun| *since > begun)) {
                if let Some(owned) = self.owned.get_mut(id) {
                    owned.failures = 1;
                }
                return self.proceed(shared, now, id);
            }
        }
        self.wait_at_gate(shared, now, id, why, (Some(&cause), begun));
    }

    /// Who may know better after a refusal: the route where a queue should be, and the broker, with a
    /// heartbeat, who its members are.
    pub(super) fn ask_around(&self, shared: &mut Shared, now: Instant, why: Pause, topic: &Arc<str>) {
        match why {
            Pause::NotRegistered | Pause::NoGroup => shared.heartbeat_soon(now),
            Pause::NoTopic | Pause::NoQueue | Pause::Forbidden | Pause::Refused | Pause::NoAddress => {
                shared.doubt_route(now, topic, None);
            }
            _ => {}
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
        self.stats_of(id).pull_failures += 1;
        self.ask_around(shared, now, Pause::NoAddress, topic);
        self.back_off(shared, now, id, Pause::NoAddress);
    }
}

/// What a queue waits for after an answer that was none.
fn refusal(reply: &Reply) -> Pause {
    reply.as_ref().map_or(Pause::Unreachable, |command| reason(ResponseCode(command.code)))
}

/// What a broker means that answers so.
fn reason(code: ResponseCode) -> Pause {
    match code {
        ResponseCode::FLOW_CONTROL => Pause::FlowControl,
        ResponseCode::SYSTEM_BUSY | ResponseCode::SERVICE_NOT_AVAILABLE => Pause::Busy,
        ResponseCode::SUBSCRIPTION_NOT_EXIST | ResponseCode::SUBSCRIPTION_NOT_LATEST => Pause::NotRegistered,
        ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST => Pause::NoGroup,
        ResponseCode::TOPIC_NOT_EXIST => Pause::NoTopic,
        ResponseCode::NO_PERMISSION => Pause::Forbidden,
        ResponseCode::INVALID_PARAMETER | ResponseCode::NOT_LEADER_FOR_QUEUE => Pause::NoQueue,
        _ => Pause::Refused,
    }
}

/// The first pause; doubles up to
/// [`pull_delay_when_exception`](crate::config::PushConsumerConfig::pull_delay_when_exception).
pub(super) fn first_pause(why: Pause) -> Duration {
    if why == Pause::FlowControl { FLOW_CONTROL_DELAY } else { RETRY_DELAY_MIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_reason_and_a_first_pause() {
        for (code, why, first_ms) in [
            (1, Pause::Refused, 100),
            (2, Pause::Busy, 100),
            (3, Pause::Refused, 100),
            (13, Pause::Refused, 100),
            (14, Pause::Busy, 100),
            (16, Pause::Forbidden, 100),
            (17, Pause::NoTopic, 100),
            (22, Pause::Refused, 100),
            (23, Pause::Refused, 100),
            (24, Pause::NotRegistered, 100),
            (25, Pause::NotRegistered, 100),
            (26, Pause::NoGroup, 100),
            (27, Pause::Refused, 100),
            (29, Pause::NoQueue, 100),
            (215, Pause::FlowControl, 20),
            (501, Pause::NoQueue, 100),
            (-1, Pause::Refused, 100),
            (i32::MAX, Pause::Refused, 100),
        ] {
            assert_eq!(reason(ResponseCode(code)), why, "{code}");
            assert_eq!(first_pause(why), Duration::from_millis(first_ms), "{code}");
        }
    }
}
