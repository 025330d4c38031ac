//! The id that tells where a message is stored.

use core::net::SocketAddr;

use super::HexId;
use super::hex;

/// Where a message is stored, as its id tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OffsetMsgId {
    /// The broker.
    pub store_host: SocketAddr,
    /// The record's offset in that broker's commit log.
    pub commit_log_offset: i64,
}

/// The id of the message that `store_host` keeps at `commit_log_offset`: 32 characters, or 56 with
/// an IPv6 address. Java: `MessageDecoder#createMessageId`.
#[must_use]
pub fn offset_msg_id(store_host: SocketAddr, commit_log_offset: i64) -> HexId {
    let [p0, p1] = store_host.port().to_be_bytes();
    let [o0, o1, o2, o3, o4, o5, o6, o7] = commit_log_offset.to_be_bytes();
    HexId::new(store_host.ip(), [0, 0, p0, p1, o0, o1, o2, o3, o4, o5, o6, o7])
}

/// Reads an id of [`offset_msg_id`]; `None` if `text` isn't one. Java: `MessageDecoder#decodeMessageId`.
#[must_use]
pub fn parse_offset_msg_id(text: &str) -> Option<OffsetMsgId> {
    let (ip, rest) = hex::parse(text)?;
    let [0, 0, p0, p1, offset @ ..] = rest else { return None };
    Some(OffsetMsgId {
        store_host: SocketAddr::new(ip, u16::from_be_bytes([p0, p1])),
        commit_log_offset: i64::from_be_bytes(offset),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_a_broker_gave() {
        let host = SocketAddr::from(([127, 0, 0, 1], 10_911));
        assert_eq!(offset_msg_id(host, 240), "7F00000100002A9F00000000000000F0");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "7F00000100002A9F00000000000000F",
            "7F00000100002A9F00000000000000G0",
            "7F00000100012A9F00000000000000F0",
            "é",
            "7F00000100002A9F00000000000000é",
        ] {
            assert_eq!(parse_offset_msg_id(text), None, "{text}");
        }
    }
}
