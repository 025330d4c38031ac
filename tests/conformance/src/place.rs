//! The brokers that scenarios are run on.

use std::env;
use std::fmt;
use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use rocketmq_dev_broker::{Broker, DelayLevels, DevBroker};

use crate::{Adapter, Verdict, simulated};

/// The seed of the worlds to be tried, instead of one for each scenario.
const SEED_VARIABLE: &str = "RMQ_SIM_SEED";

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
    /// A world of the simulator, another one for each scenario.
    Simulated {
        /// What decides all that is left to chance in it.
        seed: u64,
    },
}

/// What a place is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A [`Place::Dev`] of its own.
    Dev,
    /// A [`Place::Apache`], the same for all.
    Apache {
        /// The name server's address.
        name_server: String,
    },
    /// A [`Place::Simulated`].
    Simulated {
        /// Of its worlds.
        seed: u64,
    },
}

impl Kind {
    /// A place of this kind. Scenarios that run there side by side with others on Apache RocketMQ meet them on no
    /// topic and in no group; those on the dev broker, which can be told to fail, meet nobody.
    ///
    /// # Errors
    /// The dev broker does not start.
    pub fn open(&self) -> Verdict<Place> {
        Ok(match self {
            Self::Dev => Place::Dev(DevBroker::builder().delay_levels(short_delays()?).start()?),
            Self::Apache { name_server } => Place::Apache { name_server: name_server.clone() },
            Self::Simulated { seed } => Place::Simulated { seed: *seed },
        })
    }
}

impl Place {
    /// All that are to be tried: the dev broker, simulated worlds, and Apache RocketMQ at `RMQ_NAMESRV`
    /// where `RMQ_APACHE=1`. With `RMQ_SIM_SEED` only worlds of this seed.
    ///
    /// # Errors
    /// `RMQ_NAMESRV` is not set, or the seed is no number.
    pub fn kinds() -> Verdict<Vec<Kind>> {
        if let Ok(seed) = env::var(SEED_VARIABLE) {
            return Ok(vec![Kind::Simulated { seed: seed.parse()? }]);
        }
        let mut kinds = vec![Kind::Dev, Kind::Simulated { seed: 0 }];
        if env::var("RMQ_APACHE").is_ok_and(|wanted| wanted == "1") {
            let name_server = env::var("RMQ_NAMESRV")
                .map_err(|_| "RMQ_APACHE=1 needs RMQ_NAMESRV: use tests/apache/run")?;
            kinds.push(Kind::Apache { name_server });
        }
        Ok(kinds)
    }

    /// The place for one scenario: this one, or a world of its own.
    #[must_use]
    pub fn of(self: &Arc<Self>, scenario: &str) -> Arc<Self> {
        match &**self {
            Self::Simulated { .. } if env::var_os(SEED_VARIABLE).is_none() => {
                Arc::new(Self::Simulated { seed: simulated::seed_of(scenario) })
            }
            _ => self.clone(),
        }
    }

    /// Runs a scenario here to its end, on this thread, by an adapter that [reaches](Adapter::reaches) it.
    ///
    /// # Errors
    /// The adapter's runtime could not be built.
    pub fn run<F: Future>(&self, adapter: Adapter, scenario: F) -> Verdict<F::Output> {
        match self {
            Self::Simulated { seed } => simulated::run(*seed, scenario),
            Self::Dev(_) | Self::Apache { .. } => adapter.run(scenario),
        }
    }

    /// Lets `look` see the broker from inside, where that can be.
    pub fn with_broker<R>(&self, look: impl FnOnce(&mut Broker) -> R) -> Option<R> {
        match self {
            Self::Dev(broker) => Some(broker.with_broker(look)),
            Self::Simulated { .. } => Some(simulated::world()?.with_broker(0, look)),
            Self::Apache { .. } => None,
        }
    }

    /// What has to be known to see a failure again, besides its scenario.
    #[must_use]
    pub fn replay(&self) -> Option<String> {
        match self {
            Self::Simulated { seed } => Some(format!("{SEED_VARIABLE}={seed}")),
            Self::Dev(_) | Self::Apache { .. } => None,
        }
    }

    /// An address at which nobody listens.
    ///
    /// # Errors
    /// No port is free.
    pub fn vacant_address(&self) -> Verdict<String> {
        if let Self::Simulated { .. } = self {
            return Ok(simulated::VACANT_ADDRESS.to_owned());
        }
        Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.to_string())
    }

    /// The name server, as `host:port`.
    #[must_use]
    pub fn name_server(&self) -> String {
        match self {
            Self::Dev(broker) => broker.addr(),
            Self::Apache { name_server } => name_server.clone(),
            Self::Simulated { .. } => {
                simulated::world().map(|world| world.name_servers().to_owned()).unwrap_or_default()
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dev(_) => "dev broker",
            Self::Apache { .. } => "Apache RocketMQ",
            Self::Simulated { .. } => "simulated network",
        })
    }
}

/// Eighteen delay levels as a broker has, only shorter, so that a retry takes no seconds.
pub(crate) fn short_delays() -> Verdict<DelayLevels> {
    Ok(DelayLevels::new((1..=18).map(|level| Duration::from_millis(50 * level)))?)
}
