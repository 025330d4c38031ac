//! One send: attempts until it is stored, hopeless, or out of time. Java:
//! `DefaultMQProducerImpl#sendDefaultImpl` and `#sendKernelImpl`; unlike there, the async form retries
//! just as the sync one, a retry is encoded anew for its queue, and an attempt leaves time for the next.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::channel::{Keep, Reply};
use crate::config::ProducerConfig;
use crate::error::{Cause, Error, Failure, UsageError};
use crate::id::{AskToken, OperationId, ProducerId, SendId};
use crate::message::id::HexId;
use crate::message::outbound::OutboundMessage;
use crate::message::{MessageQueue, UNIQ_KEY_CHARS_MAX, property};
use crate::output::{BatchReceipt, Outcome, Owner, Question, SendReceipt, SendStatus};
use crate::producer::queue_choice::QueueChoice;
use crate::remoting::HeaderError;
use crate::route::RouteOutcome;
use crate::shared::{Asker, Shared, TimerKey};
use crate::time::{Instant, Timestamp};
use crate::timer::TimerId;

use super::publish_info::TopicPublishInfo;
use super::request::{self, Letter};
use super::retry::{self, Budget, Failed, Next, Reachable, Verdict, judge};
use super::{Producer, Producers};

/// Whether an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendKind {
    /// Until the broker has answered.
    Answered,
    /// Until the socket has taken it.
    Oneway,
}

/// A send as the user ordered it.
#[derive(Clone, Debug)]
pub struct SendOrder {
    /// The command to be completed.
    pub operation: OperationId,
    /// By which producer.
    pub producer: ProducerId,
    /// The message, validated.
    pub message: Box<OutboundMessage>,
    /// How its queue is found.
    pub choice: QueueChoice,
    /// The budget; the producer's own when `None`.
    pub timeout: Option<Duration>,
    /// With or without an answer.
    pub kind: SendKind,
}

/// What is sent.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// One message.
    One,
    /// So many messages, encoded as the body of one.
    Batch {
        count: usize,
        /// The one that a queue selector is shown.
        shown: Option<Box<OutboundMessage>>,
    },
}

/// A send under way.
#[derive(Clone, Debug)]
pub(super) struct OpenSend {
    order: SendOrder,
    content: Content,
    /// The unique key: of a batch's first message, whose others follow.
    message_id: HexId,
    born: Timestamp,
    started: Instant,
    deadline: Instant,
    attempts: u32,
    attempt_started: Instant,
    queue: Option<Arc<MessageQueue>>,
    maybe_stored: bool,
    /// Why the last attempt or look-up failed.
    last_cause: Option<Box<Cause>>,
    earlier: Option<Box<Outcome>>,
    /// Its attempt waits for a connection that will not come up any more.
    unsent: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Routing(TimerId),
    Sending,
    /// A one-way send ends when the socket took it, or when its time is over.
    Writing(TimerId),
    Pausing(TimerId),
    /// User code chooses the queue.
    Asking(AskToken, TimerId),
}

impl OpenSend {
    pub(super) fn is_to(&self, topic: &str) -> bool {
        &*self.order.message.topic == topic
    }

    pub(super) fn producer(&self) -> ProducerId {
        self.order.producer
    }

    fn is_batch(&self) -> bool {
        matches!(self.content, Content::Batch { .. })
    }

    fn letter(&self, id: SendId) -> Letter<'_> {
        let SendOrder { kind, message, .. } = &self.order;
        Letter { id, kind: *kind, message, born: self.born, batch: self.is_batch() }
    }

    fn budget(&self, now: Instant, config: &ProducerConfig) -> Budget {
        Budget {
            attempts: self.attempts,
            attempts_max: retry::attempts_max(self.order.kind, &self.order.choice, config),
            left: self.deadline.saturating_since(now),
        }
    }

    /// An attempt is with a connection.
    fn is_under_way(&self) -> bool {
        matches!(self.state, State::Sending | State::Writing(_))
    }
}

impl Producers {
    /// A user sends.
    pub fn send(&mut self, shared: &mut Shared, now: Instant, mut order: SendOrder) {
        let born = shared.clock.timestamp(now);
        let message_id = push_unique_key(shared, born, &mut order.message.properties);
        self.begin(shared, now, order, (Content::One, message_id, born));
    }

    /// The first attempt of what has got its unique keys.
    pub(super) fn begin(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        order: SendOrder,
        (content, message_id, born): (Content, HexId, Timestamp),
    ) {
        let Some(producer) =
            self.table.get_mut(&order.producer).filter(|producer| producer.closing.is_none())
        else {
            return shared.complete(order.operation, Outcome::Failed(Error::Closed));
        };
        let deadline = now + order.timeout.unwrap_or(producer.config.send_timeout);
        producer.under_way += 1;
        let id = self.sends.insert(OpenSend {
            order,
            content,
            message_id,
            born,
            started: now,
            deadline,
            attempts: 0,
            attempt_started: now,
            queue: None,
            maybe_stored: false,
            last_cause: None,
            earlier: None,
            unsent: false,
            state: State::Sending,
        });
        self.attempt(shared, now, id);
    }

    /// A look-up has ended; sends that waited for it go on.
    pub fn handle_route(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        topic: &Arc<str>,
        outcome: &RouteOutcome,
    ) {
        self.warm_up_route(shared, now, topic, outcome);
        for id in self.routing.remove(topic).unwrap_or_default() {
            let Some(send) = self.sends.get_mut(id) else { continue };
            let State::Routing(timer) = send.state else { continue };
            shared.cancel(timer);
            send.state = State::Sending;
            match outcome {
                RouteOutcome::Known { .. } => self.attempt(shared, now, id),
                RouteOutcome::NoRoute(cause) | RouteOutcome::Failed(cause) => {
                    self.follow(shared, now, id, retry::after_no_route(cause), cause.clone());
                }
            }
        }
    }

    /// An attempt has ended.
    pub fn handle_reply(&mut self, shared: &mut Shared, now: Instant, id: SendId, reply: Reply) {
        let Some(send) = self.sends.get_mut(id) else { return };
        if !send.is_under_way() {
            return;
        }
        let verdict = judge(reply);
        if let Some(producer) = self.table.get_mut(&send.order.producer) {
            report_health(producer, now, send, &verdict);
        }
        match verdict {
            Verdict::Stored(status, command) => {
                let queue = send.queue.as_ref().expect("an attempt has a queue");
                match send.content {
                    Content::One => {
                        let read = SendReceipt::read(&command, status, send.message_id, queue);
                        self.told(shared, now, id, status, read);
                    }
                    Content::Batch { count, .. } => {
                        let read = BatchReceipt::read(&command, status, (send.message_id, count), queue);
                        self.told(shared, now, id, status, read);
                    }
                }
            }
            Verdict::Failed(failed) => self.failed(shared, now, id, failed),
        }
    }

    /// The socket has taken a one-way send.
    pub fn handle_written(&mut self, shared: &mut Shared, now: Instant, id: SendId) {
        self.end(shared, now, id, Outcome::Done);
    }

    /// A pause is over, or the time for a look-up is.
    pub fn handle_timer(&mut self, shared: &mut Shared, now: Instant, id: SendId) {
        let Some(send) = self.sends.get_mut(id) else { return };
        match send.state {
            State::Pausing(_) => {
                send.state = State::Sending;
                self.attempt(shared, now, id);
            }
            State::Routing(_) | State::Asking(..) => self.out_of_time(shared, now, id),
            // Nobody knows whether the socket will take it yet.
            State::Writing(_) => {
                send.maybe_stored = true;
                shared.channels.count_oneway_timeout();
                self.give_up(shared, now, id, Cause::Timeout);
            }
            State::Sending => {}
        }
    }

    /// The attempt that is under way will never leave.
    pub(super) fn not_sent(&mut self, id: SendId) {
        if let Some(send) = self.sends.get_mut(id) {
            send.unsent = true;
        }
    }

    /// Ends a send without success, with the most that is known.
    pub(super) fn give_up(&mut self, shared: &mut Shared, now: Instant, id: SendId, cause: Cause) {
        let Some(send) = self.sends.get_mut(id) else { return };
        if send.is_under_way() && send.attempts > 0 && cause == Cause::Closing && !send.unsent {
            send.maybe_stored = true;
        }
        if let Some(outcome) = send.earlier.take() {
            return self.end(shared, now, id, *outcome);
        }
        let answered = matches!(cause, Cause::Answered { .. });
        let failure = Box::new(Failure {
            action: if send.is_batch() { "send a batch to" } else { "send to" },
            topic: Some(send.order.message.topic.clone()),
            peer: send.queue.as_ref().map(|queue| queue.broker_name.clone()),
            attempts: send.attempts,
            elapsed: now.saturating_since(send.started),
            cause,
        });
        let error = match (send.maybe_stored, answered) {
            (true, _) => Error::Unknown(failure),
            (false, true) => Error::Refused(failure),
            (false, false) => Error::NotSent(failure),
        };
        self.end(shared, now, id, Outcome::Failed(error));
    }

    fn attempt(&mut self, shared: &mut Shared, now: Instant, id: SendId) {
        let Some(send) = self.sends.get_mut(id) else { return };
        let Some(producer) = self.table.get_mut(&send.order.producer) else { return };
        let topic = &send.order.message.topic;
        if now >= send.deadline {
            return self.out_of_time(shared, now, id);
        }
        let Some(route) = shared.routes.get(topic) else {
            return self.wait_for_route(shared, now, id);
        };
        let info = match producer.topics.get_mut(topic) {
            Some(info) => info,
            None => {
                let info = TopicPublishInfo::new(&mut shared.rng);
                producer.topics.entry(topic.clone()).or_insert(info)
            }
        };
        info.refresh(now, route);
        if send.order.choice == QueueChoice::Select {
            let queues = info.queues().clone();
            return self.select(shared, now, id, queues);
        }
        let faults = producer.config.latency_fault_tolerance.then_some(&producer.faults);
        let last_broker = send.queue.as_ref().map(|queue| &*queue.broker_name);
        let Some(queue) = info.select(now, &send.order.choice, last_broker, faults) else {
            shared.doubt_route(now, topic, None);
            return self.give_up(shared, now, id, Cause::NoQueue);
        };
        let Some(address) = shared.routes.master(&queue.broker_name).cloned() else {
            send.queue = Some(queue);
            send.attempts += 1;
            return self.failed(shared, now, id, Failed::not_tried(Cause::NoAddress));
        };
        let another = info.has_broker_besides(&queue.broker_name);
        let budget = send.budget(now, &producer.config);
        let deadline = now + retry::attempt_time(budget, another, &producer.config);
        send.queue = Some(queue.clone());
        send.attempts += 1;
        send.attempt_started = now;
        if send.order.kind == SendKind::Oneway {
            send.state = State::Writing(shared.arm(send.deadline, TimerKey::Send(id)));
        }
        let way = (&*queue, &address);
        let from = (&*producer.config, info);
        request::put(&mut shared.channels, now, send.letter(id), from, way, (deadline, Keep::Nothing));
    }

    /// The broker wants the attempt that is under way on another connection.
    pub(crate) fn send_again(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: SendId,
        (address, deadline): (&Arc<str>, Instant),
    ) {
        let Some(send) = self.sends.get(id).filter(|send| send.is_under_way()) else { return };
        let Some(producer) = self.table.get_mut(&send.order.producer) else { return };
        let (Some(queue), Some(info)) = (&send.queue, producer.topics.get_mut(&send.order.message.topic))
        else {
            return self.failed(shared, now, id, Failed::not_tried(Cause::NoQueue));
        };
        let (from, way) = ((&*producer.config, info), (&**queue, address));
        request::put(&mut shared.channels, now, send.letter(id), from, way, (deadline, Keep::Again));
    }

    fn wait_for_route(&mut self, shared: &mut Shared, now: Instant, id: SendId) {
        let Some(send) = self.sends.get_mut(id) else { return };
        let Some(producer) = self.table.get(&send.order.producer) else { return };
        let timer = shared.arm(send.deadline, TimerKey::Send(id));
        send.state = State::Routing(timer);
        let topic = send.order.message.topic.clone();
        let queue_nums = producer.config.default_topic_queue_nums;
        self.routing.entry(topic.clone()).or_default().push(id);
        shared.look_up_route(now, &topic, Some(queue_nums));
    }

    /// Asks user code for one of `queues`, for as long as the send has time.
    fn select(&mut self, shared: &mut Shared, now: Instant, id: SendId, queues: Arc<[Arc<MessageQueue>]>) {
        let Some(send) = self.sends.get_mut(id) else { return };
        if queues.is_empty() {
            shared.doubt_route(now, &send.order.message.topic, None);
            return self.give_up(shared, now, id, Cause::NoQueue);
        }
        let topic = send.order.message.topic.clone();
        let message = match &send.content {
            Content::Batch { shown: Some(shown), .. } => Arc::new((**shown).clone()),
            Content::Batch { shown: None, .. } | Content::One => Arc::new((*send.order.message).clone()),
        };
        let question = Question::SelectQueue { message, queues: queues.clone() };
        let asker = Asker::SelectQueue { send: id, topic, queues };
        let token = shared.ask(Owner::Producer(send.order.producer), question, asker);
        send.state = State::Asking(token, shared.arm(send.deadline, TimerKey::Send(id)));
    }

    /// User code has chosen a queue, which is fixed from now on, or made a mistake.
    pub(crate) fn handle_selected(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: SendId,
        selected: Result<Arc<MessageQueue>, UsageError>,
    ) {
        let Some(send) = self.sends.get_mut(id) else { return };
        let State::Asking(_, timer) = send.state else { return };
        shared.cancel(timer);
        send.state = State::Sending;
        match selected {
            Ok(queue) => {
                send.order.choice = QueueChoice::Queue(Box::new((*queue).clone()));
                self.attempt(shared, now, id);
            }
            Err(error) => self.end(shared, now, id, Outcome::Failed(error.into())),
        }
    }

    /// A broker says that it is stored; if the receipt can't be read, nobody knows.
    fn told<R: Into<Outcome>>(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: SendId,
        status: SendStatus,
        read: Result<R, HeaderError>,
    ) {
        match read {
            Ok(receipt) => self.stored(shared, now, id, status, receipt),
            Err(error) => {
                let reason = alloc::format!("{error}").into();
                self.failed(shared, now, id, Failed::unreadable(Cause::BadAnswer { reason }));
            }
        }
    }

    fn stored(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: SendId,
        status: SendStatus,
        receipt: impl Into<Outcome>,
    ) {
        let Some(send) = self.sends.get_mut(id) else { return };
        let Some(producer) = self.table.get(&send.order.producer) else { return };
        let topic = &send.order.message.topic;
        if shared.routes.get(topic).is_some_and(|route| route.from_default) {
            // The broker has just created the topic: learn its own route.
            let topic = topic.clone();
            shared.look_up_route(now, &topic, None);
        }
        if retry::wants_better(status, &producer.config, send.budget(now, &producer.config)) {
            send.earlier = Some(Box::new(receipt.into()));
            return self.attempt(shared, now, id);
        }
        self.end(shared, now, id, receipt.into());
    }

    /// An attempt has ended without success.
    fn failed(&mut self, shared: &mut Shared, now: Instant, id: SendId, failed: Failed) {
        let Some(send) = self.sends.get_mut(id) else { return };
        let Some(producer) = self.table.get(&send.order.producer) else { return };
        send.maybe_stored |= failed.maybe_stored;
        let topic = &send.order.message.topic;
        if failed.doubts_route() {
            shared.doubt_route(now, topic, None);
        }
        let queues = producer.topics.get(topic).map_or(&[][..], |info| info.queues());
        let reachable = reachable(shared, now, queues, send.queue.as_deref());
        let next = retry::after_failure(&failed, send.budget(now, &producer.config), reachable);
        if next != Next::GiveUp && failed.doubts_address() {
            shared.doubt_route(now, topic, Some(producer.config.default_topic_queue_nums));
        }
        self.follow(shared, now, id, next, failed.cause);
    }

    /// Goes on as was decided, because of `cause`.
    fn follow(&mut self, shared: &mut Shared, now: Instant, id: SendId, next: Next, cause: Cause) {
        let Some(send) = self.sends.get_mut(id) else { return };
        match next {
            Next::GiveUp => self.give_up(shared, now, id, cause),
            Next::Now => {
                send.last_cause = Some(Box::new(cause));
                self.attempt(shared, now, id);
            }
            Next::Pause(pause) => {
                let topic = &send.order.message.topic;
                let broker = send.queue.as_deref().map(|queue| &*queue.broker_name);
                tracing::debug!(%topic, broker, %cause, pause_ms = pause.as_millis(), "trying again after a pause");
                send.last_cause = Some(Box::new(cause));
                self.pause(shared, now, id, pause);
            }
        }
    }

    fn pause(&mut self, shared: &mut Shared, now: Instant, id: SendId, pause: Duration) {
        let Some(send) = self.sends.get_mut(id) else { return };
        let timer = shared.arm((now + pause).min(send.deadline), TimerKey::Send(id));
        send.state = State::Pausing(timer);
    }

    /// The budget is used up; what went wrong last says more than that.
    fn out_of_time(&mut self, shared: &mut Shared, now: Instant, id: SendId) {
        let Some(send) = self.sends.get_mut(id) else { return };
        let cause = send.last_cause.take().map_or(Cause::Timeout, |cause| *cause);
        self.give_up(shared, now, id, cause);
    }

    fn end(&mut self, shared: &mut Shared, now: Instant, id: SendId, outcome: Outcome) {
        let Some(send) = self.sends.remove(id) else { return };
        match send.state {
            State::Routing(timer) | State::Pausing(timer) | State::Writing(timer) => shared.cancel(timer),
            State::Asking(token, timer) => {
                shared.withdraw(token);
                shared.cancel(timer);
            }
            State::Sending => {}
        }
        shared.complete(send.order.operation, outcome);
        let producer = send.order.producer;
        let Some(state) = self.table.get_mut(&producer) else { return };
        state.under_way -= 1;
        if state.under_way == 0 && state.closing.is_some() {
            self.forget(shared, now, producer);
        }
    }

    /// For reports and properties: the unique keys of all messages that are under way.
    #[must_use]
    pub fn message_ids(&self) -> Vec<HexId> {
        let count = |send: &OpenSend| match send.content {
            Content::One => 1,
            Content::Batch { count, .. } => count,
        };
        let ids = |send| (0..count(send)).map(|place| send.message_id.following(place as u16));
        self.sends.iter().flat_map(|(_, send)| ids(send)).collect()
    }
}

/// All attempts of a message carry one unique key, set when it enters: a property, appended to `text`.
pub(super) fn push_unique_key(shared: &mut Shared, born: Timestamp, text: &mut String) -> HexId {
    text.reserve(UNIQ_KEY_CHARS_MAX);
    text.push_str(property::UNIQ_KEY);
    text.push('\u{1}');
    let id = shared.unique_keys.push_next(born, text);
    text.push('\u{2}');
    id
}

/// Java: the table of reports to `MQFaultStrategy#updateFaultItem`.
fn report_health(producer: &mut Producer, now: Instant, send: &OpenSend, verdict: &Verdict) {
    if !producer.config.latency_fault_tolerance {
        return;
    }
    let Some(queue) = &send.queue else { return };
    let latency = now.saturating_since(send.attempt_started);
    let (isolate, reachable) = match verdict {
        Verdict::Stored(..) => (false, true),
        Verdict::Failed(failed) => (true, !failed.answered),
    };
    producer.faults.update(now, &queue.broker_name, latency, isolate, reachable);
}

/// Whom another attempt could reach, after one to `last`.
fn reachable(
    shared: &Shared,
    now: Instant,
    queues: &[Arc<MessageQueue>],
    last: Option<&MessageQueue>,
) -> Reachable {
    let is_reachable = |queue: &MessageQueue| {
        let address = shared.routes.master(&queue.broker_name);
        address.is_some_and(|address| shared.channels.paused_until(now, address).is_none())
    };
    let broker = last.map_or("", |queue| &*queue.broker_name);
    Reachable {
        another: queues.iter().any(|queue| &*queue.broker_name != broker && is_reachable(queue)),
        same: last.is_some_and(is_reachable),
    }
}
