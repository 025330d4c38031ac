//! One send: attempts until it is stored, hopeless, or out of time. Java:
//! `DefaultMQProducerImpl#sendDefaultImpl` and `#sendKernelImpl`; unlike there, the async form retries
//! just as the sync one, a retry is encoded anew for its queue, and an attempt leaves time for the next.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::channel::{Keep, Reply};
use crate::client::{
    Asker, OutboundMessage, Outcome, Owner, Purpose, Question, QueueChoice, Shared, TimerKey,
};
use crate::config::ProducerConfig;
use crate::error::{Cause, Error, Failure, UsageError};
use crate::id::{AskToken, OperationId, ProducerId, SendId};
use crate::message::id::HexId;
use crate::message::{MessageQueue, UNIQ_KEY_CHARS_MAX, property};
use crate::remoting::{
    Encoder, HeaderError, RequestCode, ResponseCode, SendFields, SendMessageRequestHeaderV2, SendTemplate,
};
use crate::route::RouteOutcome;
use crate::time::{Instant, Timestamp};
use crate::timer::TimerId;

use super::publish_info::TopicPublishInfo;
use super::receipt::{BatchReceipt, SendReceipt, SendStatus};
use super::verdict::{Verdict, judge};
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
    /// Who waits.
    pub operation: OperationId,
    /// By which producer.
    pub producer: ProducerId,
    /// What.
    pub message: Box<OutboundMessage>,
    /// Where to.
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
pub(super) struct Send {
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

/// Pause before the name servers are asked again when none could be reached.
const LOOKUP_PAUSE: Duration = Duration::from_millis(200);

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

impl Send {
    pub(super) fn is_to(&self, topic: &str) -> bool {
        &*self.order.message.topic == topic
    }

    pub(super) fn producer(&self) -> ProducerId {
        self.order.producer
    }

    fn is_batch(&self) -> bool {
        matches!(self.content, Content::Batch { .. })
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
        let id = self.sends.insert(Send {
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
        let Some(waiting) = self.routing.remove(topic) else { return };
        for id in waiting {
            let Some(send) = self.sends.get_mut(id) else { continue };
            let State::Routing(timer) = send.state else { continue };
            shared.cancel(timer);
            send.state = State::Sending;
            match outcome {
                RouteOutcome::Known { .. } => self.attempt(shared, now, id),
                RouteOutcome::NoRoute(cause @ Cause::NoRoute { unheard, .. }) if unheard.is_empty() => {
                    self.give_up(shared, now, id, cause.clone());
                }
                // A server that was not heard may know it.
                RouteOutcome::NoRoute(cause) | RouteOutcome::Failed(cause) => {
                    send.last_cause = Some(Box::new(cause.clone()));
                    self.pause(shared, now, id, LOOKUP_PAUSE);
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
            Verdict::Failed { maybe_stored, retry, cause, .. } => {
                self.failed(shared, now, id, (maybe_stored, retry), cause);
            }
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
            return self.failed(shared, now, id, (false, true), Cause::NoAddress);
        };
        let another = info.has_broker_besides(&queue.broker_name);
        let deadline = attempt_deadline(now, send, &producer.config, another);
        send.queue = Some(queue.clone());
        send.attempts += 1;
        send.attempt_started = now;
        if send.order.kind == SendKind::Oneway {
            send.state = State::Writing(shared.arm(send.deadline, TimerKey::Send(id)));
        }
        let encoder = shared.channels.encoder();
        let batch = send.is_batch();
        let make = || template(encoder, &producer.config, &queue, batch);
        let template = info.template(&queue.broker_name, batch, make);
        transmit(shared, now, (id, send), template, &queue, &address, deadline);
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
            return self.failed(shared, now, id, (false, true), Cause::NoQueue);
        };
        let encoder = shared.channels.encoder();
        let batch = send.is_batch();
        let make = || template(encoder, &producer.config, queue, batch);
        let template = info.template(&queue.broker_name, batch, make);
        let body = send.order.message.body.clone();
        let purpose = Purpose::Send(id);
        let fields = fields(send, queue);
        shared.channels.send(now, address, (template, &fields, Keep::Again), body, deadline, purpose);
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
                self.failed(shared, now, id, (true, false), Cause::BadAnswer { reason });
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
        let may_retry =
            producer.config.retry_when_not_store_ok && send.attempts < attempts_max(send, producer);
        if status != SendStatus::SendOk && may_retry && now < send.deadline {
            send.earlier = Some(Box::new(receipt.into()));
            return self.attempt(shared, now, id);
        }
        self.end(shared, now, id, receipt.into());
    }

    fn failed(&mut self, shared: &mut Shared, now: Instant, id: SendId, verdict: (bool, bool), cause: Cause) {
        let (maybe_stored, retry) = verdict;
        let Some(send) = self.sends.get_mut(id) else { return };
        let Some(producer) = self.table.get(&send.order.producer) else { return };
        send.maybe_stored |= maybe_stored;
        let attempts_max = attempts_max(send, producer);
        if says_route_is_wrong(&cause) {
            shared.doubt_route(now, &send.order.message.topic, None);
        }
        if !retry || send.attempts >= attempts_max || now >= send.deadline {
            return self.give_up(shared, now, id, cause);
        }
        let topic = &send.order.message.topic;
        if matches!(cause, Cause::Connect { .. } | Cause::Resolve { .. } | Cause::NoAddress) {
            shared.doubt_route(now, topic, Some(producer.config.default_topic_queue_nums));
        }
        let broker = send.queue.as_ref().map_or("", |queue| &*queue.broker_name);
        let reachable = |queue: &MessageQueue| {
            let address = shared.routes.master(&queue.broker_name);
            address.is_some_and(|address| shared.channels.paused_until(now, address).is_none())
        };
        let others = producer.topics.get(topic).map_or(&[][..], |info| info.queues());
        if others.iter().any(|queue| &*queue.broker_name != broker && reachable(queue)) {
            send.last_cause = Some(Box::new(cause));
            return self.attempt(shared, now, id);
        }
        let open = send.queue.as_ref().and_then(|queue| shared.routes.master(&queue.broker_name));
        let may_reconnect = open.is_some_and(|address| shared.channels.paused_until(now, address).is_none());
        if matches!(cause, Cause::ConnectionLost { .. }) && may_reconnect {
            send.last_cause = Some(Box::new(cause));
            return self.attempt(shared, now, id);
        }
        if needs_another_broker(&cause) {
            return self.give_up(shared, now, id, cause);
        }
        // There is no other broker, or none can be reached: what is left of the budget is spread over the
        // attempts that are left, so that a broker that restarts is met by one of them.
        let left = send.deadline.saturating_since(now);
        let pause = left / (attempts_max - send.attempts + 1);
        tracing::debug!(%topic, broker, %cause, pause_ms = pause.as_millis(), "trying again after a pause");
        send.last_cause = Some(Box::new(cause));
        self.pause(shared, now, id, pause);
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
        let count = |send: &Send| match send.content {
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

/// The broker has no such topic or queue, or takes no messages for it: the route may have another by now. An illegal
/// queue is `SYSTEM_ERROR` to brokers before 5.0.
fn says_route_is_wrong(cause: &Cause) -> bool {
    let codes = [
        ResponseCode::TOPIC_NOT_EXIST,
        ResponseCode::NO_PERMISSION,
        ResponseCode::INVALID_PARAMETER,
        ResponseCode::NOT_LEADER_FOR_QUEUE,
        ResponseCode::SYSTEM_ERROR,
    ];
    matches!(cause, Cause::Answered { code, .. } if codes.contains(code))
}

/// The same broker would say the same again.
fn needs_another_broker(cause: &Cause) -> bool {
    let codes = [
        ResponseCode::TOPIC_NOT_EXIST,
        ResponseCode::NO_PERMISSION,
        ResponseCode::NO_BUYER_ID,
        ResponseCode::NOT_IN_CURRENT_UNIT,
    ];
    matches!(cause, Cause::Answered { code, .. } if codes.contains(code))
}

/// Java: a fixed queue and a selector have one attempt, and so has a one-way send.
fn attempts_max(send: &Send, producer: &Producer) -> u32 {
    match (send.order.kind, &send.order.choice) {
        (SendKind::Oneway, _) | (_, QueueChoice::Queue(_) | QueueChoice::Hash(_) | QueueChoice::Select) => 1,
        (SendKind::Answered, QueueChoice::RoundRobin) => producer.config.retry_times.saturating_add(1),
    }
}

/// With another broker to try, an attempt may use half of what is left; the last one, or the only
/// one, may use all.
fn attempt_deadline(now: Instant, send: &Send, config: &ProducerConfig, another: bool) -> Instant {
    let left = send.deadline.saturating_since(now);
    let last = send.attempts >= config.retry_times || send.order.choice != QueueChoice::RoundRobin;
    let share = match config.send_attempt_timeout {
        Some(limit) if !last => left.min(limit),
        None if !last && another => left / 2,
        _ => left,
    };
    now + share
}

/// What all sends of a producer to a broker's queues of a topic have in common.
fn template(encoder: &Encoder, config: &ProducerConfig, queue: &MessageQueue, batch: bool) -> SendTemplate {
    let header = SendMessageRequestHeaderV2 {
        producer_group: Cow::Borrowed(&config.group),
        topic: Cow::Borrowed(&queue.topic),
        default_topic: Cow::Borrowed(&config.create_topic_key),
        default_topic_queue_nums: config.default_topic_queue_nums,
        unit_mode: Some(false),
        batch: Some(batch),
        broker_name: Some(Cow::Borrowed(&queue.broker_name)),
        ..SendMessageRequestHeaderV2::default()
    };
    let code = if batch { RequestCode::SEND_BATCH_MESSAGE } else { RequestCode::SEND_MESSAGE_V2 };
    SendTemplate::new(encoder, code, &header, &[])
}

/// What is this message's own.
fn fields<'a>(send: &'a Send, queue: &MessageQueue) -> SendFields<'a> {
    let message = &send.order.message;
    SendFields {
        queue_id: queue.queue_id,
        sys_flag: message.sys_flag,
        born_timestamp: send.born.as_millis(),
        flag: message.flag,
        properties: &message.properties,
        reconsume_times: Some(0),
        ..SendFields::default()
    }
}

fn transmit(
    shared: &mut Shared,
    now: Instant,
    (id, send): (SendId, &Send),
    template: &SendTemplate,
    queue: &MessageQueue,
    address: &Arc<str>,
    deadline: Instant,
) {
    let fields = fields(send, queue);
    let body = send.order.message.body.clone();
    let purpose = Purpose::Send(id);
    match send.order.kind {
        SendKind::Answered => {
            shared.channels.send(now, address, (template, &fields, Keep::Nothing), body, deadline, purpose);
        }
        SendKind::Oneway => shared.channels.send_oneway(now, address, template, &fields, body, purpose),
    }
}

/// Java: the table of reports to `MQFaultStrategy#updateFaultItem`.
fn report_health(producer: &mut Producer, now: Instant, send: &Send, verdict: &Verdict) {
    if !producer.config.latency_fault_tolerance {
        return;
    }
    let Some(queue) = &send.queue else { return };
    let latency = now.saturating_since(send.attempt_started);
    let (isolate, reachable) = match verdict {
        Verdict::Stored(..) => (false, true),
        Verdict::Failed { answered, .. } => (true, !answered),
    };
    producer.faults.update(now, &queue.broker_name, latency, isolate, reachable);
}
