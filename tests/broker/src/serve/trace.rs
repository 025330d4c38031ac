//! A line in the log for each frame on a socket, at `trace`: to or from which server, code, opaque and size.

use rocketmq_client_core::remoting::{RemotingCommand, RequestCode, ResponseCode, frame_heads};

use super::connection::Owner;
use crate::output::{ConnectionId, Frames};

fn server(owner: Owner) -> (&'static str, usize) {
    match owner {
        Owner::NameServer(index) => ("name server", index),
        Owner::Broker(index) => ("broker", index),
    }
}

/// A client sent this.
pub(super) fn received(id: ConnectionId, owner: Owner, command: &RemotingCommand) {
    if !tracing::enabled!(tracing::Level::TRACE) {
        return;
    }
    let (server, index) = server(owner);
    let (connection, opaque, body_bytes) = (id.0, command.opaque, command.body.len());
    if command.is_response() {
        tracing::trace!(server, index, connection, code = %command.response_code(), opaque, body_bytes, "answer received");
    } else {
        tracing::trace!(server, index, connection, code = %command.request_code(), opaque, body_bytes, "request received");
    }
}

/// A client is sent these.
pub(super) fn sent(id: ConnectionId, owner: Owner, frames: &Frames) {
    if !tracing::enabled!(tracing::Level::TRACE) {
        return;
    }
    let (server, index) = server(owner);
    let connection = id.0;
    for head in frame_heads(frames.parts()) {
        let (opaque, body_bytes) = (head.opaque, head.body_bytes);
        if head.is_response() {
            let code = ResponseCode(head.code);
            tracing::trace!(server, index, connection, %code, opaque, body_bytes, "answer sent");
        } else {
            let code = RequestCode(head.code);
            tracing::trace!(server, index, connection, %code, opaque, body_bytes, "request sent");
        }
    }
}
