//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::broker::NewTopic;
use crate::consume::Start;
use crate::format::Format;

/// Try, test and operate Apache RocketMQ from a terminal.
#[derive(Debug, Parser)]
#[command(name = "rmq", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Print JSON, one object a line, and no progress bars
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log more: -v info, -vv debug, -vvv trace (RUST_LOG overrides it)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Kill a consumer under load and count every message
    Demo(DemoArgs),
    /// Run a name server and a broker in memory, for development
    Broker(BrokerArgs),
    /// Send messages
    Send(SendArgs),
    /// Print messages as a member of a consumer group
    Consume(ConsumeArgs),
    /// Print the environment variables that matter
    Env,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Where the cluster is.
#[derive(Debug, clap::Args)]
pub(crate) struct Cluster {
    /// Name servers as host:port, several separated by ";"
    #[arg(
        long,
        short = 'n',
        env = "ROCKETMQ_NAMESRV",
        default_value = "127.0.0.1:9876",
        value_name = "ADDRESS"
    )]
    pub(crate) namesrv: String,
}

/// `rmq demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Name servers of a real cluster; without it a broker starts in this process
    ///
    /// ROCKETMQ_NAMESRV is not looked at: a demo shall not create topics on a cluster by accident.
    #[arg(long, short = 'n', value_name = "ADDRESS")]
    pub(crate) namesrv: Option<String>,
    /// How many messages to send
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(2_000..=10_000_000))]
    pub(crate) messages: u32,
    /// Drop one message on purpose, to see that it is noticed (exit code 1)
    #[arg(long)]
    pub(crate) lose_one: bool,
    /// Leave topic and group on the cluster instead of deleting them
    #[arg(long)]
    pub(crate) keep: bool,
}

/// `rmq broker`.
#[derive(Debug, clap::Args)]
pub(crate) struct BrokerArgs {
    /// The name server's port; 0 takes a free one
    #[arg(long, default_value_t = 9876)]
    pub(crate) port: u16,
    /// The broker's port; 0 takes a free one
    #[arg(long, default_value_t = 10911)]
    pub(crate) broker_port: u16,
    /// The interface to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) ip: IpAddr,
    /// Topics to create, as name or name:queues (4 by default), separated by ","
    #[arg(long, value_delimiter = ',', value_name = "TOPIC[:QUEUES]")]
    pub(crate) topics: Vec<NewTopic>,
}

/// `rmq send`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct SendArgs {
    #[command(flatten)]
    pub(crate) cluster: Cluster,
    /// The topic
    pub(crate) topic: String,
    /// The body
    #[arg(group = "what")]
    pub(crate) body: Option<String>,
    /// Send one message for each line of this file that is not empty; "-" is standard input
    #[arg(long, short, group = "what", conflicts_with = "count")]
    pub(crate) file: Option<PathBuf>,
    /// Send generated bodies of this many bytes
    #[arg(long, short, group = "what", value_name = "BYTES")]
    pub(crate) size: Option<usize>,
    /// How many messages to send
    #[arg(long, short, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: u64,
    /// The tag, by which consumers filter
    #[arg(long, short)]
    pub(crate) tag: Option<String>,
    /// A key, under which the message can be looked up; may be repeated
    #[arg(long, short)]
    pub(crate) key: Vec<String>,
    /// A property, as name=value; may be repeated
    #[arg(long, short, value_parser = property, value_name = "NAME=VALUE")]
    pub(crate) property: Vec<(String, String)>,
    /// The producer group
    #[arg(long, default_value = "rmq-cli")]
    pub(crate) group: String,
    /// How many messages may be under way at a time
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) in_flight: u16,
    /// Send at most this many messages a second
    #[arg(long, value_parser = rate, value_name = "MESSAGES")]
    pub(crate) rate: Option<f64>,
    /// Don't ask the broker for an answer
    #[arg(long)]
    pub(crate) oneway: bool,
    /// Print a receipt for each message, also when there are many
    #[arg(long, conflicts_with = "oneway")]
    pub(crate) receipts: bool,
}

/// `rmq consume`.
#[derive(Debug, clap::Args)]
pub(crate) struct ConsumeArgs {
    #[command(flatten)]
    pub(crate) cluster: Cluster,
    /// The topic
    pub(crate) topic: String,
    /// The consumer group, whose offsets move on
    #[arg(long, short)]
    pub(crate) group: String,
    /// Tags to take, as "TagA || TagB"
    #[arg(long, short, default_value = "*")]
    pub(crate) filter: String,
    /// Where a new group starts: first, last, or a time in milliseconds since 1970
    #[arg(long, default_value = "last")]
    pub(crate) from: Start,
    /// Stop after this many messages; fewer before the timeout are a failure
    #[arg(long, short, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Stop when no message has come for this many seconds
    #[arg(long, short, value_parser = seconds, value_name = "SECONDS")]
    pub(crate) timeout: Option<f64>,
    /// How to print a message: %t topic, %q queue, %o offset, %i id, %T tag, %k keys, %b body, %s time stored, \n, \t, %%
    #[arg(long, conflicts_with = "json")]
    pub(crate) format: Option<Format>,
}

fn property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a property is name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn rate(text: &str) -> Result<f64, String> {
    positive(text, 10e6)
        .ok_or_else(|| "a rate is a number of messages a second, up to ten million".to_owned())
}

fn seconds(text: &str) -> Result<f64, String> {
    positive(text, 1e6).ok_or_else(|| "a timeout is a positive number of seconds".to_owned())
}

fn positive(text: &str, max: f64) -> Option<f64> {
    text.parse().ok().filter(|number| *number > 0.0 && *number <= max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_send_needs_exactly_one_source_of_bodies() {
        let parse = |rest: &[&str]| Args::try_parse_from([&["rmq", "send", "T"], rest].concat());
        assert!(parse(&["hello"]).is_ok());
        assert!(parse(&["--size", "10", "--count", "3"]).is_ok());
        assert!(parse(&["--file", "-"]).is_ok());
        for wrong in
            [&[][..], &["hello", "--size", "1"], &["--file", "-", "--count", "2"], &["x", "--rate", "0"]]
        {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
