//! What an attempt's end means: stored, surely not stored, or nobody knows; and whether to try again.

use crate::channel::{Reply, RequestFailure};
use crate::error::Cause;
use crate::remoting::{RemotingCommand, ResponseCode};

use super::SendStatus;

/// The end of one attempt.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// The broker has it.
    Stored(SendStatus, RemotingCommand),
    /// It did not work.
    Failed {
        /// Whether the broker may have it all the same.
        maybe_stored: bool,
        /// Whether another attempt makes sense.
        retry: bool,
        /// Whether the broker spoke.
        answered: bool,
        cause: Cause,
    },
}

/// Java: the default of `DefaultMQProducer#retryResponseCodes`, but for GO_AWAY, which connections deal with.
const RETRY_CODES: [ResponseCode; 7] = [
    ResponseCode::TOPIC_NOT_EXIST,
    ResponseCode::SERVICE_NOT_AVAILABLE,
    ResponseCode::SYSTEM_ERROR,
    ResponseCode::SYSTEM_BUSY,
    ResponseCode::NO_PERMISSION,
    ResponseCode::NO_BUYER_ID,
    ResponseCode::NOT_IN_CURRENT_UNIT,
];

/// Codes that a broker gives before it touches its log. `SYSTEM_ERROR` is not among them: it also
/// stands for an exception after the message was appended; nor is `SYSTEM_BUSY`, whose texts tell where
/// the broker stopped, but are no contract.
const NOT_STORED_CODES: [ResponseCode; 9] = [
    ResponseCode::REQUEST_CODE_NOT_SUPPORTED,
    ResponseCode::MESSAGE_ILLEGAL,
    ResponseCode::SERVICE_NOT_AVAILABLE,
    ResponseCode::NO_PERMISSION,
    ResponseCode::TOPIC_NOT_EXIST,
    ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
    ResponseCode::INVALID_PARAMETER,
    ResponseCode::NO_BUYER_ID,
    ResponseCode::NOT_IN_CURRENT_UNIT,
];

pub(super) fn judge(reply: Reply) -> Verdict {
    match reply {
        Ok(command) => judge_answer(command),
        Err(RequestFailure { not_sent, cause, .. }) => {
            Verdict::Failed { maybe_stored: !not_sent, retry: true, answered: false, cause }
        }
    }
}

fn judge_answer(command: RemotingCommand) -> Verdict {
    let code = ResponseCode(command.code);
    if let Some(status) = SendStatus::from_code(code) {
        return Verdict::Stored(status, command);
    }
    Verdict::Failed {
        maybe_stored: !NOT_STORED_CODES.contains(&code),
        retry: RETRY_CODES.contains(&code),
        answered: true,
        cause: Cause::Answered { code, remark: command.remark.unwrap_or_default() },
    }
}
