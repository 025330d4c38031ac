//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};
use clap_complete::Shell;
use rocketmq_client_tokio::ConsumeFrom;
use rocketmq_client_tokio::core::message::{check_topic, property};

use crate::bench::BenchCommand;
use crate::format::Format;

/// The environment variable that lists the name servers.
pub(crate) const NAMESRV_VARIABLE: &str = "ROCKETMQ_NAMESRV";
/// The one that is asked after it, which Java's tools read.
pub(crate) const NAMESRV_VARIABLE_JAVA: &str = "NAMESRV_ADDR";
/// The environment variable that says what is logged.
pub(crate) const LOG_VARIABLE: &str = "ROCKETMQ_LOG";
/// The one that is asked after it, which programs in Rust read.
pub(crate) const LOG_VARIABLE_RUST: &str = "RUST_LOG";
/// Where a name server is looked for unless told otherwise; `rmq broker` listens there.
pub(crate) const NAMESRV_DEFAULT: &str = "127.0.0.1:9876";

/// Try and test Apache RocketMQ from a terminal.
#[derive(Debug, Parser)]
#[command(name = "rmq", version, arg_required_else_help = true, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Log more, to standard error: -v state changes, -vv every frame, by code and size
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Kill one of two consumers half-way and count in the broker's log whether a message was lost
    Demo(DemoArgs),
    /// Run a name server and a broker on this machine, in memory, until Ctrl-C
    Broker(BrokerArgs),
    /// Send one message, many of them, or the lines of a file
    Send(SendArgs),
    /// Print the messages of a topic: with --group as its member, without it only looking
    Consume(ConsumeArgs),
    /// Measure what the client costs, on a broker or beside it
    Bench {
        /// What to measure
        #[command(subcommand)]
        command: BenchCommand,
    },
    /// Print the environment variables that rmq reads
    Env(EnvArgs),
    /// Print a completion script, e.g.: rmq completions bash > /etc/bash_completion.d/rmq
    Completions {
        /// The shell to complete for
        shell: Shell,
    },
}

/// Which cluster to talk to.
#[derive(Debug, Clone, Args)]
pub(crate) struct Cluster {
    /// The name servers as host:port, several separated by ";" [env: ROCKETMQ_NAMESRV, or else NAMESRV_ADDR]
    /// [default: 127.0.0.1:9876]
    #[arg(long, value_name = "ADDRESS")]
    namesrv: Option<String>,
}

impl Cluster {
    /// The argument, or the first of the two variables that is set, or this machine.
    pub(crate) fn name_servers(&self) -> String {
        let variables = [NAMESRV_VARIABLE, NAMESRV_VARIABLE_JAVA];
        let set = self.namesrv.clone().or_else(|| variables.into_iter().find_map(variable));
        set.unwrap_or_else(|| NAMESRV_DEFAULT.to_owned())
    }
}

/// An environment variable that is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArgs {
    /// The cluster to use, as host:port; without it, a name server and a broker inside this process.
    /// The environment is not asked, since the demo creates a topic and fills it
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) namesrv: Option<String>,
    /// How many messages to send
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(2_000..=10_000_000))]
    pub(crate) messages: u32,
    /// Lose one message on purpose, to see that it is noticed; the demo fails then
    #[arg(long)]
    pub(crate) lose_one: bool,
    /// Leave topic and group on the cluster instead of deleting them
    #[arg(long)]
    pub(crate) keep: bool,
    /// Print the outcome as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct BrokerArgs {
    /// The first name server's port; 0 takes a free one
    #[arg(long, default_value_t = 9876)]
    pub(crate) port: u16,
    /// The first broker's port; 0 takes a free one. The others follow in steps of 10
    #[arg(long, default_value_t = 10911)]
    pub(crate) broker_port: u16,
    /// How many brokers, named broker-a, broker-b and so on; topics are on all of them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=26))]
    pub(crate) brokers: u8,
    /// How many name servers; each next one has the next port
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=26))]
    pub(crate) name_servers: u8,
    /// The interface to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) listen: IpAddr,
    /// The address that clients are told, where it is not the one listened on: containers, forwarded ports
    #[arg(long, value_name = "IP")]
    pub(crate) advertise: Option<IpAddr>,
    /// Create these topics, with 4 queues on each broker unless told: orders:8,payments
    #[arg(long = "topic", visible_alias = "topics", value_name = "NAME[:QUEUES],...", value_delimiter = ',',
          value_parser = topic)]
    pub(crate) topics: Vec<(String, i32)>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct SendArgs {
    /// The topic
    pub(crate) topic: String,
    /// The message's body; without it, --size and --file, each line of what is piped in is a message
    #[arg(conflicts_with_all = ["size", "file"])]
    pub(crate) body: Option<String>,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
    /// How many messages to send
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1, conflicts_with = "file",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: u64,
    /// Send bodies of this many bytes instead of BODY
    #[arg(long, value_name = "BYTES", conflicts_with = "file")]
    pub(crate) size: Option<usize>,
    /// Send each line of this file as a message; "-" is standard input
    #[arg(short, long)]
    pub(crate) file: Option<PathBuf>,
    /// The tag that consumers filter by
    #[arg(short, long)]
    pub(crate) tag: Option<String>,
    /// A key to find the message by, such as an order's number; a message may have several, so this may be given
    /// again. A key has no blanks
    #[arg(short, long, value_parser = key)]
    pub(crate) key: Vec<String>,
    /// A property as name=value; may be given again
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = property)]
    pub(crate) property: Vec<(String, String)>,
    /// The producer group
    #[arg(long, default_value = "rmq-cli")]
    pub(crate) group: String,
    /// How many messages may wait for their receipts at a time
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = in_flight)]
    pub(crate) in_flight: usize,
    /// At most this many messages a second
    #[arg(long, value_name = "N", value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// Send so many messages in one request, stored all or none; the last ones may be fewer. Lines of a
    /// terminal wait for each other
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "oneway",
          value_parser = clap::value_parser!(u16).range(1..=4_096))]
    pub(crate) batch: u16,
    /// Don't ask the broker for receipts: faster, and nobody says whether messages were stored
    #[arg(long)]
    pub(crate) oneway: bool,
    /// Print a receipt for every message; the default for up to 10 messages
    #[arg(long, conflicts_with = "oneway")]
    pub(crate) receipts: bool,
    /// Print the outcome as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ConsumeArgs {
    /// The topic
    pub(crate) topic: String,
    /// Consume as a member of this group, which shares the messages among its members and remembers what it has
    /// consumed. Without it rmq only looks: it takes nothing from anybody and leaves no trace on the brokers
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
    /// Only messages with these tags: "TagA || TagB"
    #[arg(long, value_name = "TAGS", default_value = "*", value_parser = filter)]
    pub(crate) filter: String,
    /// Where a look, or a group without offsets, starts: first, last, a time in Unix milliseconds, or e.g. 10m, that
    /// long ago [default: last for a group, first for a look]
    #[arg(long, value_name = "WHERE", value_parser = consume_from)]
    pub(crate) from: Option<From>,
    /// Stop after the messages that are there now; only without --group
    #[arg(long, conflicts_with = "group")]
    pub(crate) until_end: bool,
    /// Stop after this many messages
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Stop after this many seconds; it is a failure if --count has not been reached then
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// Messages are taken and printed by this many tasks; with more than one, in no certain order
    #[arg(long, value_name = "N", default_value_t = 1, requires = "group", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: u16,
    /// How a message is printed: %t topic, %B broker, %q queue, %o offset, %i id, %T tags, %k keys,
    /// %p properties of the sender's, %r earlier deliveries, %s stored at (Unix ms), %b body, %% percent; \n \t \\ \0
    #[arg(long, value_name = "FORMAT", default_value = r"%t %q %o %i %T %k %p %b\n",
          value_parser = Format::parse, conflicts_with = "json")]
    pub(crate) format: Format,
    /// Print each message as a JSON object on a line of its own
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct EnvArgs {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where a group without offsets starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// At a place or a point in time.
    At(ConsumeFrom),
    /// So long before now.
    Ago(Duration),
}

fn topic(text: &str) -> Result<(String, i32), String> {
    const QUEUES: i32 = 4;
    let (name, queues) = match text.split_once(':') {
        Some((name, queues)) => (name, queues.parse().ok()),
        None => (text, Some(QUEUES)),
    };
    check_topic(name).map_err(|error| error.to_string())?;
    match queues {
        Some(queues @ 1..=1024) => Ok((name.to_owned(), queues)),
        _ => Err("write it as name:queues, with 1 to 1024 queues".to_owned()),
    }
}

fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((property::TAGS, _)) => Err("RocketMQ keeps the tag in TAGS: give it with --tag".to_owned()),
        Some((property::KEYS, _)) => Err("RocketMQ keeps the keys in KEYS: give them with --key".to_owned()),
        Some((name, _)) if property::is_reserved(name) => {
            Err(format!("RocketMQ itself uses {name}: take another name"))
        }
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as name=value".to_owned()),
    }
}

fn key(text: &str) -> Result<String, String> {
    match text.chars().any(char::is_whitespace) || text.is_empty() {
        true => Err("blanks separate keys, so a key can't have one: give --key once for each key".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// A list of tags. What can only be an SQL expression would wait for ever for a tag of that name, and so would `*`
/// beside others; nothing but blanks and separators selects nothing.
fn filter(text: &str) -> Result<String, String> {
    let is_sql =
        |tag: &str| tag.contains(['=', '<', '>', '(', ')', '\'']) || tag.contains(char::is_whitespace);
    if text.split("||").map(str::trim).any(is_sql) {
        return Err(
            "this is no list of tags such as \"TagA || TagB\"; SQL filters are not supported yet".to_owned()
        );
    }
    let mut tags = text.split("||").map(str::trim).filter(|tag| !tag.is_empty()).peekable();
    let is_of_use = tags.peek().is_some() && tags.all(|tag| tag != "*");
    if !is_of_use && !text.is_empty() && text != "*" {
        return Err("write \"*\" alone for all messages, or tags as \"TagA || TagB\"".to_owned());
    }
    Ok(text.to_owned())
}

pub(crate) fn in_flight(text: &str) -> Result<usize, String> {
    // The client itself holds no more sends than this.
    const MAX: usize = 65_536;
    match text.parse() {
        Ok(count @ 1..=MAX) => Ok(count),
        _ => Err(format!("a number from 1 to {MAX}")),
    }
}

pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.001..=1e9).contains(&rate) => Ok(rate),
        _ => Err("messages a second, from 0.001 to 1000000000".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    // A year: longer than anybody waits, shorter than any clock's range.
    match text.parse() {
        Ok(seconds) if (0.0..=31_536_000.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("seconds, e.g. 30 or 0.5, at most a year".to_owned()),
    }
}

fn consume_from(text: &str) -> Result<From, String> {
    Ok(match text {
        "first" => From::At(ConsumeFrom::FirstOffset),
        "last" => From::At(ConsumeFrom::LastOffset),
        _ => match (text.parse::<i64>(), ago(text)) {
            (Ok(unix_ms @ 0..), _) => From::At(ConsumeFrom::Timestamp(unix_ms)),
            (_, Some(ago)) => From::Ago(ago),
            _ => {
                return Err(
                    "first, last, Unix milliseconds, or a time ago such as 30s, 10m, 2h, 1d".to_owned()
                );
            }
        },
    })
}

/// `30s`, `10m`, `2h`, `1d`.
fn ago(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(u64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_free_of_contradictions() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_start_is_a_place_a_time_or_a_time_ago() {
        assert_eq!(consume_from("first"), Ok(From::At(ConsumeFrom::FirstOffset)));
        assert_eq!(consume_from("1700000000000"), Ok(From::At(ConsumeFrom::Timestamp(1_700_000_000_000))));
        assert_eq!(consume_from("2h"), Ok(From::Ago(Duration::from_secs(7_200))));
        for wrong in ["", "-1", "m", "1.5h", "4294967296d", "1w", "yesterday", "ä"] {
            assert!(consume_from(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_topic_has_four_queues_unless_told() {
        assert_eq!(topic("a"), Ok(("a".to_owned(), 4)));
        assert_eq!(topic("a:8"), Ok(("a".to_owned(), 8)));
        for wrong in ["", ":8", "a:", "a:0", "a:1025", "a:-1", "a b", "a:8:8"] {
            assert!(topic(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_property_keeps_what_follows_the_first_equals_sign() {
        assert_eq!(property("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(property("a="), Ok(("a".to_owned(), String::new())));
        assert!(property("=b").is_err());
        assert!(property("TAGS=x").expect_err("a tag").contains("--tag"));
        assert!(property("KEYS=x").expect_err("a key").contains("--key"));
        assert!(property("UNIQ_KEY=x").expect_err("reserved").contains("another name"));
        assert!(property("a").is_err());
    }

    #[test]
    fn a_filter_is_tags_and_nothing_else() {
        for tags in ["*", "", "a", "a||b", " a || b "] {
            assert_eq!(filter(tags).as_deref(), Ok(tags));
        }
        for sql in ["a > 3", "a=3", "a IS NOT NULL", "a || b = 'c'", "TAGS in('a')"] {
            assert!(filter(sql).expect_err(sql).contains("SQL"));
        }
        for misleading in ["* || a", "a||*", " ", "||", " || "] {
            assert!(filter(misleading).expect_err(misleading).contains("alone"));
        }
    }

    #[test]
    fn a_key_has_no_blank() {
        assert_eq!(key("order-1").as_deref(), Ok("order-1"));
        for wrong in ["a b", "", " a", "a\tb"] {
            assert!(key(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn numbers_that_would_hang_or_overflow_are_refused() {
        for wrong in ["0", "65537", "-1", "x"] {
            assert!(in_flight(wrong).is_err(), "{wrong}");
        }
        for wrong in ["0", "-1", "nan", "inf", "x"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        for wrong in ["-1", "nan", "inf", "1e10", "x"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
    }
}
