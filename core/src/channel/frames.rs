//! A line in the log for each frame, at `trace`: which way it went, its code, opaque and size. Never what is in it:
//! fields and bodies are users' and may be secret.

use bytes::Bytes;

use crate::remoting::{RemotingCommand, RequestCode, ResponseCode, frame_heads};

/// These frames are handed to the socket.
pub(super) fn sent(address: &str, chunks: &[Bytes]) {
    if !tracing::enabled!(tracing::Level::TRACE) {
        return;
    }
    for head in frame_heads(chunks) {
        let (opaque, body_bytes) = (head.opaque, head.body_bytes);
        if head.is_response() {
            tracing::trace!(address, code = %ResponseCode(head.code), opaque, body_bytes, "answer sent");
        } else {
            tracing::trace!(address, code = %RequestCode(head.code), opaque, body_bytes, "request sent");
        }
    }
}

/// This frame arrived.
pub(super) fn received(address: &str, command: &RemotingCommand) {
    if !tracing::enabled!(tracing::Level::TRACE) {
        return;
    }
    let (opaque, body_bytes) = (command.opaque, command.body.len());
    if command.is_response() {
        tracing::trace!(address, code = %command.response_code(), opaque, body_bytes, "answer received");
    } else {
        tracing::trace!(address, code = %command.request_code(), opaque, body_bytes, "request received");
    }
}
