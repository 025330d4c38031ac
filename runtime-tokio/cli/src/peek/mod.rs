//! `rmq consume` without a group: looks at the messages of a topic and takes none.
//!
//! Pulls are made in the name of a group that every broker has for its tools, as Java's `mqadmin printMsg` does:
//! no group comes into being, nothing is registered and nothing is committed. Each broker is one connection.

mod broker;

use std::io::{self, IsTerminal};
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use rocketmq_client_tokio::ConsumeFrom;
use rocketmq_client_tokio::core::driver::compress::inflate;
use rocketmq_client_tokio::core::message::{StoredMessage, perm};
use rocketmq_client_tokio::core::remoting::TopicRouteData;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::broker::Look;
use crate::admin::Remote;
use crate::args::{ConsumeArgs, From};
use crate::consume::{consume_from, timeout};
use crate::error::CliError;
use crate::format::Shown;
use crate::printer::Printer;
use crate::{output, stop};

/// Messages that wait to be printed, of all brokers.
const WAITING_MAX: usize = 256;
/// The largest body that is inflated, as consumers have it by default.
const INFLATED_BYTES_MAX: usize = 32 << 20;

/// A message that was looked at.
struct Seen {
    broker: Arc<str>,
    message: StoredMessage,
    body: Result<Bytes, String>,
}

impl Seen {
    fn new(broker: &Arc<str>, message: StoredMessage) -> Self {
        let body = match message.check_crc() {
            Ok(()) => inflate(message.sys_flag, message.raw_body(), INFLATED_BYTES_MAX)
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        Self { broker: broker.clone(), message, body }
    }

    fn shown(&self) -> Shown<'_> {
        Shown::stored(&self.broker, &self.message, self.body.as_deref().map_err(Clone::clone))
    }
}

/// Prints messages until there are enough, the end is reached, the time is over, or the user stops it.
pub(crate) async fn run(args: ConsumeArgs) -> Result<(), CliError> {
    let mut stop = pin!(stop::asked());
    let (sender, seen) = mpsc::channel(WAITING_MAX);
    let mut looks = tokio::select! {
        looks = start(&args, sender) => looks?,
        asked = &mut stop => return Ok(asked?),
    };
    if io::stderr().is_terminal() {
        let until = if args.until_end { "" } else { "; Ctrl-C ends" };
        output::note(&format!("looking at {}, nothing is taken{until}", args.topic));
    }
    let printer = Printer::new(&args);
    let (ended, late) = tokio::select! {
        ended = print(seen, &printer, &mut looks) => (ended, false),
        asked = &mut stop => (asked.map_err(Into::into), false),
        () = timeout(args.timeout) => (Ok(()), true),
    };
    ended?;
    if !args.json {
        output::note(&format!("{}; nothing was taken or committed", printer.summary()));
    }
    printer.check_count(&args, late, "")
}

/// Asks for the route and the places to start from, and begins to look.
async fn start(
    args: &ConsumeArgs,
    sender: mpsc::Sender<Seen>,
) -> Result<JoinSet<Result<(), CliError>>, CliError> {
    let mut name_server = Remote::connect_any(&args.cluster.name_servers()).await?;
    let route = name_server.route(&args.topic).await?.ok_or_else(|| {
        let address = name_server.address();
        CliError::Failed(format!(
            "{address} has no route for topic {}: check its name",
            args.topic.escape_debug()
        ))
    })?;
    let from = consume_from(args.from.unwrap_or(From::At(ConsumeFrom::FirstOffset)));
    let mut looks = JoinSet::new();
    for (name, address, queues) in places(&route) {
        let mut look = Look::new(name, Remote::connect(&address).await?, args, sender.clone());
        for queue_id in 0..queues {
            look.add(queue_id, from).await?;
        }
        looks.spawn(look.run());
    }
    if looks.is_empty() {
        return Err(CliError::Failed(format!(
            "nobody may read topic {}: its permission forbids it",
            args.topic
        )));
    }
    Ok(looks)
}

/// Each broker with queues that can be read, where it is reached, and how many queues it has. The master, or the
/// slave with the lowest id where there is none.
fn places(route: &TopicRouteData) -> Vec<(Arc<str>, Arc<str>, i32)> {
    let readable = route.queue_datas.iter().filter(|queues| perm::is_readable(queues.perm));
    let place = |queues: &rocketmq_client_tokio::core::remoting::QueueData| {
        let broker = route.broker_datas.iter().find(|broker| broker.broker_name == queues.broker_name)?;
        let address = broker.broker_addrs.values().next()?;
        Some((queues.broker_name.clone(), address.clone(), queues.read_queue_nums))
    };
    readable.filter_map(place).collect()
}

/// Prints what is seen until there is enough or no broker has any more.
async fn print(
    mut seen: mpsc::Receiver<Seen>,
    printer: &Printer,
    looks: &mut JoinSet<Result<(), CliError>>,
) -> Result<(), CliError> {
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            biased;
            count = seen.recv_many(&mut batch, WAITING_MAX) => if count == 0 { break },
            // A broker that fails is told at once, whatever the others do.
            Some(ended) = looks.join_next() => ended.map_err(io::Error::other)??,
        }
        let wanted = batch.iter().take_while(|_| printer.claim()).count();
        let enough = wanted < batch.len();
        batch.truncate(wanted);
        // A reader that is slow holds this thread, and no other work of the runtime.
        tokio::task::block_in_place(|| printer.print(batch.iter().map(Seen::shown), ""))?;
        batch.clear();
        if enough || printer.is_enough() {
            return Ok(());
        }
    }
    while let Some(ended) = looks.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    Ok(())
}
