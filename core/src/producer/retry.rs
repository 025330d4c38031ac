//! What an attempt's end means, and what follows: the whole of a producer's retrying in one place, without a side
//! effect. Who is tried next is [`TopicPublishInfo::select`](super::TopicPublishInfo::select)'s part, and which
//! addresses are left alone for a while the connections'.

use core::time::Duration;

use crate::channel::{Reply, RequestFailure};
use crate::config::ProducerConfig;
use crate::error::Cause;
use crate::producer::queue_choice::QueueChoice;
use crate::remoting::{RemotingCommand, ResponseCode};

use super::{SendKind, SendStatus};

/// Pause before the name servers are asked again when none could be reached.
const LOOK_UP_PAUSE: Duration = Duration::from_millis(200);

/// The end of one attempt.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// The broker has it.
    Stored(SendStatus, RemotingCommand),
    /// It did not work.
    Failed(Failed),
}

/// An attempt that did not work.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    /// Whether the broker may have the message all the same.
    pub(super) maybe_stored: bool,
    /// Whether the broker spoke.
    pub(super) answered: bool,
    again: Again,
    pub(super) cause: Cause,
}

/// Where another attempt makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    Never,
    /// The same broker would say the same again.
    Elsewhere,
    Anywhere,
}

/// What a broker's refusal means.
struct Meaning {
    /// The broker gives it before it touches its log.
    not_stored: bool,
    again: Again,
    /// The broker has no such topic or queue, or takes no messages for it: the route may have another by now.
    doubts_route: bool,
}

impl Meaning {
    /// Again, in Java: the default of `DefaultMQProducer#retryResponseCodes`, but for GO_AWAY, which connections deal
    /// with. `SYSTEM_ERROR` also stands for an exception after the message was appended, and for an illegal queue
    /// before 5.0; the texts of `SYSTEM_BUSY` tell where the broker stopped, but are no contract.
    const fn of(code: ResponseCode) -> Self {
        let (not_stored, again, doubts_route) = match code {
            ResponseCode::TOPIC_NOT_EXIST | ResponseCode::NO_PERMISSION => (true, Again::Elsewhere, true),
            ResponseCode::NO_BUYER_ID | ResponseCode::NOT_IN_CURRENT_UNIT => (true, Again::Elsewhere, false),
            ResponseCode::SERVICE_NOT_AVAILABLE => (true, Again::Anywhere, false),
            ResponseCode::SYSTEM_ERROR => (false, Again::Anywhere, true),
            ResponseCode::SYSTEM_BUSY => (false, Again::Anywhere, false),
            ResponseCode::INVALID_PARAMETER => (true, Again::Never, true),
            ResponseCode::NOT_LEADER_FOR_QUEUE => (false, Again::Never, true),
            ResponseCode::MESSAGE_ILLEGAL
            | ResponseCode::REQUEST_CODE_NOT_SUPPORTED
            | ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST => (true, Again::Never, false),
            _ => (false, Again::Never, false),
        };
        Self { not_stored, again, doubts_route }
    }
}

impl Failed {
    /// There was nobody to send to.
    pub(super) fn not_tried(cause: Cause) -> Self {
        Self { maybe_stored: false, answered: false, again: Again::Anywhere, cause }
    }

    /// The broker says that it is stored, and the rest can't be read.
    pub(super) fn unreadable(cause: Cause) -> Self {
        Self { maybe_stored: true, answered: true, again: Again::Never, cause }
    }

    /// Whether the route may be wrong, whatever becomes of the send.
    pub(super) fn doubts_route(&self) -> bool {
        matches!(self.cause, Cause::Answered { code, .. } if Meaning::of(code).doubts_route)
    }

    /// Whether the broker may be elsewhere by now.
    pub(super) fn doubts_address(&self) -> bool {
        matches!(self.cause, Cause::Connect { .. } | Cause::Resolve { .. } | Cause::NoAddress)
    }
}

pub(super) fn judge(reply: Reply) -> Verdict {
    match reply {
        Ok(command) => {
            let code = ResponseCode(command.code);
            if let Some(status) = SendStatus::from_code(code) {
                return Verdict::Stored(status, command);
            }
            let Meaning { not_stored, again, .. } = Meaning::of(code);
            let cause = Cause::Answered { code, remark: command.remark.unwrap_or_default() };
            Verdict::Failed(Failed { maybe_stored: !not_stored, answered: true, again, cause })
        }
        Err(RequestFailure { not_sent, cause, .. }) => Verdict::Failed(Failed {
            maybe_stored: !not_sent,
            answered: false,
            again: Again::Anywhere,
            cause,
        }),
    }
}

/// What a send may still use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Attempts that have begun.
    pub(super) attempts: u32,
    /// The most.
    pub(super) attempts_max: u32,
    /// Until its deadline.
    pub(super) left: Duration,
}

impl Budget {
    fn is_used_up(self) -> bool {
        self.attempts >= self.attempts_max || self.left.is_zero()
    }
}

/// Whom another attempt could reach.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reachable {
    /// Another broker of the topic, whose address is not left alone for a while.
    pub(super) another: bool,
    /// The broker of the attempt.
    pub(super) same: bool,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Now,
    Pause(Duration),
    GiveUp,
}

/// Where there is no other broker, or none can be reached, what is left of the budget is spread over the attempts that
/// are left, so that a broker that restarts is met by one of them.
pub(super) fn after_failure(failed: &Failed, budget: Budget, reachable: Reachable) -> Next {
    let lost = matches!(failed.cause, Cause::ConnectionLost { .. });
    if failed.again == Again::Never || budget.is_used_up() {
        Next::GiveUp
    } else if reachable.another || lost && reachable.same {
        Next::Now
    } else if failed.again == Again::Elsewhere {
        Next::GiveUp
    } else {
        Next::Pause(budget.left / (budget.attempts_max - budget.attempts + 1))
    }
}

/// Whether what a broker has stored, but not as safely as was asked for, is sent once more.
pub(super) fn wants_better(status: SendStatus, config: &ProducerConfig, budget: Budget) -> bool {
    status != SendStatus::SendOk && config.retry_when_not_store_ok && !budget.is_used_up()
}

/// What follows a look-up that has found no route.
pub(super) fn after_no_route(cause: &Cause) -> Next {
    match cause {
        Cause::NoRoute { unheard, .. } if unheard.is_empty() => Next::GiveUp,
        // A server that was not heard may know it.
        _ => Next::Pause(LOOK_UP_PAUSE),
    }
}

/// Java: a fixed queue and a selector have one attempt, and so has a one-way send.
pub(super) fn attempts_max(kind: SendKind, choice: &QueueChoice, config: &ProducerConfig) -> u32 {
    match (kind, choice) {
        (SendKind::Oneway, _) | (_, QueueChoice::Queue(_) | QueueChoice::Hash(_) | QueueChoice::Select) => 1,
        (SendKind::Answered, QueueChoice::RoundRobin) => config.retry_times.saturating_add(1),
    }
}

/// How long the next attempt may take: with another broker to try, half of what is left; the last one, or the only
/// one, all.
pub(super) fn attempt_time(budget: Budget, another_broker: bool, config: &ProducerConfig) -> Duration {
    let last = budget.attempts + 1 >= budget.attempts_max;
    match config.send_attempt_timeout {
        Some(limit) if !last => budget.left.min(limit),
        None if !last && another_broker => budget.left / 2,
        _ => budget.left,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remoting::{ExtFields, LanguageCode};
    use Again::{Anywhere, Elsewhere, Never};
    use bytes::Bytes;

    fn answer(code: i32) -> Verdict {
        judge(Ok(RemotingCommand {
            code,
            language: LanguageCode::Java,
            version: 0,
            opaque: 1,
            flag: 1,
            remark: None,
            ext: ExtFields::default(),
            body: Bytes::new(),
        }))
    }

    fn refused(code: i32) -> Failed {
        match answer(code) {
            Verdict::Failed(failed) => failed,
            Verdict::Stored(status, _) => panic!("{code} is {status:?}"),
        }
    }

    fn broken(cause: Cause, not_sent: bool) -> Failed {
        match judge(Err(RequestFailure { peer: "a:1".into(), not_sent, cause })) {
            Verdict::Failed(failed) => failed,
            Verdict::Stored(..) => panic!("nobody said so"),
        }
    }

    fn causes() -> [(Cause, bool); 8] {
        let (address, host, reason) = ("a:1".into(), "a".into(), "so");
        let address: alloc::sync::Arc<str> = address;
        [
            (Cause::Connect { address: address.clone(), reason: reason.into() }, true),
            (Cause::Resolve { host, reason: reason.into() }, true),
            (Cause::NoAddress, true),
            (Cause::ConnectionLost { address, reason: reason.into() }, false),
            (Cause::Timeout, false),
            (Cause::Closing, false),
            (Cause::NoQueue, false),
            (Cause::BadAnswer { reason: reason.into() }, false),
        ]
    }

    #[test]
    fn every_code_says_whether_it_is_stored_where_to_try_on_and_whether_the_route_is_right() {
        for (code, maybe_stored, again, doubts_route) in [
            (1, true, Anywhere, true),
            (2, true, Anywhere, false),
            (3, false, Never, false),
            (13, false, Never, false),
            (14, false, Anywhere, false),
            (16, false, Elsewhere, true),
            (17, false, Elsewhere, true),
            (26, false, Never, false),
            (29, false, Never, true),
            (204, false, Elsewhere, false),
            (205, false, Elsewhere, false),
            (501, true, Never, true),
            (215, true, Never, false),
            (1500, true, Never, false),
            (4, true, Never, false),
            (i32::MIN, true, Never, false),
            (77_777, true, Never, false),
        ] {
            let failed = refused(code);
            let found = (failed.maybe_stored, failed.again, failed.doubts_route());
            assert_eq!(found, (maybe_stored, again, doubts_route), "{code}");
            assert!(failed.answered && !failed.doubts_address(), "{code}");
        }
        for code in [0, 10, 11, 12] {
            assert!(matches!(answer(code), Verdict::Stored(..)), "{code}");
        }
    }

    #[test]
    fn without_an_answer_only_what_was_never_sent_is_surely_not_stored() {
        for (cause, doubts_address) in causes() {
            for not_sent in [true, false] {
                let failed = broken(cause.clone(), not_sent);
                assert_eq!(failed.maybe_stored, !not_sent, "{cause}");
                assert_eq!((failed.again, failed.answered, failed.doubts_route()), (Anywhere, false, false));
                assert_eq!(failed.doubts_address(), doubts_address, "{cause}");
            }
        }
    }

    fn budget(attempts: u32, attempts_max: u32, left_ms: u64) -> Budget {
        Budget { attempts, attempts_max, left: Duration::from_millis(left_ms) }
    }

    const NOBODY: Reachable = Reachable { another: false, same: false };
    const SAME: Reachable = Reachable { another: false, same: true };
    const ANOTHER: Reachable = Reachable { another: true, same: false };

    #[test]
    fn what_follows_a_failure() {
        let lost = broken(Cause::ConnectionLost { address: "a:1".into(), reason: "reset".into() }, false);
        let late = broken(Cause::Timeout, false);
        let pause = |ms| Next::Pause(Duration::from_millis(ms));
        for (what, failed, budget, reachable, next) in [
            ("another broker", &late, budget(1, 3, 900), ANOTHER, Next::Now),
            ("the same one is given time", &late, budget(1, 3, 900), SAME, pause(300)),
            ("more time, the fewer are left", &late, budget(2, 3, 900), SAME, pause(450)),
            ("nobody", &late, budget(1, 3, 900), NOBODY, pause(300)),
            ("a lost connection is made anew", &lost, budget(1, 3, 900), SAME, Next::Now),
            ("unless that fails too", &lost, budget(1, 3, 900), NOBODY, pause(300)),
            ("no attempt is left", &late, budget(3, 3, 900), ANOTHER, Next::GiveUp),
            ("a single attempt", &lost, budget(1, 1, 900), ANOTHER, Next::GiveUp),
            ("no time is left", &late, budget(1, 3, 0), ANOTHER, Next::GiveUp),
            ("elsewhere, and there is somewhere", &refused(16), budget(1, 3, 900), ANOTHER, Next::Now),
            ("elsewhere, and there is nowhere", &refused(16), budget(1, 3, 900), SAME, Next::GiveUp),
            ("hopeless", &refused(13), budget(1, 3, 900), ANOTHER, Next::GiveUp),
            (
                "nobody knows, and the code is no reason",
                &refused(4),
                budget(1, 3, 900),
                ANOTHER,
                Next::GiveUp,
            ),
            ("busy", &refused(2), budget(1, 3, 900), SAME, pause(300)),
            ("no address", &Failed::not_tried(Cause::NoAddress), budget(1, 2, 900), NOBODY, pause(450)),
            (
                "stored, says an answer that can't be read",
                &Failed::unreadable(Cause::BadAnswer { reason: "x".into() }),
                budget(1, 3, 900),
                ANOTHER,
                Next::GiveUp,
            ),
        ] {
            assert_eq!(after_failure(failed, budget, reachable), next, "{what}");
        }
    }

    #[test]
    fn every_cause_ends_with_the_budget_and_no_pause_outlasts_it() {
        let refusals = (-2..600).filter(|code| SendStatus::from_code(ResponseCode(*code)).is_none());
        let broken = causes().into_iter().map(|(cause, _)| broken(cause, false));
        for failed in refusals.map(refused).chain(broken) {
            for attempts in 1..=5 {
                for left_ms in [0, 1, 1_000] {
                    for reachable in [NOBODY, SAME, ANOTHER] {
                        let budget = budget(attempts, 3, left_ms);
                        match after_failure(&failed, budget, reachable) {
                            Next::GiveUp => {}
                            _ if attempts >= 3 || left_ms == 0 => panic!("{failed:?} goes on"),
                            Next::Now => assert!(reachable.another || reachable.same),
                            Next::Pause(pause) => assert!(pause < budget.left, "{failed:?}"),
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_stored_less_safely_is_sent_again_where_the_user_wants_it() {
        let wants = ProducerConfig { retry_when_not_store_ok: true, ..ProducerConfig::new("g") };
        let content = ProducerConfig::new("g");
        for (status, config, budget, again) in [
            (SendStatus::SendOk, &wants, budget(1, 3, 900), false),
            (SendStatus::FlushDiskTimeout, &wants, budget(1, 3, 900), true),
            (SendStatus::SlaveNotAvailable, &wants, budget(3, 3, 900), false),
            (SendStatus::FlushSlaveTimeout, &wants, budget(1, 3, 0), false),
            (SendStatus::FlushSlaveTimeout, &content, budget(1, 3, 900), false),
        ] {
            assert_eq!(wants_better(status, config, budget), again, "{status:?} {budget:?}");
        }
    }

    #[test]
    fn a_topic_that_every_server_denies_is_given_up_and_one_that_some_did_not_hear_is_not() {
        let denied = |unheard: &str| Cause::NoRoute { said_by: "a:1".into(), unheard: unheard.into() };
        assert_eq!(after_no_route(&denied("")), Next::GiveUp);
        for cause in [denied("b:1"), Cause::Timeout] {
            assert_eq!(after_no_route(&cause), Next::Pause(LOOK_UP_PAUSE), "{cause}");
        }
    }

    #[test]
    fn an_attempt_leaves_time_for_another_broker_unless_it_is_the_last() {
        let own = ProducerConfig::new("g");
        let limit = Some(Duration::from_millis(200));
        let limited = ProducerConfig { send_attempt_timeout: limit, ..ProducerConfig::new("g") };
        for (config, budget, another, ms) in [
            (&own, budget(0, 3, 900), true, 450),
            (&own, budget(0, 3, 900), false, 900),
            (&own, budget(2, 3, 900), true, 900),
            (&own, budget(0, 1, 900), true, 900),
            (&limited, budget(0, 3, 900), false, 200),
            (&limited, budget(0, 3, 100), true, 100),
            (&limited, budget(2, 3, 900), true, 900),
        ] {
            let time = attempt_time(budget, another, config);
            assert_eq!(time, Duration::from_millis(ms), "{budget:?} {another}");
        }
    }

    #[test]
    fn only_round_robin_has_more_than_one_attempt() {
        let config = ProducerConfig { retry_times: 4, ..ProducerConfig::new("g") };
        let max = |kind, choice| attempts_max(kind, &choice, &config);
        assert_eq!(max(SendKind::Answered, QueueChoice::RoundRobin), 5);
        assert_eq!(max(SendKind::Oneway, QueueChoice::RoundRobin), 1);
        for choice in [QueueChoice::Hash(1), QueueChoice::Select] {
            assert_eq!(max(SendKind::Answered, choice), 1);
        }
    }
}
