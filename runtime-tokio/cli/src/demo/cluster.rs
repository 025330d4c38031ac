//! The name server and broker that the demo runs on, and what they themselves say of it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rocketmq_dev_broker::DevBroker;
use tokio::time::sleep;

use super::QUEUES;
use crate::admin::Remote;
use crate::error::CliError;

/// How long a route or a member may take to show.
const VISIBLE_MAX: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(20);

/// Offsets that a broker has, by queue.
pub(super) type Stored = BTreeMap<i32, Range<i64>>;

/// A cluster with a fresh topic.
pub(super) struct Cluster {
    pub(super) name_servers: String,
    pub(super) topic: Arc<str>,
    pub(super) group: Arc<str>,
    name_server: Remote,
    broker: Remote,
    in_process: Option<DevBroker>,
}

impl Cluster {
    /// Uses the cluster of these name servers, or starts one in this process, and creates the topic.
    pub(super) async fn start(name_servers: Option<&str>) -> Result<Self, CliError> {
        let (name_servers, in_process) = match name_servers {
            Some(name_servers) => (name_servers.to_owned(), None),
            None => {
                let broker = DevBroker::start().map_err(|error| {
                    CliError::Failed(format!("the broker in this process can't start: {error}"))
                })?;
                (broker.addr(), Some(broker))
            }
        };
        let mut name_server = Remote::connect_any(&name_servers).await?;
        let masters = name_server.masters().await?;
        let Some(master) = masters.first() else {
            return Err(CliError::Failed(format!(
                "name server {} knows no broker with a master (start one, and check its namesrvAddr)",
                name_server.address()
            )));
        };
        let broker = Remote::connect(master).await?;
        let name: Arc<str> = fresh_name().into();
        let mut cluster =
            Self { name_servers, topic: name.clone(), group: name, name_server, broker, in_process };
        cluster.create_topic().await?;
        Ok(cluster)
    }

    /// Where the demo runs.
    pub(super) fn description(&self) -> String {
        match &self.in_process {
            Some(broker) => format!("development broker in this process, {}", broker.addr()),
            None => format!("broker {} of name servers {}", self.broker.address(), self.name_servers),
        }
    }

    async fn create_topic(&mut self) -> Result<(), CliError> {
        self.broker.create_topic(&self.topic, QUEUES).await?;
        let begun = Instant::now();
        while begun.elapsed() < VISIBLE_MAX {
            if let Some(route) = self.name_server.route(&self.topic).await? {
                let queues: i32 = route.queue_datas.iter().map(|queues| queues.write_queue_nums).sum();
                if queues == QUEUES {
                    return Ok(());
                }
            }
            sleep(TICK).await;
        }
        Err(CliError::Failed(format!(
            "topic {} was created on broker {}, but name server {} has no route with its {QUEUES} queues (is it the broker's name server?)",
            self.topic,
            self.broker.address(),
            self.name_server.address(),
        )))
    }

    /// Waits until the broker knows so many members of the group.
    pub(super) async fn await_members(&mut self, count: usize) -> Result<(), CliError> {
        let (begun, mut members) = (Instant::now(), 0);
        while begun.elapsed() < VISIBLE_MAX {
            members = self.broker.members(&self.group).await?;
            if members == count {
                return Ok(());
            }
            sleep(TICK).await;
        }
        Err(CliError::Failed(format!(
            "broker {} knows {members} members of group {}, and not {count}",
            self.broker.address(),
            self.group
        )))
    }

    /// Which offsets the broker has.
    pub(super) async fn stored(&mut self) -> Result<Stored, CliError> {
        let mut stored = Stored::new();
        for queue_id in 0..QUEUES {
            let range = match &self.in_process {
                Some(broker) => broker.with_broker(|broker| broker.queue_range(&self.topic, queue_id)),
                None => {
                    let (first, end) = self.broker.offsets(&self.topic, queue_id).await?;
                    first..end
                }
            };
            stored.insert(queue_id, range);
        }
        Ok(stored)
    }

    /// How many messages the log has: they are read from it, not told by anybody.
    pub(super) async fn count_log(&mut self) -> Result<u64, CliError> {
        if let Some(broker) = &self.in_process {
            return Ok(broker.with_broker(|broker| {
                broker.log().filter(|message| message.topic() == &*self.topic).count() as u64
            }));
        }
        let mut count = 0;
        for queue_id in 0..QUEUES {
            count += self.broker.count(&self.group, &self.topic, queue_id).await?;
        }
        Ok(count)
    }

    /// Whether the broker runs in this process.
    pub(super) fn is_in_process(&self) -> bool {
        self.in_process.is_some()
    }

    /// Whether the group's committed offsets have passed everything.
    pub(super) async fn is_all_committed(&mut self, stored: &Stored) -> Result<bool, CliError> {
        for (queue_id, range) in stored {
            let committed = self.broker.committed(&self.group, &self.topic, *queue_id).await?;
            if committed < range.end {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes topic and group off a real cluster, as well as it can.
    pub(super) async fn clean_up(&mut self) {
        if self.in_process.is_some() {
            return;
        }
        let retry_topic = format!("%RETRY%{}", self.group);
        for topic in [&*self.topic, &retry_topic] {
            let deleted = self.broker.delete_topic(topic).await;
            let forgotten = self.name_server.delete_route(topic).await;
            if let Err(error) = deleted.and(forgotten) {
                tracing::warn!(topic, %error, "the demo's topic is left behind");
            }
        }
        if let Err(error) = self.broker.delete_group(&self.group).await {
            tracing::warn!(group = &*self.group, %error, "the demo's group is left behind");
        }
    }
}

fn fresh_name() -> String {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("rmq-demo-{}-{}", std::process::id(), since_1970.as_millis())
}
