//! One broker's queues, each with at most one pull under way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_tokio::ConsumeFrom;
use rocketmq_client_tokio::core::message::sys_flag::pull;
use rocketmq_client_tokio::core::message::{StoredMessage, StoredMessages};
use rocketmq_client_tokio::core::remoting::{
    PullMessageRequestHeader, PullMessageResponseHeader, RemotingCommand, ResponseCode,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Seen;
use crate::admin::Remote;
use crate::args::ConsumeArgs;
use crate::error::CliError;
use crate::output;

/// A group that every broker has, for tools. Java: `MixAll#TOOLS_CONSUMER_GROUP`.
const GROUP: &str = "TOOLS_CONSUMER";
/// Messages that are asked for at a time. Java: `DefaultMQPushConsumer#pullBatchSize`.
const PULL_COUNT: i32 = 32;
/// How long a broker may hold a pull for which there is nothing. Java: `BROKER_SUSPEND_MAX_TIME_MILLIS`.
const HOLD: Duration = Duration::from_secs(15);
/// How much longer an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// A queue that brought nothing new is asked again no sooner than this after it was asked.
const PAUSE: Duration = Duration::from_secs(1);

struct Queue {
    id: i32,
    offset: i64,
    /// Where to stop, if anywhere.
    end: Option<i64>,
}

/// A pull under way.
struct Asked {
    queue: usize,
    at: Instant,
}

/// A look at the queues of a broker.
pub(super) struct Look {
    broker: Arc<str>,
    remote: Remote,
    topic: String,
    /// As the broker is asked for them; it compares hashes, so what comes is compared again.
    expression: String,
    until_end: bool,
    queues: Vec<Queue>,
    asked: BTreeMap<i32, Asked>,
    /// Queues that wait for their next pull, by when it is due.
    paused: BTreeSet<(Instant, usize)>,
    sender: mpsc::Sender<Seen>,
}

/// How a look at a queue goes on.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// There may be more at once.
    Ask,
    /// There was nothing new.
    Pause,
    /// Its end is reached.
    Done,
}

impl Look {
    pub(super) fn new(
        broker: Arc<str>,
        remote: Remote,
        args: &ConsumeArgs,
        sender: mpsc::Sender<Seen>,
    ) -> Self {
        Self {
            broker,
            remote,
            topic: args.topic.clone(),
            expression: args.filter.clone(),
            until_end: args.until_end,
            queues: Vec::new(),
            asked: BTreeMap::new(),
            paused: BTreeSet::new(),
            sender,
        }
    }

    /// Adds a queue, from this place on.
    pub(super) async fn add(&mut self, id: i32, from: ConsumeFrom) -> Result<(), CliError> {
        let (min, max) = self.remote.offsets(&self.topic, id).await?;
        let offset = match from {
            ConsumeFrom::FirstOffset => min,
            ConsumeFrom::Timestamp(unix_ms) => self.remote.offset_at(&self.topic, id, unix_ms).await?,
            // Where new messages come.
            _ => max,
        };
        let end = self.until_end.then_some(max);
        if end.is_none_or(|end| offset < end) {
            self.queues.push(Queue { id, offset, end });
        }
        Ok(())
    }

    /// Looks until every queue's end is reached, or nobody wants to see more.
    pub(super) async fn run(mut self) -> Result<(), CliError> {
        for queue in 0..self.queues.len() {
            self.ask(queue).await?;
        }
        while !self.asked.is_empty() || !self.paused.is_empty() {
            let oldest = self.asked.values().map(|asked| asked.at).min();
            let due = self.paused.first().map(|(due, _)| *due);
            tokio::select! {
                answer = self.remote.next_answer(), if oldest.is_some() => {
                    if !self.take(answer?).await? {
                        return Ok(());
                    }
                }
                () = at(due) => {
                    if let Some((_, queue)) = self.paused.pop_first() {
                        self.ask(queue).await?;
                    }
                }
                () = at(oldest.map(|oldest| oldest + HOLD + ANSWER_TIMEOUT)) => {
                    return Err(self.remote.failed("it does not answer pulls".to_owned()));
                }
            }
        }
        Ok(())
    }

    async fn ask(&mut self, queue: usize) -> Result<(), CliError> {
        let Queue { id, offset, .. } = self.queues[queue];
        let (flags, hold) = match self.until_end {
            true => (pull::SUBSCRIPTION, Duration::ZERO),
            false => (pull::SUBSCRIPTION | pull::SUSPEND, HOLD),
        };
        let header = PullMessageRequestHeader {
            consumer_group: GROUP.into(),
            topic: (&*self.topic).into(),
            queue_id: id,
            queue_offset: offset,
            max_msg_nums: PULL_COUNT,
            sys_flag: flags,
            suspend_timeout_millis: i64::try_from(hold.as_millis()).unwrap_or(0),
            subscription: Some((&*self.expression).into()),
            expression_type: Some("TAG".into()),
            ..PullMessageRequestHeader::default()
        };
        let opaque = self.remote.begin(&header).await?;
        self.asked.insert(opaque, Asked { queue, at: Instant::now() });
        Ok(())
    }

    /// False when nobody wants to see more.
    async fn take(&mut self, answer: RemotingCommand) -> Result<bool, CliError> {
        let Some(Asked { queue, at }) = self.asked.remove(&answer.opaque) else { return Ok(true) };
        let (messages, next) = self.read(queue, &answer)?;
        for message in messages {
            if self.sender.send(message).await.is_err() {
                return Ok(false);
            }
        }
        match next {
            Next::Ask => self.ask(queue).await?,
            Next::Pause if at.elapsed() >= PAUSE => self.ask(queue).await?,
            Next::Pause => drop(self.paused.insert((at + PAUSE, queue))),
            Next::Done => {}
        }
        Ok(true)
    }

    /// What an answer brings, and how its queue goes on.
    fn read(&mut self, queue: usize, answer: &RemotingCommand) -> Result<(Vec<Seen>, Next), CliError> {
        let code = answer.response_code();
        let found = match code {
            ResponseCode::SUCCESS => true,
            ResponseCode::PULL_NOT_FOUND
            | ResponseCode::PULL_RETRY_IMMEDIATELY
            | ResponseCode::PULL_OFFSET_MOVED => false,
            _ => return Err(self.remote.refused(answer)),
        };
        let header: PullMessageResponseHeader = self.remote.read(answer)?;
        let Queue { id, offset, end } = self.queues[queue];
        let mut messages = Vec::new();
        for record in StoredMessages::new(answer.body.clone()).take_while(|_| found) {
            match record {
                Ok(mut message) => {
                    message.queue_offset += header.offset_delta.unwrap_or(0);
                    if self.is_wanted(&message) && message.queue_offset >= offset {
                        messages.push(Seen::new(&self.broker, message));
                    }
                }
                Err(error) => {
                    output::note(&format!("queue {id} of {}: a record can't be read: {error}", self.broker));
                }
            }
        }
        messages.retain(|seen| end.is_none_or(|end| seen.message.queue_offset < end));
        if code == ResponseCode::PULL_OFFSET_MOVED && header.next_begin_offset != offset {
            let next = header.next_begin_offset;
            output::note(&format!(
                "queue {id} of {}: {offset} is not there, going on at {next}",
                self.broker
            ));
        }
        let next = next_of(code, offset, header.next_begin_offset, end);
        self.queues[queue].offset = header.next_begin_offset;
        Ok((messages, next))
    }

    /// The broker compares the tags' hashes; this compares the tags.
    fn is_wanted(&self, message: &StoredMessage) -> bool {
        is_wanted(&self.expression, message.tags())
    }
}

fn is_wanted(expression: &str, tags: Option<&str>) -> bool {
    let mut wanted = expression.split("||").map(str::trim);
    wanted.any(|tag| tag == "*" || tag.is_empty() || Some(tag) == tags)
}

fn next_of(code: ResponseCode, offset: i64, next: i64, end: Option<i64>) -> Next {
    if end.is_some_and(|end| next >= end || code == ResponseCode::PULL_NOT_FOUND) {
        return Next::Done;
    }
    // What does not lead on must not be asked for as fast as the broker answers.
    if next > offset { Next::Ask } else { Next::Pause }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_done_at_its_end_and_never_asked_in_a_circle() {
        use ResponseCode as Code;
        let cases = [
            (Code::SUCCESS, 0, 5, Some(9), Next::Ask),
            (Code::SUCCESS, 0, 9, Some(9), Next::Done),
            (Code::SUCCESS, 0, 5, None, Next::Ask),
            (Code::SUCCESS, 5, 5, None, Next::Pause),
            (Code::PULL_RETRY_IMMEDIATELY, 0, 5, Some(9), Next::Ask),
            (Code::PULL_NOT_FOUND, 5, 5, None, Next::Pause),
            (Code::PULL_NOT_FOUND, 5, 5, Some(9), Next::Done),
            (Code::PULL_OFFSET_MOVED, 5, 2, None, Next::Pause),
            (Code::PULL_OFFSET_MOVED, 0, 7, Some(9), Next::Ask),
        ];
        for (code, offset, next, end, wanted) in cases {
            assert_eq!(next_of(code, offset, next, end), wanted, "{code} {offset} {next} {end:?}");
        }
    }

    #[test]
    fn tags_are_compared_and_not_their_hashes() {
        // "Aa" and "BB" have one hash in Java.
        assert!(is_wanted("Aa || b", Some("Aa")) && !is_wanted("Aa || b", Some("BB")));
        assert!(is_wanted("*", None) && !is_wanted("a", None));
    }
}
