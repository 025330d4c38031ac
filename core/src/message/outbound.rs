//! [`OutboundMessage`]: what a producer hands to the client.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use bytes::Bytes;

/// A message as it goes on the wire. The caller's side has validated and, where it pays, compressed it.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboundMessage {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its body as stored.
    pub body: Bytes,
    /// The user's flag.
    pub flag: i32,
    /// Compression bits and the like.
    pub sys_flag: i32,
    /// Properties in wire form; the core adds the unique key.
    pub properties: String,
}

impl fmt::Debug for OutboundMessage {
    /// The body's length stands for the body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, body, flag, sys_flag, properties } = self;
        f.debug_struct("OutboundMessage")
            .field("topic", topic)
            .field("body_bytes", &body.len())
            .field("flag", flag)
            .field("sys_flag", sys_flag)
            .field("properties", properties)
            .finish()
    }
}
