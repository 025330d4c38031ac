//! What brokers refuse, and with which words.

use rocketmq_client_core::remoting::{RequestCode, ResponseCode};
use rocketmq_dev_broker::{Fault, FaultRule};

use crate::fault::FaultKind;
use crate::plan::FaultItem;
use crate::rngs::pick;
use crate::scenario::TOPIC;

/// Every code that a broker refuses a pull with, and one that no client knows.
const PULL_CODES: [ResponseCode; 10] = [
    ResponseCode::SYSTEM_BUSY,
    ResponseCode::FLOW_CONTROL,
    ResponseCode::SUBSCRIPTION_NOT_EXIST,
    ResponseCode::SUBSCRIPTION_NOT_LATEST,
    ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
    ResponseCode::TOPIC_NOT_EXIST,
    ResponseCode::NO_PERMISSION,
    ResponseCode::SYSTEM_ERROR,
    ResponseCode::INVALID_PARAMETER,
    ResponseCode(9_999),
];
/// Why a broker refuses something else.
const CODES: [ResponseCode; 4] =
    [ResponseCode::SYSTEM_BUSY, ResponseCode::SYSTEM_ERROR, ResponseCode::NO_PERMISSION, ResponseCode(9_999)];
const QUESTIONS: [RequestCode; 5] = [
    RequestCode::GET_CONSUMER_LIST_BY_GROUP,
    RequestCode::QUERY_CONSUMER_OFFSET,
    RequestCode::GET_MAX_OFFSET,
    RequestCode::GET_MIN_OFFSET,
    RequestCode::SEARCH_OFFSET_BY_TIMESTAMP,
];
/// The queues that a refusal may be about.
const QUEUES: u64 = 8;

/// The rule for a broker's answers that makes this fault.
pub(crate) fn refusal(fault: &FaultItem) -> FaultRule {
    let answer = |code| Fault::answer(code, "[SIMULATED] refused");
    let code = pick(&CODES, fault.amount);
    match fault.kind {
        FaultKind::PullRefused => {
            let rule = answer(pick(&PULL_CODES, fault.amount)).on_pulls().always();
            match fault.target / 8 % 3 {
                0 => rule,
                1 => rule.topic(TOPIC),
                _ => rule.topic(TOPIC).queue(i32::try_from(fault.target / 32 % QUEUES).expect("few queues")),
            }
        }
        FaultKind::HeartbeatRefused => answer(code).on(RequestCode::HEART_BEAT).always(),
        FaultKind::CommitRefused => answer(code).on(RequestCode::UPDATE_CONSUMER_OFFSET).always(),
        FaultKind::SendBackRefused => answer(code).on(RequestCode::CONSUMER_SEND_MSG_BACK).always(),
        FaultKind::QuestionRefused => {
            let questions = QUESTIONS.iter().enumerate();
            // Some of them, or all.
            let chosen = questions.filter(|(bit, _)| fault.target >> 8 & (1 << bit) != 0);
            let rule = FaultRule::from(answer(code)).on(pick(&QUESTIONS, fault.target >> 16));
            chosen.fold(rule, |rule, (_, question)| rule.on(*question)).always()
        }
        _ => FaultRule::from(answer(ResponseCode::GO_AWAY)).times(1 + fault.amount % 2),
    }
}
