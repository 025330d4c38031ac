//! What the measurements run on, in a process of its own or of somebody else.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::args::Common;
use super::block::{Outcome, Spec, Who};
use crate::admin::Remote;
use crate::demo::cpu;
use crate::error::CliError;

/// How long a route may take to show, and a server to start.
const VISIBLE_MAX: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(20);

/// What a null server makes up.
#[derive(Debug, Clone, Copy)]
pub(super) struct MadeUp {
    pub(super) messages: u64,
    pub(super) size: u32,
}

/// A name server, one of its brokers and a fresh topic.
pub(super) struct Target {
    kind: Kind,
    topic: String,
    queues: u16,
    namesrv: String,
    broker: String,
    /// Ends with this value.
    child: Option<Child>,
    broker_pid: Option<u32>,
    groups: u64,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Null(MadeUp),
    Dev,
    Cluster,
}

impl Target {
    /// Starts it, or finds its broker, and creates a topic.
    pub(super) async fn start(common: &Common, queues: u16, made_up: MadeUp) -> Result<Self, CliError> {
        let kind = match &common.namesrv {
            Some(_) => Kind::Cluster,
            None if common.null => Kind::Null(made_up),
            None => Kind::Dev,
        };
        let mut target = Self {
            kind,
            topic: fresh_name(),
            queues,
            namesrv: common.namesrv.clone().unwrap_or_default(),
            broker: String::new(),
            child: None,
            broker_pid: common.broker_pid,
            groups: 0,
        };
        target.serve().await?;
        if common.namesrv.is_some() {
            target.find_broker().await?;
            target.create_topic().await?;
        }
        Ok(target)
    }

    /// A development broker begins anew, since it keeps everything in memory.
    pub(super) async fn renew(&mut self) -> Result<(), CliError> {
        if matches!(self.kind, Kind::Dev) {
            self.serve().await?;
        }
        Ok(())
    }

    /// What it is, in a few words.
    pub(super) fn description(&self) -> String {
        match self.kind {
            Kind::Null(_) => "null server".to_owned(),
            Kind::Dev => "development broker in a process of its own".to_owned(),
            Kind::Cluster => format!("broker {} of name servers {}", self.broker, self.namesrv),
        }
    }

    pub(super) fn broker(&self) -> &str {
        &self.broker
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// For a process that begins with a group of its own.
    pub(super) fn spec(&mut self, who: Who, step: u64) -> Spec {
        self.groups += 1;
        Spec {
            who,
            step,
            messages: None,
            namesrv: self.namesrv.clone(),
            broker: self.broker.clone(),
            topic: self.topic.clone(),
            group: format!("{}-{}", self.topic, self.groups),
        }
    }

    /// Runs one part of a measurement, and looks at what it costs the broker.
    pub(super) async fn measure(&mut self, who: Who) -> Result<Outcome, CliError> {
        let spec = self.spec(who, 0);
        let before = self.broker_cpu();
        let mut outcome = spec.outcome().await?;
        outcome.broker_cpu = self.broker_cpu().zip(before).map(|(now, then)| now.saturating_sub(then));
        Ok(outcome)
    }

    /// Deletes what was made on somebody else's cluster.
    pub(super) async fn clean_up(&mut self) -> Result<(), CliError> {
        if !matches!(self.kind, Kind::Cluster) {
            return Ok(());
        }
        let mut broker = Remote::connect(&self.broker).await?;
        for group in 1..=self.groups {
            broker.delete_group(&format!("{}-{group}", self.topic)).await?;
        }
        broker.delete_topic(&self.topic).await?;
        Remote::connect_any(&self.namesrv).await?.delete_route(&self.topic).await
    }

    fn broker_cpu(&self) -> Option<Duration> {
        cpu::of_process(&fs::read_to_string(format!("/proc/{}/stat", self.broker_pid?)).ok()?)
    }

    async fn serve(&mut self) -> Result<(), CliError> {
        let mut command = Command::new(std::env::current_exe()?);
        match self.kind {
            Kind::Cluster => return Ok(()),
            Kind::Null(made_up) => command.args([
                "bench",
                "null-server",
                "--queues",
                &self.queues.to_string(),
                "--messages",
                &made_up.messages.to_string(),
                "--size",
                &made_up.size.to_string(),
            ]),
            Kind::Dev => command.args([
                "broker",
                "--port",
                "0",
                "--broker-port",
                "0",
                "--topics",
                &format!("{}:{}", self.topic, self.queues),
            ]),
        };
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let (namesrv, broker) = match timeout(VISIBLE_MAX, addresses(&mut child)).await {
            Ok(Some(addresses)) => addresses,
            _ => return Err(CliError::Failed("the server to measure against did not start".to_owned())),
        };
        (self.namesrv, self.broker) = (namesrv, broker);
        self.broker_pid = child.id();
        self.child = Some(child);
        Ok(())
    }

    async fn find_broker(&mut self) -> Result<(), CliError> {
        let mut name_server = Remote::connect_any(&self.namesrv).await?;
        let masters = name_server.masters().await?;
        let [master] = masters.as_slice() else {
            return Err(CliError::Failed(format!(
                "name server {} knows {} brokers with a master, and a measurement needs exactly one, since the \
                 limit has one connection",
                name_server.address(),
                masters.len()
            )));
        };
        self.broker.clone_from(master);
        Ok(())
    }

    async fn create_topic(&mut self) -> Result<(), CliError> {
        let mut name_server = Remote::connect_any(&self.namesrv).await?;
        let mut broker = Remote::connect(&self.broker).await?;
        broker.create_topic(&self.topic, self.queues.into()).await?;
        let begun = Instant::now();
        while begun.elapsed() < VISIBLE_MAX {
            if name_server.route(&self.topic).await?.is_some() {
                return Ok(());
            }
            sleep(TICK).await;
        }
        Err(CliError::Failed(format!(
            "topic {} was created on broker {}, but name server {} has no route of it",
            self.topic,
            self.broker,
            name_server.address()
        )))
    }
}

/// `name server A, broker B; …` is what servers print first.
async fn addresses(child: &mut Child) -> Option<(String, String)> {
    let mut lines = BufReader::new(child.stdout.as_mut()?).lines();
    parse_addresses(&lines.next_line().await.ok()??)
}

fn parse_addresses(line: &str) -> Option<(String, String)> {
    let (namesrv, rest) = line.strip_prefix("name server ")?.split_once(", broker ")?;
    Some((namesrv.to_owned(), rest.split_once(';')?.0.to_owned()))
}

fn fresh_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("rmq-bench-{:x}-{}", now.as_millis(), std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_where_it_is() {
        let line = "name server 127.0.0.1:1, broker 127.0.0.1:2; Ctrl-C ends";
        assert_eq!(parse_addresses(line), Some(("127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned())));
        assert_eq!(parse_addresses("something else"), None);
    }
}
