//! Faults that a test switches on: refused, lost and late answers, and a broker that stands still.

use std::time::Duration;

use rocketmq_client_core::remoting::{RequestCode, ResponseCode};

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
}

#[derive(Clone, Debug)]
struct Rule {
    code: Option<RequestCode>,
    fault: Fault,
    left: u64,
}

/// The fault switches of a broker. Rules are tried in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    rules: Vec<Rule>,
    frozen: bool,
}

impl Faults {
    /// The next `count` requests with this code meet `fault`.
    pub fn next(&mut self, code: RequestCode, count: u64, fault: Fault) {
        self.push(Rule { code: Some(code), fault, left: count });
    }

    /// The next `count` requests of any code meet `fault`.
    pub fn next_any(&mut self, count: u64, fault: Fault) {
        self.push(Rule { code: None, fault, left: count });
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

    /// Removes every rule and thaws.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Requests that rules still wait for.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.rules.iter().map(|rule| rule.left).fold(0, u64::saturating_add)
    }

    fn push(&mut self, rule: Rule) {
        if rule.left > 0 {
            self.rules.push(rule);
        }
    }

    pub(crate) fn take(&mut self, code: i32) -> Option<Fault> {
        let matches = |rule: &Rule| rule.code.is_none_or(|wanted| wanted.0 == code);
        let index = self.rules.iter().position(matches)?;
        let rule = &mut self.rules[index];
        rule.left = rule.left.saturating_sub(1);
        let fault = rule.fault.clone();
        if rule.left == 0 {
            self.rules.remove(index);
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_ends_after_its_count_and_others_follow() {
        let mut faults = Faults::default();
        faults.next(RequestCode(310), 2, Fault::DropResponse);
        faults.next(RequestCode(310), 1, Fault::DropRequest);
        faults.next_any(1, Fault::DelayResponse(Duration::from_secs(1)));
        assert_eq!(faults.pending(), 4);
        assert_eq!(faults.take(11), Some(Fault::DelayResponse(Duration::from_secs(1))));
        assert_eq!(faults.take(11), None);
        let sends: Vec<_> = (0..4).map(|_| faults.take(310)).collect();
        let expected = [Some(Fault::DropResponse), Some(Fault::DropResponse), Some(Fault::DropRequest), None];
        assert_eq!(sends, expected);
    }

    #[test]
    fn a_rule_for_no_request_is_gone_at_once() {
        let mut faults = Faults::default();
        faults.next(RequestCode(310), 0, Fault::DropRequest);
        assert_eq!(faults.pending(), 0);
        assert_eq!(faults.take(310), None);
    }
}
