//! The command line of `rmq bench`.

use clap::{Args, Subcommand, ValueEnum};

use super::block::Spec;
use crate::args::{in_flight, rate};

/// What is measured.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum BenchCommand {
    /// Send messages: rate, CPU, latency and memory, beside a bare socket program if asked
    Send(SendArgs),
    /// Preload a topic and consume it by an empty handler, beside a bare pull loop if asked
    Consume(ConsumeArgs),
    /// Send at a steady rate to a consumer of the same process: the time from send to handler, beside a round
    /// trip and a bare program's delivery if asked
    Latency(LatencyArgs),
    /// What a consumer costs that has nothing to do
    Idle(IdleArgs),
    /// How long a process takes to start, send one message and end; a consumer, to its first message
    Start(StartArgs),
    /// What the development broker takes to start, alone and a hundred in one process
    Broker(BrokerArgs),
    /// Serve as name server and broker that answers every frame at once and stores nothing
    NullServer(NullArgs),
}

impl BenchCommand {
    /// The part of a measurement that this process is to run.
    pub(super) fn block(&self) -> Option<&Spec> {
        match self {
            Self::Send(args) => args.common.block.as_ref(),
            Self::Consume(args) => args.common.block.as_ref(),
            Self::Latency(args) => args.common.block.as_ref(),
            Self::Idle(args) => args.common.block.as_ref(),
            Self::Start(args) => args.common.block.as_ref(),
            Self::Broker(_) | Self::NullServer(_) => None,
        }
    }
}

impl BenchCommand {
    /// The same with another number of messages, where it has one.
    pub(super) fn with_count(mut self, messages: Option<u64>) -> Self {
        match (&mut self, messages) {
            (Self::Send(args), Some(messages)) => args.count = Some(messages),
            (Self::Consume(args), Some(messages)) => args.count = messages,
            (Self::Latency(args), Some(messages)) => args.count = messages,
            _ => {}
        }
        self
    }
}

/// What all measurements have in common.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// The cluster to use, as host:port; the environment is not asked, since topics are created and filled.
    /// Without it, the development broker in a process of its own
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["dev_broker", "null"])]
    pub(super) namesrv: Option<String>,
    /// Use the development broker, in a process of its own; the default
    #[arg(long, conflicts_with = "null")]
    pub(super) dev_broker: bool,
    /// Use a server that answers every frame at once and stores nothing: steadier than any broker
    #[arg(long)]
    pub(super) null: bool,
    /// The runtime that the client works on
    #[arg(long, value_enum, default_value_t = Adapter::Tokio)]
    pub(super) adapter: Adapter,
    /// Threads of tokio's multi-thread runtime
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) threads: u16,
    /// Also count the processor time of this process, a broker on this machine
    #[arg(long, value_name = "PID")]
    pub(super) broker_pid: Option<u32>,
    /// Print the outcome as one JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// Run one part of a measurement
    #[arg(long, hide = true, value_parser = Spec::parse)]
    pub(super) block: Option<Spec>,
}

/// The limit, and how often both are measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Pairing {
    /// Measure the limit as well, in turns with the client: a bare program on blocking sockets that writes
    /// frames encoded beforehand over one connection and only counts answers
    #[arg(long)]
    pub(super) with_limit: bool,
    /// How often to measure; medians are shown. Default: with the limit 10 pairs for one caller, else 5;
    /// without, once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(super) pairs: Option<u16>,
    /// Count instructions by valgrind and system calls by strace as well, in runs of their own, where these
    /// programs are installed; both are slow
    #[arg(long)]
    pub(super) trace: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    pub(super) pairing: Pairing,
    /// sync: each caller waits for every receipt; async: callers keep --in-flight messages under way;
    /// oneway: the same without receipts, ended by one send that is answered; batch: as async, --batch
    /// messages in one request, beside a limit that sends single messages
    #[arg(long, value_enum, default_value_t = Mode::Sync)]
    pub(super) mode: Mode,
    /// Messages under way, of all callers together; of no use to --mode sync
    #[arg(long, value_name = "N", default_value_t = 1_024, value_parser = in_flight)]
    pub(super) in_flight: usize,
    /// Messages of a batch, in --mode batch
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4_096))]
    pub(super) batch: u16,
    /// Tasks that send, or threads with --adapter blocking
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=4_096))]
    pub(super) callers: u16,
    /// Bytes of a body
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = clap::value_parser!(u32).range(..=4_000_000))]
    pub(super) size: u32,
    /// Messages of one measurement; rounded up to whole batches. Default: 100,000; in mode sync, 5,000 for
    /// each of up to 10 callers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// Queues of the topic
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(super) queues: u16,
    /// At most this many messages a second
    #[arg(long, value_name = "N", value_parser = rate)]
    pub(super) rate: Option<f64>,
    /// Messages that the limit has under way. Default: as many as the client
    #[arg(long, value_name = "N", value_parser = in_flight, requires = "with_limit")]
    pub(super) limit_in_flight: Option<usize>,
}

impl SendArgs {
    pub(super) fn count(&self) -> u64 {
        let count = self.count.unwrap_or(match self.mode {
            Mode::Sync => 5_000 * u64::from(self.callers.min(10)),
            Mode::Async | Mode::Oneway | Mode::Batch => 100_000,
        });
        count.next_multiple_of(self.batch().into())
    }

    /// Messages of one request.
    pub(super) fn batch(&self) -> u16 {
        if self.mode == Mode::Batch { self.batch } else { 1 }
    }

    /// Requests that the client has under way.
    pub(super) fn requests(&self) -> usize {
        let callers = self.callers.into();
        match self.mode {
            Mode::Sync => callers,
            Mode::Async | Mode::Oneway | Mode::Batch => {
                (self.in_flight / usize::from(self.batch())).max(callers)
            }
        }
    }

    /// Messages that the client has under way.
    pub(super) fn window(&self) -> usize {
        self.requests() * usize::from(self.batch())
    }

    pub(super) fn limit_window(&self) -> usize {
        self.limit_in_flight.unwrap_or_else(|| match self.mode {
            // Single messages, whatever the client's batches come to.
            Mode::Batch => self.in_flight,
            Mode::Sync | Mode::Async | Mode::Oneway => self.window(),
        })
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ConsumeArgs {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    pub(super) pairing: Pairing,
    /// Messages to preload and to consume; rounded up to whole pulls of 32 from every queue
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: u64,
    /// Queues of the topic
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(super) queues: u16,
    /// Tasks that handle messages, or threads with --adapter blocking
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(super) workers: u16,
    /// Bytes of a body
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = clap::value_parser!(u32).range(..=4_000_000))]
    pub(super) size: u32,
}

impl ConsumeArgs {
    /// Messages of each queue.
    pub(super) fn queue_count(&self) -> u64 {
        let batch = super::frames::PULL_BATCH;
        self.count.div_ceil(u64::from(self.queues)).div_ceil(batch) * batch
    }

    /// Messages of all queues.
    pub(super) fn total(&self) -> u64 {
        self.queue_count() * u64::from(self.queues)
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct LatencyArgs {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    pub(super) pairing: Pairing,
    /// Messages of one measurement
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(super) count: u64,
    /// Messages a second
    #[arg(long, value_name = "N", default_value_t = 500.0, value_parser = rate)]
    pub(super) rate: f64,
    /// Queues of the topic
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(super) queues: u16,
    /// Bytes of a body
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = clap::value_parser!(u32).range(8..=4_000_000))]
    pub(super) size: u32,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct IdleArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// Queues of the topic
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(super) queues: u16,
    /// How long to watch, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3_600))]
    pub(super) seconds: u16,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct StartArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// How often to start
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(super) times: u16,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct BrokerArgs {
    /// How often to start a process
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(super) times: u16,
    /// Brokers to start in one process, each to store one message
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(super) brokers: u16,
    /// Print the outcome as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct NullArgs {
    /// The port; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub(super) port: u16,
    /// Queues of every topic
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(super) queues: u16,
    /// Messages that pulls find in each queue
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) messages: u64,
    /// Bytes of their bodies
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = clap::value_parser!(u32).range(..=65_536))]
    pub(super) size: u32,
}

/// How messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    Sync,
    Async,
    Oneway,
    Batch,
}

/// What drives the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Adapter {
    /// tokio, multi-thread
    Tokio,
    /// tokio, one thread
    TokioCurrentThread,
    /// async-std's own executor
    #[cfg(feature = "async-std")]
    AsyncStd,
    /// No runtime: threads that wait
    Blocking,
}

/// The word by which the command line knows it.
pub(super) fn name_of(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
