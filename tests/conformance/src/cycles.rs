//! Clients that come and go by the thousand: memory, sockets, threads and tasks stay what they were.
//!
//! Every adapter has a process of its own, and the broker another, so that nothing but the clients is measured.

use std::env;
use std::fmt;
use std::fs;
use std::net::TcpListener;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rocketmq_client_core::config::ConsumeFrom;
use rocketmq_client_core::driver::ClientBuilder;
use rocketmq_client_core::error::Error;
use rocketmq_client_core::message::Message;
use rocketmq_dev_broker::DevBroker;

use crate::failure::{ensure, ensure_matches};
use crate::{Adapter, Failure, Verdict, timer};

/// Cycles when nothing is said: a few seconds for all adapters.
pub const CYCLES: usize = 200;
/// Cycles before the first measurement, and how many more for so many that are measured: allocators and
/// stacks have what they need by then. A client without a runtime leaves a thread for a few milliseconds, so
/// quick cycles need as many stacks as there were clients in that time.
const WARM_UP: usize = 100;
const WARM_UP_SHARE: usize = 4;
/// From so many cycles on memory is compared: before, pages that are touched for the first time are too large
/// a part of it.
const CYCLES_FOR_MEMORY: usize = 2_000;
/// How much more memory may be resident after than before, in percent.
const GROWTH_PERCENT_MAX: u64 = 10;
/// How long threads and sockets may take to be gone after the last client.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(20);
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// Names the adapter to a process that is to measure it.
const ADAPTER_VARIABLE: &str = "RMQ_CYCLES_ADAPTER";
const BROKER_VARIABLE: &str = "RMQ_CYCLES_NAMESRV";
const TOPIC: &str = "Cycles";
const GROUP: &str = "cycles";

/// What this process uses.
#[derive(Clone, Copy, Debug)]
struct Usage {
    resident_kib: u64,
    threads: usize,
    descriptors: usize,
    /// Where the runtime tells.
    tasks: Option<usize>,
}

/// Runs `cycles` of each kind for every adapter with sockets and tells by `say` how it went.
pub fn run(cycles: usize, say: impl Fn(&str)) -> ExitCode {
    let told = match env::var(ADAPTER_VARIABLE) {
        Ok(name) => measure(&name, cycles, &say),
        Err(_) => every_adapter(cycles, &say),
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(why)) => {
            say(&format!("FAILED: {why}"));
            ExitCode::FAILURE
        }
        Err(Failure::DoesNotApply(why) | Failure::Skipped(why)) => {
            say(&format!("skipped: {why}"));
            ExitCode::SUCCESS
        }
    }
}

fn every_adapter(cycles: usize, say: &impl Fn(&str)) -> Verdict {
    if Usage::now().is_err() {
        return Err(Failure::DoesNotApply("this system does not tell in /proc what a process uses"));
    }
    let broker = DevBroker::start()?;
    for adapter in Adapter::with_sockets() {
        let mut process = Command::new(env::current_exe()?);
        process.arg(cycles.to_string()).stdin(Stdio::null());
        process.env(ADAPTER_VARIABLE, adapter.to_string()).env(BROKER_VARIABLE, broker.addr());
        ensure!(process.status()?.success(), "{adapter} does not stay what it was");
    }
    say(&format!(
        "{cycles} starts and {cycles} refused connects x {} adapters, all flat",
        Adapter::with_sockets().count()
    ));
    Ok(())
}

/// The process of one adapter.
fn measure(name: &str, cycles: usize, say: &impl Fn(&str)) -> Verdict {
    let adapter = Adapter::with_sockets().find(|adapter| adapter.to_string() == name);
    let adapter = adapter.ok_or_else(|| format!("there is no adapter {name}"))?;
    let broker = env::var(BROKER_VARIABLE)?;
    let closed = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.to_string();
    adapter.run(async {
        let lives = async |cycle| life(adapter, &broker, cycle).await;
        say(&format!("{adapter}: {}", repeated("starts", cycles, lives).await?));
        let refusals = async |_| refusal(adapter, &closed).await;
        say(&format!("{adapter}: {}", repeated("refused connects", cycles, refusals).await?));
        Ok(())
    })?
}

async fn repeated(what: &str, cycles: usize, one: impl AsyncFn(usize) -> Verdict) -> Verdict<String> {
    for cycle in 0..WARM_UP + cycles / WARM_UP_SHARE {
        one(cycle).await?;
    }
    let before = Usage::settled(|_| true).await?;
    let began = Instant::now();
    for cycle in 0..cycles {
        one(cycle).await?;
    }
    let took = began.elapsed();
    let after = Usage::settled(|usage| usage.is_no_more_than(&before)).await?;
    let each = took / u32::try_from(cycles.max(1))?;
    let told = format!("{cycles} {what}, {each:.1?} each: {before} before, {after} after");
    ensure!(after.is_no_more_than(&before), "{told}");
    let most = before.resident_kib * (100 + GROWTH_PERCENT_MAX) / 100;
    ensure!(
        cycles < CYCLES_FOR_MEMORY || after.resident_kib <= most,
        "{told}: {GROWTH_PERCENT_MAX} % more at most"
    );
    Ok(told)
}

/// A client's life: it sends, consumes what it sent, and goes, every third time without a word.
async fn life(adapter: Adapter, broker: &str, cycle: usize) -> Verdict {
    let client = adapter.connect(ClientBuilder::new(broker)).await?;
    let producer = client.producer("cycles").build()?;
    let body = cycle.to_string();
    let place = adapter.end(producer.send(Message::new(TOPIC, body))).await?;
    let group = client.push_consumer(GROUP).subscribe(TOPIC, "*").consume_from(ConsumeFrom::FirstOffset);
    let mut stream = adapter.end(group.stream()).await?;
    loop {
        let message = timer::within(SETTLE_TIMEOUT, stream.next()).await;
        let message = message.map_err(|_| "no message came")?.ok_or("the stream ended")?;
        let is_last = message.queue() == &place.queue && message.queue_offset() == place.queue_offset;
        message.ack();
        if is_last {
            break;
        }
    }
    if !cycle.is_multiple_of(3) {
        adapter.end(stream.close()).await?;
        adapter.end(client.close()).await?;
    }
    Ok(())
}

async fn refusal(adapter: Adapter, closed: &str) -> Verdict {
    let connected = adapter.connect(ClientBuilder::new(closed)).await;
    ensure_matches!(connected, Err(Error::Unreachable(_)), "a connect to a closed port");
    Ok(())
}

impl Usage {
    fn now() -> Verdict<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let number = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
            number.ok_or_else(|| format!("/proc/self/status has no {field}"))
        };
        let runtime = tokio::runtime::Handle::try_current().ok();
        Ok(Self {
            resident_kib: number("VmRSS:")?,
            threads: usize::try_from(number("Threads:")?)?,
            // The folder is open while it is read.
            descriptors: fs::read_dir("/proc/self/fd")?.count() - 1,
            tasks: runtime.map(|runtime| runtime.metrics().num_alive_tasks()),
        })
    }

    /// Waits until it fits and stays the same from one look to the next; gives what there is in the end.
    async fn settled(fits: impl Fn(&Self) -> bool) -> Verdict<Self> {
        let began = Instant::now();
        let mut last = Self::now()?;
        loop {
            timer::pause(LOOK_PAUSE).await;
            let usage = Self::now()?;
            if began.elapsed() > SETTLE_TIMEOUT || (fits(&usage) && usage.is_no_more_than(&last)) {
                return Ok(usage);
            }
            last = usage;
        }
    }

    fn is_no_more_than(&self, before: &Self) -> bool {
        self.threads <= before.threads && self.descriptors <= before.descriptors && self.tasks <= before.tasks
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (threads, descriptors) = (self.threads, self.descriptors);
        write!(f, "{} KiB, {threads} threads, {descriptors} files", self.resident_kib)?;
        self.tasks.map_or(Ok(()), |tasks| write!(f, ", {tasks} tasks"))
    }
}
