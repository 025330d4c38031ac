//! What it is about when a broker does not take a message back: the message, which will be refused however
//! often it is offered, or the broker, which will take it one day.

use crate::error::Cause;
use crate::remoting::ResponseCode;

/// Words in the remark of [`ResponseCode::SYSTEM_ERROR`] that name the message: a send-back is answered with
/// the name of the status (Java: `AbstractSendMessageProcessor#consumerSendMsgBack`), a send with a sentence
/// (`SendMessageProcessor#handlePutMessageResult`).
const MESSAGE_REMARKS: [&str; 5] =
    ["PROPERTIES_SIZE_EXCEEDED", "MESSAGE_ILLEGAL", "message is illegal", "size exceeded", "property length"];

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The message: too long, or not allowed as it is.
    Message,
    /// The broker doesn't say: what can't be read here may be unreadable there too.
    Unclear,
    /// The broker, its settings, or the way to it.
    Broker,
}

impl Blame {
    pub(super) fn of(cause: &Cause) -> Self {
        match cause {
            Cause::Answered { code, remark } => Self::of_answer(*code, remark),
            _ => Self::Broker,
        }
    }

    fn of_answer(code: ResponseCode, remark: &str) -> Self {
        match code {
            ResponseCode::MESSAGE_ILLEGAL => Self::Message,
            ResponseCode::SYSTEM_ERROR if MESSAGE_REMARKS.iter().any(|words| remark.contains(words)) => {
                Self::Message
            }
            ResponseCode::SYSTEM_BUSY
            | ResponseCode::FLOW_CONTROL
            | ResponseCode::SERVICE_NOT_AVAILABLE
            | ResponseCode::SLAVE_NOT_AVAILABLE
            | ResponseCode::FLUSH_DISK_TIMEOUT
            | ResponseCode::FLUSH_SLAVE_TIMEOUT
            | ResponseCode::NO_PERMISSION
            | ResponseCode::TOPIC_NOT_EXIST
            | ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST
            | ResponseCode::SUBSCRIPTION_NOT_EXIST
            | ResponseCode::NOT_LEADER_FOR_QUEUE
            | ResponseCode::GO_AWAY => Self::Broker,
            _ => Self::Unclear,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_about_the_message_only_where_the_broker_says_so() {
        for (code, remark, blame) in [
            (13, "anything", Blame::Message),
            (1, "PROPERTIES_SIZE_EXCEEDED", Blame::Message),
            (1, "MESSAGE_ILLEGAL", Blame::Message),
            (1, "message body size exceeded", Blame::Message),
            (1, "SERVICE_NOT_AVAILABLE", Blame::Unclear),
            (1, "look message by offset failed, 17", Blame::Unclear),
            (1, "", Blame::Unclear),
            (29, "", Blame::Unclear),
            (-7, "", Blame::Unclear),
            (2, "PROPERTIES_SIZE_EXCEEDED", Blame::Broker),
            (11, "", Blame::Broker),
            (14, "", Blame::Broker),
            (16, "", Blame::Broker),
            (17, "", Blame::Broker),
            (26, "", Blame::Broker),
            (215, "", Blame::Broker),
            (501, "", Blame::Broker),
            (1500, "", Blame::Broker),
        ] {
            let cause = Cause::Answered { code: ResponseCode(code), remark: remark.into() };
            assert_eq!(Blame::of(&cause), blame, "{code} {remark}");
        }
        for cause in [Cause::Timeout, Cause::NoQueue, Cause::NoAddress] {
            assert_eq!(Blame::of(&cause), Blame::Broker, "{cause}");
        }
    }
}
