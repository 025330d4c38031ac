//! What brokers ask of a client. Java: `ClientRemotingProcessor`.

use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;

use bytes::Bytes;

use crate::consumer::Reset;
use crate::id::ChannelId;
use crate::lines::Brief;
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
                    Err(error) if self.shared.lines.may(now) => {
                        tracing::warn!(%address, %error, "unreadable notification of changed members");
                    }
                    Err(_) => {}
                }
            }
            RequestCode::RESET_CONSUMER_CLIENT_OFFSET => self.handle_reset(now, channel, address, command),
            code => {
                if self.shared.lines.may(now) {
                    tracing::warn!(%address, %code, "a request this client does not serve");
                }
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

    /// An operator has reset a group on some queues. Brokers send it one way and tell the operator that it was
    /// done; whoever wants an answer gets one. Java answers nothing.
    fn handle_reset(
        &mut self,
        now: Instant,
        channel: ChannelId,
        address: &Arc<str>,
        command: &RemotingCommand,
    ) {
        let done = match Reset::read(command) {
            Ok(reset) => self.consumers.handle_reset(&mut self.shared, now, &reset),
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = &done
            && self.shared.lines.may(now)
        {
            tracing::warn!(%address, reason = %Brief(reason), "an operator's reset of offsets does not count here, or not as a whole");
        }
        if command.is_oneway() {
            return;
        }
        let (code, remark) = match &done {
            Ok(()) => (ResponseCode::SUCCESS, None),
            Err(reason) => (ResponseCode::SYSTEM_ERROR, Some(&**reason)),
        };
        let opaque = command.opaque;
        self.shared.channels.respond(now, channel, opaque, code, remark, &NoHeader, Bytes::new());
    }
}
