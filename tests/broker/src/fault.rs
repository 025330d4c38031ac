//! Faults that a test switches on: refused, lost and late answers, and a broker that stands still.

use std::time::Duration;

use rocketmq_client_core::remoting::{RemotingCommand, RequestCode, ResponseCode};

/// What happens to a request that a rule matches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The request is not carried out; this code and remark are answered.
    Answer {
        /// The response code.
        code: ResponseCode,
        /// The response remark.
        remark: String,
    },
    /// The request is not carried out and not answered.
    DropRequest,
    /// The request is carried out; its answer is lost. For a send that is a stored message whose producer doesn't know.
    DropResponse,
    /// The request is carried out; its answer leaves later.
    DelayResponse(Duration),
    /// The request is not carried out; its connection is closed.
    CloseBefore,
    /// The request is carried out; its connection is closed instead of an answer.
    CloseAfter,
}

impl Fault {
    /// An answer with this code and remark.
    #[must_use]
    pub fn answer(code: ResponseCode, remark: impl Into<String>) -> Self {
        Self::Answer { code, remark: remark.into() }
    }

    /// For requests with this code only; see [`FaultRule`].
    #[must_use]
    pub fn on(self, code: RequestCode) -> FaultRule {
        FaultRule::from(self).on(code)
    }

    /// For sends only, whatever code the client uses for them; see [`FaultRule`].
    #[must_use]
    pub fn on_sends(self) -> FaultRule {
        FaultRule::from(self).on_sends()
    }

    /// For pulls only; see [`FaultRule`].
    #[must_use]
    pub fn on_pulls(self) -> FaultRule {
        FaultRule::from(self).on_pulls()
    }
}

/// Which requests meet a [`Fault`], and how many. A fault alone is a rule for the next request, whatever it is.
///
/// ```
/// use rocketmq_dev_broker::{Fault, FaultRule, RequestCode};
///
/// let rule = Fault::DropResponse.on_sends().topic("orders").times(2);
/// assert_eq!(rule, FaultRule::from(Fault::DropResponse).topic("orders").times(2).on_sends());
/// let always = Fault::CloseBefore.on(RequestCode::HEART_BEAT).always();
/// # let _ = always;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultRule {
    fault: Fault,
    /// Any of these; all requests where there is none.
    codes: Vec<RequestCode>,
    topic: Option<String>,
    queue: Option<i32>,
    left: u64,
}

impl From<Fault> for FaultRule {
    fn from(fault: Fault) -> Self {
        Self { fault, codes: Vec::new(), topic: None, queue: None, left: 1 }
    }
}

impl FaultRule {
    /// For requests with this code, beside those named before.
    #[must_use]
    pub fn on(mut self, code: RequestCode) -> Self {
        self.codes.push(code);
        self
    }

    /// For sends: clients choose among three codes by their age and by whether it is a batch.
    #[must_use]
    pub fn on_sends(self) -> Self {
        self.on(RequestCode::SEND_MESSAGE)
            .on(RequestCode::SEND_MESSAGE_V2)
            .on(RequestCode::SEND_BATCH_MESSAGE)
    }

    /// For pulls of push and of lite pull consumers.
    #[must_use]
    pub fn on_pulls(self) -> Self {
        self.on(RequestCode::PULL_MESSAGE).on(RequestCode::LITE_PULL_MESSAGE)
    }

    /// Only for requests whose header names this topic. Heartbeats and locks name theirs in the body,
    /// which isn't looked at.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Only for requests whose header names this queue.
    #[must_use]
    pub fn queue(mut self, queue_id: i32) -> Self {
        self.queue = Some(queue_id);
        self
    }

    /// For so many requests: 1.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.left = count;
        self
    }

    /// For every request, until the faults are cleared.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }

    fn matches(&self, command: &RemotingCommand) -> bool {
        let is_code = self.codes.is_empty() || self.codes.iter().any(|code| code.0 == command.code);
        is_code
            && self.topic.as_deref().is_none_or(|topic| topic_of(command).as_deref() == Some(topic))
            && self.queue.is_none_or(|queue| queue_of(command) == Some(queue))
    }
}

/// Names a rule of a broker's [`Faults`], to take it out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(u64);

/// The topic that a request's header names.
fn topic_of(command: &RemotingCommand) -> Option<std::borrow::Cow<'_, str>> {
    let field = match command.request_code() {
        RequestCode::SEND_MESSAGE_V2
        | RequestCode::SEND_BATCH_MESSAGE
        | RequestCode::SEND_REPLY_MESSAGE_V2 => "b",
        RequestCode::CONSUMER_SEND_MSG_BACK => "originTopic",
        _ => "topic",
    };
    command.ext.get(field)
}

/// The queue that a request's header names.
fn queue_of(command: &RemotingCommand) -> Option<i32> {
    let field = match command.request_code() {
        RequestCode::SEND_MESSAGE_V2
        | RequestCode::SEND_BATCH_MESSAGE
        | RequestCode::SEND_REPLY_MESSAGE_V2 => "e",
        _ => "queueId",
    };
    command.ext.get(field)?.parse().ok()
}

/// The fault switches of a broker. Rules are tried in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    rules: Vec<(RuleId, FaultRule)>,
    added: u64,
    met: Option<RuleId>,
    frozen: bool,
}

impl Faults {
    /// Adds a rule.
    pub fn add(&mut self, rule: impl Into<FaultRule>) -> RuleId {
        let rule = rule.into();
        self.added += 1;
        let id = RuleId(self.added);
        if rule.left > 0 {
            self.rules.push((id, rule));
        }
        id
    }

    /// Takes a rule out, if it is still there.
    pub fn remove(&mut self, id: RuleId) {
        self.rules.retain(|(known, _)| *known != id);
    }

    /// The rule that a request has met since this was asked last; of several the last one.
    pub fn take_met(&mut self) -> Option<RuleId> {
        self.met.take()
    }

    /// The next `count` requests with this code meet `fault`.
    pub fn next(&mut self, code: RequestCode, count: u64, fault: Fault) {
        self.add(fault.on(code).times(count));
    }

    /// The next `count` requests of any code meet `fault`.
    pub fn next_any(&mut self, count: u64, fault: Fault) {
        self.add(FaultRule::from(fault).times(count));
    }

    /// A frozen broker takes bytes but does nothing: no answers, no timers. Thawing carries out what
    /// came in meanwhile, in order.
    pub fn freeze(&mut self, frozen: bool) {
        self.frozen = frozen;
    }

    /// Whether [`Faults::freeze`] is on.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Removes every rule; a frozen broker stays frozen.
    pub fn clear_rules(&mut self) {
        self.rules.clear();
    }

    /// Removes every rule and thaws.
    pub fn clear(&mut self) {
        self.clear_rules();
        self.frozen = false;
    }

    /// Requests that rules still wait for.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.rules.iter().map(|(_, rule)| rule.left).fold(0, u64::saturating_add)
    }

    pub(crate) fn take(&mut self, command: &RemotingCommand) -> Option<Fault> {
        let index = self.rules.iter().position(|(_, rule)| rule.matches(command))?;
        let (id, rule) = &mut self.rules[index];
        self.met = Some(*id);
        if rule.left != u64::MAX {
            rule.left -= 1;
        }
        let fault = rule.fault.clone();
        if rule.left == 0 {
            self.rules.remove(index);
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use rocketmq_client_core::remoting::{Encoder, FRAME_BYTES_MAX, FrameDecoder, Head, NoHeader};

    use super::*;

    fn take(faults: &mut Faults, code: i32) -> Option<Fault> {
        faults.take(&request(code, &[]))
    }

    fn request(code: i32, fields: &[(&str, &str)]) -> RemotingCommand {
        let mut out = bytes::BytesMut::new();
        let head = Head { code, opaque: 1, flag: 0, remark: None };
        Encoder::default().encode(&mut out, &head, &NoHeader, fields, 0);
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        decoder.buffer_mut().extend_from_slice(&out);
        decoder.next_frame().unwrap().unwrap()
    }

    #[test]
    fn a_rule_for_a_topic_leaves_the_others_alone_whatever_the_header_calls_it() {
        let mut faults = Faults::default();
        faults.add(Fault::DropRequest.on_sends().on_pulls().topic("T").always());
        for (code, field) in [(10, "topic"), (310, "b"), (320, "b"), (11, "topic"), (361, "topic")] {
            assert_eq!(faults.take(&request(code, &[(field, "U")])), None, "{code}");
            assert_eq!(faults.take(&request(code, &[])), None, "{code}");
            assert_eq!(faults.take(&request(code, &[(field, "T")])), Some(Fault::DropRequest), "{code}");
        }
        assert_eq!(faults.take(&request(34, &[("topic", "T")])), None);
        assert_eq!(faults.pending(), u64::MAX, "for every request");
    }

    #[test]
    fn a_rule_for_a_queue_leaves_the_others_alone_and_can_be_taken_out() {
        let mut faults = Faults::default();
        let kept = faults.add(Fault::DropRequest.on_sends().on_pulls().queue(3).always());
        let gone = faults.add(Fault::DropResponse.on_pulls().always());
        assert_eq!(faults.take(&request(11, &[("queueId", "3")])), Some(Fault::DropRequest));
        assert_eq!(faults.take_met(), Some(kept));
        assert_eq!(faults.take_met(), None);
        assert_eq!(faults.take(&request(310, &[("e", "3")])), Some(Fault::DropRequest));
        assert_eq!(faults.take(&request(310, &[("e", "4")])), None);
        assert_eq!(faults.take(&request(11, &[("queueId", "4")])), Some(Fault::DropResponse));
        faults.remove(gone);
        assert_eq!(faults.take(&request(11, &[("queueId", "4")])), None);
        assert_eq!(faults.take(&request(11, &[("queueId", "3")])), Some(Fault::DropRequest));
    }

    #[test]
    fn a_rule_ends_after_its_count_and_others_follow() {
        let mut faults = Faults::default();
        faults.next(RequestCode(310), 2, Fault::DropResponse);
        faults.next(RequestCode(310), 1, Fault::DropRequest);
        faults.next_any(1, Fault::DelayResponse(Duration::from_secs(1)));
        assert_eq!(faults.pending(), 4);
        assert_eq!(take(&mut faults, 11), Some(Fault::DelayResponse(Duration::from_secs(1))));
        assert_eq!(take(&mut faults, 11), None);
        let sends: Vec<_> = (0..4).map(|_| take(&mut faults, 310)).collect();
        let expected = [Some(Fault::DropResponse), Some(Fault::DropResponse), Some(Fault::DropRequest), None];
        assert_eq!(sends, expected);
    }

    #[test]
    fn a_rule_for_no_request_is_gone_at_once() {
        let mut faults = Faults::default();
        faults.next(RequestCode(310), 0, Fault::DropRequest);
        assert_eq!(faults.pending(), 0);
        assert_eq!(take(&mut faults, 310), None);
    }
}
