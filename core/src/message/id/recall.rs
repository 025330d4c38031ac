//! The handle by which a timer message is recalled.

use alloc::format;
use alloc::string::String;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;

use crate::time::Timestamp;

const VERSION: &str = "v1";

/// What a recall handle says. Java: `RecallMessageHandle.HandleV1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecallHandle {
    /// The message's topic.
    pub topic: String,
    /// The broker that keeps the message.
    pub broker_name: String,
    /// When the message is due, as the broker computed it.
    pub deliver_at: Timestamp,
    /// The message's `UNIQ_KEY`.
    pub uniq_key: String,
}

/// A text is no recall handle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{handle:?} is no recall handle: {why}; use the one that the send returned")]
pub struct InvalidRecallHandle {
    /// The text.
    pub handle: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl RecallHandle {
    /// The text of the handle: URL-safe Base64 with padding.
    #[must_use]
    pub fn encode(&self) -> String {
        let Self { topic, broker_name, deliver_at, uniq_key } = self;
        let deliver_ms = deliver_at.as_millis();
        URL_SAFE.encode(format!("{VERSION} {topic} {broker_name} {deliver_ms} {uniq_key}"))
    }

    /// Reads the text of a handle.
    ///
    /// # Errors
    /// It isn't Base64, has too few parts, or is of another version.
    pub fn parse(handle: &str) -> Result<Self, InvalidRecallHandle> {
        read(handle).map_err(|why| InvalidRecallHandle { handle: handle.into(), why })
    }
}

fn read(handle: &str) -> Result<RecallHandle, &'static str> {
    let bytes = URL_SAFE.decode(handle).map_err(|_| "it isn't URL-safe Base64 with padding")?;
    let text = String::from_utf8(bytes).map_err(|_| "it isn't text")?;
    let mut parts = text.split(' ');
    let (Some(version), Some(topic), Some(broker_name), Some(deliver_ms), Some(uniq_key)) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("it has less than five parts");
    };
    if version != VERSION {
        return Err("it is of another version");
    }
    let deliver_ms = deliver_ms.parse().map_err(|_| "its time is no number")?;
    Ok(RecallHandle {
        topic: topic.into(),
        broker_name: broker_name.into(),
        deliver_at: Timestamp::from_millis(deliver_ms),
        uniq_key: uniq_key.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn what_is_no_handle_is_refused_with_the_reason() {
        for (text, says) in [
            ("%", "isn't URL-safe Base64"),
            (&URL_SAFE.encode("v1 t b 1"), "less than five parts"),
            (&URL_SAFE.encode("v2 t b 1 k"), "another version"),
            (&URL_SAFE.encode("v1 t b x k"), "time is no number"),
            (&URL_SAFE.encode([0xFF, 0xFE]), "isn't text"),
        ] {
            let error = RecallHandle::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
