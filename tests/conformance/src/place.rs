//! The brokers that scenarios are run on.

use std::env;
use std::fmt;
use std::time::Duration;

use rocketmq_dev_broker::{DelayLevels, DevBroker};

use crate::Verdict;

/// Name server and broker of a scenario.
#[derive(Debug)]
pub enum Place {
    /// The dev broker, in this process.
    Dev(DevBroker),
    /// Apache RocketMQ, started by `tests/apache/run`.
    Apache {
        /// The name server's address.
        name_server: String,
    },
}

impl Place {
    /// All that are to be tried: the dev broker, and Apache RocketMQ at `RMQ_NAMESRV` where
    /// `RMQ_APACHE=1`.
    ///
    /// # Errors
    /// The dev broker does not start, or `RMQ_NAMESRV` is not set.
    pub fn all() -> Verdict<Vec<Self>> {
        let mut places = vec![Self::Dev(DevBroker::builder().delay_levels(short_delays()?).start()?)];
        if env::var("RMQ_APACHE").is_ok_and(|wanted| wanted == "1") {
            let name_server = env::var("RMQ_NAMESRV")
                .map_err(|_| "RMQ_APACHE=1 needs RMQ_NAMESRV: use tests/apache/run")?;
            places.push(Self::Apache { name_server });
        }
        Ok(places)
    }

    /// The name server, as `host:port`.
    #[must_use]
    pub fn name_server(&self) -> String {
        match self {
            Self::Dev(broker) => broker.addr(),
            Self::Apache { name_server } => name_server.clone(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dev(_) => "dev broker",
            Self::Apache { .. } => "Apache RocketMQ",
        })
    }
}

/// Eighteen delay levels as a broker has, only shorter, so that a retry takes no seconds.
fn short_delays() -> Verdict<DelayLevels> {
    Ok(DelayLevels::new((1..=18).map(|level| Duration::from_millis(50 * level)))?)
}
