//! Queue locks. Java: `AdminBrokerProcessor#lockBatchMQ`, `#unlockBatchMQ`.

use rocketmq_client_core::remoting::{
    LockBatchRequestBody, LockBatchResponseBody, RemotingCommand, UnlockBatchRequestBody,
};
use rocketmq_client_core::time::Instant;

use super::{Handled, bad_body};
use crate::asker::Asker;
use crate::broker::Broker;

impl Broker {
    pub(crate) fn lock_batch(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let LockBatchRequestBody { client_id, consumer_group, mut mq_set, .. } =
            LockBatchRequestBody::decode(&command.body).map_err(|error| bad_body("list of queues", error))?;
        mq_set.retain(|queue| self.locks.lock(now, &consumer_group, queue, &client_id));
        let body = LockBatchResponseBody { lock_ok_mq_set: mq_set };
        self.replier.body(now, asker, body.encode());
        Ok(())
    }

    pub(crate) fn unlock_batch(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let request = UnlockBatchRequestBody::decode(&command.body)
            .map_err(|error| bad_body("list of queues", error))?;
        for queue in &request.mq_set {
            self.locks.unlock(&request.consumer_group, queue, &request.client_id);
        }
        self.replier.ok(now, asker);
        Ok(())
    }
}
