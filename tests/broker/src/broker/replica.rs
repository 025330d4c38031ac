//! A slave follows its master: the log as it is written, the tables from time to time.
//! Java: `HAClient`, `SlaveSynchronize`.

use rocketmq_client_core::remoting::{RequestCode, ResponseCode};
use rocketmq_client_core::route::MASTER_ID;
use rocketmq_client_core::time::Instant;

use super::Broker;
use crate::asker::Refusal;

impl Broker {
    /// Whether its id is not that of a master. A slave takes no messages, delivers no delayed ones, asks no
    /// producers, and can be pulled from with [`BrokerConfig::slave_read`](crate::BrokerConfig::slave_read).
    #[must_use]
    pub fn is_slave(&self) -> bool {
        self.config.broker_id != MASTER_ID
    }

    /// Takes over what the master has, but for its newest `behind` records; and every minute, when that is
    /// due, its topics, groups, committed offsets and the progress of delayed messages. What the master has lost
    /// is lost here, too. To be called after inputs to either; nothing happens while one of them is frozen.
    pub fn replicate(&mut self, now: Instant, master: &Self, behind: u64) {
        self.advance(now);
        if self.faults.is_frozen() || master.faults.is_frozen() {
            return;
        }
        self.store.follow(now, &master.store, behind);
        if self.timers.take_tables_due() {
            self.topics = master.topics.clone();
            self.topics.take_changed();
            self.groups = master.groups.clone();
            self.offsets.take_over(&master.offsets);
            self.delay = master.delay.clone();
            self.assignments.modes = master.assignments.modes.clone();
        }
        self.dispatch(now);
    }

    /// Its master is not there: what was due of its tables is not tried again before the next period.
    pub fn skip_replication(&mut self) {
        self.timers.take_tables_due();
    }

    /// How a slave turns requests away before it looks at them. Java: `NettyRequestProcessor#rejectRequest`.
    pub(crate) fn reject_at_slave(&self, code: RequestCode) -> Result<(), Refusal> {
        let is_write = matches!(
            code,
            RequestCode::SEND_MESSAGE
                | RequestCode::SEND_MESSAGE_V2
                | RequestCode::SEND_BATCH_MESSAGE
                | RequestCode::CONSUMER_SEND_MSG_BACK
        );
        let is_read = matches!(code, RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE);
        if self.is_slave() && (is_write || (is_read && !self.config.slave_read)) {
            let remark = "[REJECTREQUEST]system busy, start flow control for a while";
            return Err(Refusal::new(ResponseCode::SYSTEM_BUSY, remark));
        }
        Ok(())
    }
}
