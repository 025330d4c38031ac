//! One part of a measurement, in a process of its own: so its processor time and its memory are its own.
//!
//! The process is this program with the same arguments and a [`Spec`]. It prints an [`Outcome`].

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::meter::Spent;
use crate::error::CliError;

/// What a process is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(super) who: Who,
    /// Which of several things that the measurement has to run.
    pub(super) step: u64,
    /// How many messages, where it is not what the command line says.
    pub(super) messages: Option<u64>,
    pub(super) namesrv: String,
    pub(super) broker: String,
    pub(super) topic: String,
    pub(super) group: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// The client.
    Ours,
    /// The bare program.
    Limit,
    /// The bare program from end to end, where the limit is a round trip.
    BareDelivery,
}

impl Who {
    const ALL: [Self; 3] = [Self::Ours, Self::Limit, Self::BareDelivery];

    fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Limit => "limit",
            Self::BareDelivery => "bare delivery",
        }
    }
}

impl Spec {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let text = |name: &str| {
            value[name].as_str().map(ToOwned::to_owned).ok_or_else(|| format!("{name} is missing"))
        };
        let name = text("who")?;
        let who = Who::ALL.into_iter().find(|who| who.name() == name).ok_or("who is not known")?;
        Ok(Self {
            who,
            step: value["step"].as_u64().ok_or("step is missing")?,
            messages: value["messages"].as_u64(),
            namesrv: text("namesrv")?,
            broker: text("broker")?,
            topic: text("topic")?,
            group: text("group")?,
        })
    }

    fn to_json(&self) -> Value {
        json!({
            "who": self.who.name(),
            "step": self.step,
            "messages": self.messages,
            "namesrv": self.namesrv,
            "broker": self.broker,
            "topic": self.topic,
            "group": self.group,
        })
    }

    /// Runs it in a process of its own, which is this program; gives what the process printed.
    pub(super) async fn run(&self) -> Result<Value, CliError> {
        let mut command = Command::new(std::env::current_exe()?);
        self.arguments(&mut command);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        Self::finish(child).await
    }

    /// Those of this process, and this.
    pub(super) fn arguments(&self, command: &mut Command) {
        command.args(std::env::args_os().skip(1)).arg("--block").arg(self.to_json().to_string());
    }

    /// Waits for what the process prints.
    pub(super) async fn finish(child: Child) -> Result<Value, CliError> {
        let output = child.wait_with_output().await?;
        let printed = String::from_utf8_lossy(&output.stdout);
        match serde_json::from_str(printed.trim()) {
            Ok(value) if output.status.success() => Ok(value),
            _ => Err(CliError::Failed(
                "the process that was to be measured failed; its words are above".into(),
            )),
        }
    }

    /// Runs it; gives what it cost.
    pub(super) async fn outcome(&self) -> Result<Outcome, CliError> {
        let value = self.run().await?;
        Outcome::from_json(&value)
            .ok_or_else(|| CliError::Failed(format!("the process that was measured printed {value}")))
    }
}

/// What a process has measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outcome {
    /// Messages that came to their end well.
    pub(super) done: u64,
    /// Messages before those, which are not counted.
    pub(super) warm_up: u64,
    pub(super) failed: u64,
    pub(super) spent: Spent,
    /// Latencies, where there are any, in nanoseconds.
    pub(super) p50_ns: Option<u64>,
    pub(super) p99_ns: Option<u64>,
    /// System calls, where they were counted.
    pub(super) syscalls: Option<u64>,
    /// Processor time of the broker meanwhile, where it is known.
    pub(super) broker_cpu: Option<Duration>,
}

impl Outcome {
    pub(super) fn to_json(self) -> Value {
        let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        json!({
            "done": self.done,
            "warm_up": self.warm_up,
            "failed": self.failed,
            "elapsed_ns": ns(self.spent.elapsed),
            "cpu_ns": self.spent.cpu.map(ns),
            "switches": self.spent.switches,
            "peak_kb": self.spent.peak_kb,
            "p50_ns": self.p50_ns,
            "p99_ns": self.p99_ns,
            "syscalls": self.syscalls,
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let number = |name: &str| value[name].as_u64();
        Some(Self {
            done: number("done")?,
            warm_up: number("warm_up")?,
            failed: number("failed")?,
            spent: Spent {
                elapsed: Duration::from_nanos(number("elapsed_ns")?),
                cpu: number("cpu_ns").map(Duration::from_nanos),
                switches: number("switches"),
                peak_kb: number("peak_kb"),
            },
            p50_ns: number("p50_ns"),
            p99_ns: number("p99_ns"),
            syscalls: number("syscalls"),
            broker_cpu: None,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::bench) fn outcome(done: u64, cpu_ns: u64) -> Outcome {
        let spent = Spent {
            elapsed: Duration::from_millis(500),
            cpu: Some(Duration::from_nanos(cpu_ns)),
            switches: Some(3),
            peak_kb: Some(2_048),
        };
        let (p50_ns, p99_ns) = (Some(1_500), Some(9_000));
        Outcome { done, warm_up: 0, failed: 1, spent, p50_ns, p99_ns, syscalls: None, broker_cpu: None }
    }

    #[test]
    fn an_outcome_survives_its_way_between_processes() {
        let outcome = outcome(1_000, 2_000_000);
        assert_eq!(Outcome::from_json(&outcome.to_json()), Some(outcome));
    }

    #[test]
    fn a_spec_survives_its_way_between_processes() {
        for who in Who::ALL {
            let spec = Spec {
                who,
                step: 3,
                messages: Some(7),
                namesrv: "127.0.0.1:1".into(),
                broker: "127.0.0.1:2".into(),
                topic: "t".into(),
                group: "g".into(),
            };
            assert_eq!(Spec::parse(&spec.to_json().to_string()), Ok(spec));
        }
        assert!(Spec::parse("{}").is_err());
    }
}
