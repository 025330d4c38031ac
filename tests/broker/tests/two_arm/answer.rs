//! An answer, or a request of the broker, as leaves: once as it came, for `keep` and `until`, once by the rules.

use bytes::Bytes;
use rocketmq_client_core::message::{StoredMessage, StoredMessages, properties};
use rocketmq_client_core::remoting::{RemotingCommand, RequestCode};

use crate::json::{self, Json};
use crate::rules::{Leaves, Rules, is_exception};

/// The leaves of a command that answers, or is, a request with this code.
pub(crate) fn leaves(
    rules: &Rules,
    real: bool,
    code: i32,
    command: &RemotingCommand,
    own: &[String],
) -> Leaves {
    let mut out = Leaves::new();
    let remark = command.remark.as_deref().unwrap_or("<none>");
    let excused = own.iter().any(|rule| rule == "exception") && remark != "<none>";
    let remark = match excused && (!real || is_exception(remark)) {
        true => "<exception>".to_owned(),
        false => rules.text(remark),
    };
    out.insert("code".to_owned(), command.code.to_string());
    out.insert("remark".to_owned(), remark);
    out.insert("language".to_owned(), format!("{:?}", command.language));
    out.insert("version".to_owned(), command.version.to_string());
    for (key, value) in &command.ext {
        let path = format!("ext.{key}");
        let value = match key.as_ref() {
            "i" | "properties" => properties_of(&value),
            _ => Json::Text(value.into_owned()),
        };
        let value = match &value {
            Json::Text(text) if text.starts_with('{') => json::parse(text).unwrap_or(value),
            _ => value,
        };
        rules.flatten(&path, &value, own, &mut out);
    }
    rules.flatten("body", &body(code, &command.body), own, &mut out);
    if own.iter().any(|rule| rule == "page") {
        let before = out.len();
        out.retain(|path, _| !path.starts_with("body.topicConfigTable."));
        let topics = before - out.len();
        // A topic's configuration is eight leaves while it has no attributes.
        out.insert("body.topicConfigTable".to_owned(), format!("{} topics", topics / 8));
    }
    out
}

/// The leaves without any rule.
pub(crate) fn raw(code: i32, command: &RemotingCommand) -> Leaves {
    let rules = Rules { addresses: Vec::new(), id_prefix: String::new(), run: 0..0 };
    let mut out = leaves(&rules, true, code, command, &[]);
    for text in out.values_mut() {
        *text = text.trim_matches('"').to_owned();
    }
    out
}

fn body(code: i32, bytes: &Bytes) -> Json {
    let text = || String::from_utf8_lossy(bytes).into_owned();
    if bytes.is_empty() {
        return Json::Text("<none>".to_owned());
    }
    match RequestCode(code) {
        RequestCode::PULL_MESSAGE
        | RequestCode::LITE_PULL_MESSAGE
        | RequestCode::QUERY_MESSAGE
        | RequestCode::VIEW_MESSAGE_BY_ID
        | RequestCode::POP_MESSAGE
        | RequestCode::PEEK_MESSAGE
        | RequestCode::CHECK_TRANSACTION_STATE
        | RequestCode::CONSUME_MESSAGE_DIRECTLY => records(bytes)
            .unwrap_or_else(|| json::parse(&text()).unwrap_or_else(|_| Json::Text(format!("{bytes:?}")))),
        RequestCode::GET_BROKER_CONFIG | RequestCode::GET_NAMESRV_CONFIG => {
            let pair = |line: &str| {
                let (key, value) = line.split_once('=').unwrap_or((line, "<no value>"));
                (key.to_owned(), Json::Text(value.to_owned()))
            };
            Json::Map(text().lines().map(pair).collect())
        }
        _ => json::parse(&text()).unwrap_or_else(|_| Json::Text(text())),
    }
}

fn records(bytes: &Bytes) -> Option<Json> {
    let all: Result<Vec<_>, _> = StoredMessages::new(bytes.clone()).collect();
    Some(Json::List(all.ok()?.iter().map(record).collect()))
}

fn record(message: &StoredMessage) -> Json {
    let number = |value: i64| Json::Bare(value.to_string());
    let text = |value: &str| Json::Text(value.to_owned());
    let fields = [
        ("topic", text(message.topic())),
        ("queueId", number(message.queue_id.into())),
        ("queueOffset", number(message.queue_offset)),
        ("commitLogOffset", number(message.commit_log_offset)),
        ("preparedTransactionOffset", number(message.prepared_transaction_offset)),
        ("flag", number(message.flag.into())),
        ("sysFlag", number(message.sys_flag.into())),
        ("bornTimestamp", number(message.born_timestamp.as_millis())),
        ("storeTimestamp", number(message.store_timestamp.as_millis())),
        ("bornHost", text(&message.born_host.to_string())),
        ("storeHost", text(&message.store_host.to_string())),
        ("reconsumeTimes", number(message.reconsume_times.into())),
        ("bodyCrc", number(message.body_crc.into())),
        ("body", Json::Text(String::from_utf8_lossy(message.raw_body()).into_owned())),
        ("properties", properties_of(message.properties_text())),
        ("size", number(i64::try_from(message.record_bytes()).unwrap_or(i64::MAX))),
    ];
    Json::Map(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn properties_of(text: &str) -> Json {
    let pair = |(name, value): (&str, &str)| (name.to_owned(), Json::Text(value.to_owned()));
    Json::Map(properties::pieces(text).map(pair).collect())
}
