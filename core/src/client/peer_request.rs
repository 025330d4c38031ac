//! What brokers ask of a client. Java: `ClientRemotingProcessor`.

use alloc::format;
use alloc::sync::Arc;

use bytes::Bytes;

use crate::id::ChannelId;
use crate::remoting::{
    NoHeader, NotifyConsumerIdsChangedRequestHeader, RemotingCommand, RequestCode, ResponseCode,
};
use crate::time::Instant;

use super::Client;

impl Client {
    /// Only the codes that are listed do anything; the rest is refused in words, as Java does.
    pub(super) fn handle_peer_request(
        &mut self,
        now: Instant,
        channel: ChannelId,
        address: &Arc<str>,
        command: &RemotingCommand,
    ) {
        match RequestCode(command.code) {
            RequestCode::NOTIFY_CONSUMER_IDS_CHANGED => {
                match command.header::<NotifyConsumerIdsChangedRequestHeader<'_>>() {
                    Ok(header) => {
                        tracing::debug!(group = %header.consumer_group, "members changed");
                        self.consumers.handle_members_changed(&mut self.shared, now, &header.consumer_group);
                    }
                    Err(error) => tracing::debug!(%address, %error, "unreadable notification"),
                }
            }
            code => {
                tracing::debug!(%address, %code, "a request this client does not serve");
                if command.is_oneway() {
                    return;
                }
                let remark = format!(" request type {} not supported", code.0);
                let refused = ResponseCode::REQUEST_CODE_NOT_SUPPORTED;
                let (opaque, remark) = (command.opaque, Some(&*remark));
                self.shared.channels.respond(now, channel, opaque, refused, remark, &NoHeader, Bytes::new());
            }
        }
    }
}
