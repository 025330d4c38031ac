//! The name server's settings as tools see and change them. Java: `Configuration`, `NamesrvConfig`.
//!
//! Only what this name server has is shown.

use rocketmq_client_core::remoting::RemotingCommand;
use rocketmq_client_core::time::Instant;

use super::{NameServer, NameServerConfig};
use crate::asker::Asker;
use crate::processor::Handled;
use crate::settings::{Setting, bool_setting, change, millis_setting, seconds_setting, show};

/// Java: `configBlackList` with its own name, and what always belongs to it.
const FIXED: [&str; 4] = ["configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome"];

const SETTINGS: &[Setting<NameServerConfig>] = &[
    bool_setting!("orderMessageEnable", order_message),
    millis_setting!("scanNotActiveBrokerInterval", scan_period),
    seconds_setting!("serverChannelMaxIdleTimeSeconds", idle),
];

impl NameServer {
    pub(super) fn settings(&mut self, now: Instant, asker: &Asker) -> Handled {
        self.replier.body(now, asker, show(SETTINGS, &self.config)?);
        Ok(())
    }

    pub(super) fn change_settings(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        change(SETTINGS, &mut self.config, &FIXED, &command.body)?;
        self.replier.ok(now, asker);
        Ok(())
    }
}
