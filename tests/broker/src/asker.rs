//! Who waits for an answer, and how a processor refuses.

use std::borrow::Cow;
use std::time::Duration;

use rocketmq_client_core::remoting::{HeaderError, RemotingCommand, RequestCode, ResponseCode};

use crate::output::ConnectionId;

/// The origin of a request: all that is needed to answer it, now or after a wait.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) connection: ConnectionId,
    pub(crate) opaque: i32,
    pub(crate) version: i32,
    /// Nothing is answered, not even errors: a one-way request, or an answer that a fault swallows.
    pub(crate) silent: bool,
    /// How much later than due the answer leaves.
    pub(crate) delay: Option<Duration>,
    /// Java answers with a header object: its fields are there even when none is set.
    pub(crate) has_fields: bool,
}

/// Requests whose answer Java makes with `RemotingCommand#createResponseCommand` and a header class of which no
/// field need be set. Other clients take `extFields` for given there.
const WITH_FIELDS: [RequestCode; 8] = [
    RequestCode::PULL_MESSAGE,
    RequestCode::LITE_PULL_MESSAGE,
    RequestCode::QUERY_CONSUMER_OFFSET,
    RequestCode::UPDATE_CONSUMER_OFFSET,
    RequestCode::UNREGISTER_CLIENT,
    RequestCode::GET_CONSUMER_LIST_BY_GROUP,
    RequestCode::GET_KV_CONFIG,
    RequestCode::REGISTER_BROKER,
];

impl Asker {
    pub(crate) fn new(connection: ConnectionId, command: &RemotingCommand) -> Self {
        Self {
            connection,
            opaque: command.opaque,
            version: command.version,
            silent: command.is_oneway(),
            delay: None,
            has_fields: WITH_FIELDS.contains(&command.request_code()),
        }
    }
}

/// A request that is answered with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ResponseCode,
    pub(crate) remark: String,
    /// Where Java throws, it answers without a header object.
    pub(crate) thrown: bool,
}

impl Refusal {
    pub(crate) fn new(code: ResponseCode, remark: impl Into<String>) -> Self {
        Self { code, remark: remark.into(), thrown: false }
    }
}

impl From<HeaderError> for Refusal {
    /// A broker dies of a null pointer here and answers 1 with the exception's text; ours says what is missing.
    fn from(error: HeaderError) -> Self {
        Self { thrown: true, ..Self::new(ResponseCode::SYSTEM_ERROR, error.to_string()) }
    }
}

/// A field as Java's lenient headers have it: one that is missing is null.
pub(crate) fn nullable<'a>(command: &'a RemotingCommand, field: &str) -> Option<Cow<'a, str>> {
    command.ext.get(field)
}

/// How Java writes a text that may be null.
pub(crate) fn or_null<'a>(text: &'a Option<Cow<'_, str>>) -> &'a str {
    text.as_deref().unwrap_or("null")
}

/// Where a refusal that mentions an unknown topic points the user. Java: `FAQUrl#APPLY_TOPIC_URL`.
pub(crate) const FAQ: &str = "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.";
