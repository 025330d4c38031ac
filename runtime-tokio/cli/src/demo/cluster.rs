//! The cluster that the demo runs on: a broker in this process, or one that is there.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use indicatif::ProgressBar;
use rocketmq_dev_broker::DevBroker;

use crate::admin::Remote;
use crate::error::CliError;

use super::ledger::number;

/// Queues of the demo's topic, over all brokers.
const QUEUES: i32 = 8;
/// How long the name server may take to learn of a new topic.
const ROUTE_WITHIN: Duration = Duration::from_secs(30);

/// A cluster with a fresh topic.
pub(crate) struct Cluster {
    pub(crate) name_server: String,
    pub(crate) topic: String,
    pub(crate) group: String,
    queues: Vec<(String, i32)>,
    _dev_broker: Option<DevBroker>,
}

/// What the brokers themselves say at the end.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    /// Records in the topic's queues.
    pub(crate) records: u64,
    /// The different numbers they carry.
    pub(crate) numbers: BTreeSet<u64>,
    /// Records that the group has not committed.
    pub(crate) lag: i64,
}

impl Cluster {
    /// Starts a broker unless there is one, and makes a topic that nobody else uses.
    pub(crate) async fn prepare(name_server: Option<&str>, bar: &ProgressBar) -> Result<Self, CliError> {
        bar.set_message("preparing a topic");
        let dev_broker = match name_server {
            Some(_) => None,
            None => Some(DevBroker::start()?),
        };
        let name_server = match (&dev_broker, name_server) {
            (Some(broker), _) => broker.addr(),
            (None, given) => given.unwrap_or_default().to_owned(),
        };
        let unique = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        let topic = format!("RmqDemo_{unique}");
        let group = format!("RmqDemoConsumers_{unique}");
        let queues = create(&name_server, &topic).await?;
        Ok(Self { name_server, topic, group, queues, _dev_broker: dev_broker })
    }

    /// Reads the topic back from the brokers' logs, without a client in between.
    pub(crate) async fn audit(&self) -> Result<Audit, CliError> {
        let mut audit = Audit::default();
        for (address, queue_id) in &self.queues {
            let mut broker = Remote::connect(address).await?;
            let bodies = broker.bodies(&self.topic, *queue_id).await?;
            let (_, end) = broker.offsets(&self.topic, *queue_id).await?;
            audit.lag += end - broker.committed(&self.group, &self.topic, *queue_id).await?;
            audit.records += bodies.len() as u64;
            audit.numbers.extend(bodies.iter().filter_map(|body| number(body)));
        }
        Ok(audit)
    }
}

/// Creates the topic on every broker and waits for its route; says which queues it has where.
async fn create(name_servers: &str, topic: &str) -> Result<Vec<(String, i32)>, CliError> {
    let first = name_servers.split(';').next().unwrap_or_default().trim();
    let mut name_server = Remote::connect(first).await?;
    let masters = name_server.masters().await?;
    if masters.is_empty() {
        return Err(CliError::Failed(format!("the name server at {first} knows no broker: start one")));
    }
    let brokers = i32::try_from(masters.len()).unwrap_or(i32::MAX);
    let each = (QUEUES / brokers).max(1);
    for address in &masters {
        Remote::connect(address).await?.create_topic(topic, each).await?;
    }
    let deadline = Instant::now() + ROUTE_WITHIN;
    loop {
        let route = name_server.route(topic).await?;
        if route.is_some_and(|route| route.queue_datas.len() == masters.len()) {
            return Ok(masters
                .iter()
                .flat_map(|address| (0..each).map(|id| (address.clone(), id)))
                .collect());
        }
        if Instant::now() >= deadline {
            return Err(CliError::Failed(format!("the name server at {first} has no route for {topic}")));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
