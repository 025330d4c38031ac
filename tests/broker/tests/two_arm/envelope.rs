//! A frame's header as it came, before any decoder has made something of it: which keys it has, in which order
//! and of which kind. A decoder that forgives hides what other clients trip over.

use rocketmq_client_core::remoting::{RemotingCommand, SerializeType};

use crate::json::{self, Json};

/// A command with its envelope.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) command: RemotingCommand,
    pub(crate) envelope: String,
}

/// Describes the frame that begins here and is whole.
pub(crate) fn describe(frame: &[u8]) -> String {
    let Some((&[_, _, _, _, kind, high, middle, low], rest)) = frame.split_first_chunk() else {
        return "<no frame>".to_owned();
    };
    let len = u32::from_be_bytes([0, high, middle, low]) as usize;
    let header = &rest[..len.min(rest.len())];
    if kind != SerializeType::Json.byte() {
        return format!("serialize type {kind}");
    }
    match json::members(&String::from_utf8_lossy(header)) {
        Ok(members) => members.iter().filter_map(member).collect::<Vec<_>>().join(" "),
        Err(wrong) => format!("not JSON: {wrong}"),
    }
}

/// What is compared of a member. Code, remark, version and the fields are compared as leaves of their own, and an
/// opaque is the requester's.
fn member((key, value): &(String, Json)) -> Option<String> {
    let shown = match (key.as_str(), value) {
        ("remark", Json::Text(_)) => return None,
        ("code" | "opaque" | "version", Json::Bare(number)) if number.parse::<i32>().is_ok() => {
            "#".to_owned()
        }
        ("extFields", Json::Map(fields)) => {
            let odd = fields.iter().filter(|(_, value)| !matches!(value, Json::Text(_)));
            let odd: Vec<_> = odd.map(|(key, value)| format!("{key}:{}", json::show(value))).collect();
            let some = if fields.is_empty() { "" } else { "..." };
            format!("{{{some}{}}}", odd.join(","))
        }
        (_, value) => json::show(value),
    };
    Some(format!("{key}={shown}"))
}
