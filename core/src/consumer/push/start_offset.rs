//! Where to start on a queue. Java: `RebalancePushImpl#computePullFromWhereWithException`, but an
//! error is asked again, never taken for an offset.

use alloc::format;
use alloc::string::ToString;
use core::time::Duration;

use bytes::Bytes;

use super::PushConsumer;
use super::queue::Fetch;
use crate::channel::Reply;
use crate::config::ConsumeFrom;
use crate::consumer::ConsumerRequest;
use crate::id::ProcessQueueId;
use crate::lines::Brief;
use crate::message::names;
use crate::output::Pause;
use crate::remoting::{
    GetMaxOffsetRequestHeader, GetMaxOffsetResponseHeader, QueryConsumerOffsetRequestHeader,
    QueryConsumerOffsetResponseHeader, ResponseCode, SearchOffsetRequestHeader,
};
use crate::route::MASTER_ID;
use crate::shared::Shared;
use crate::time::Instant;

/// What a broker has stored of a group that it doesn't know on a queue.
const NONE_STORED: i64 = -1;

/// Pause while a commit of a former stay is on its way.
const COMMIT_LOOK_DELAY: Duration = Duration::from_millis(100);

/// Where a group begins that stands nowhere.
enum Beginning {
    At(i64),
    End,
    AtTime(i64),
}

impl PushConsumer {
    /// Asks where the group stands.
    pub(super) fn ask_stored_offset(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        let queue = owned.queue.clone();
        if self.offsets.is_under_way(&queue) {
            return self.pause(shared, now, id, COMMIT_LOOK_DELAY, Pause::Committing);
        }
        let Some((address, _)) = shared.routes.address(&queue.broker_name, MASTER_ID) else {
            return self.no_address(shared, now, id, &queue.topic);
        };
        let address = address.clone();
        let header = QueryConsumerOffsetRequestHeader {
            consumer_group: (&*self.config.group).into(),
            topic: (&*queue.topic).into(),
            queue_id: queue.queue_id,
            ..QueryConsumerOffsetRequestHeader::default()
        };
        owned.fetch = Fetch::Asking;
        let purpose = self.purpose(ConsumerRequest::StoredOffset(id));
        let deadline = now + shared.config.request_timeout;
        shared.request(now, &address, &header, Bytes::new(), deadline, purpose);
    }

    /// The broker has said where the group stands, or that it doesn't know.
    pub(super) fn handle_stored_offset(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        reply: Reply,
    ) {
        let Some(owned) = self.owned.get(id) else { return };
        let queue = owned.queue.clone();
        let offset = match &reply {
            Ok(command) if command.code == ResponseCode::SUCCESS.0 => {
                match command.header::<QueryConsumerOffsetResponseHeader>() {
                    Ok(header) => header.offset,
                    Err(error) => {
                        if shared.lines.may(now) {
                            let error = error.to_string();
                            tracing::warn!(%queue, error = %Brief(&error), "the stored offset can't be read; asking again");
                        }
                        return self.back_off(shared, now, id, Pause::BadAnswer);
                    }
                }
            }
            Ok(command) if command.code == ResponseCode::QUERY_NOT_FOUND.0 => NONE_STORED,
            _ => return self.refused(shared, now, id, None, reply),
        };
        if offset >= 0 {
            self.offsets.load(queue, offset);
            self.start_at(shared, now, id, offset);
        } else if offset == NONE_STORED {
            self.begin(shared, now, id);
        } else {
            if shared.lines.may(now) {
                tracing::warn!(%queue, offset, "the stored offset makes no sense; asking again");
            }
            self.back_off(shared, now, id, Pause::BadAnswer);
        }
    }

    /// The group stands nowhere: its settings say where to begin.
    fn begin(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        let queue = owned.queue.clone();
        let retry = names::is_retry_topic(&queue.topic);
        let beginning = match self.config.consume_from {
            ConsumeFrom::LastOffset if retry => Beginning::At(0),
            ConsumeFrom::FirstOffset => Beginning::At(0),
            ConsumeFrom::LastOffset => Beginning::End,
            ConsumeFrom::Timestamp(_) if retry => Beginning::End,
            ConsumeFrom::Timestamp(millis) => Beginning::AtTime(millis),
        };
        if let Beginning::At(offset) = beginning {
            self.offsets.begin(queue, offset);
            return self.start_at(shared, now, id, offset);
        }
        let Some(address) = shared.routes.master(&queue.broker_name).cloned() else {
            return self.no_address(shared, now, id, &queue.topic);
        };
        owned.fetch = Fetch::Asking;
        let purpose = self.purpose(ConsumerRequest::StartOffset(id));
        let deadline = now + shared.config.request_timeout;
        if let Beginning::AtTime(timestamp) = beginning {
            let header = SearchOffsetRequestHeader {
                topic: (&*queue.topic).into(),
                queue_id: queue.queue_id,
                timestamp,
                ..SearchOffsetRequestHeader::default()
            };
            shared.request(now, &address, &header, Bytes::new(), deadline, purpose);
        } else {
            let header = GetMaxOffsetRequestHeader {
                topic: (&*queue.topic).into(),
                queue_id: queue.queue_id,
                ..GetMaxOffsetRequestHeader::default()
            };
            shared.request(now, &address, &header, Bytes::new(), deadline, purpose);
        }
    }

    /// The broker has said where the queue ends, or what it had at the time that was asked for.
    pub(super) fn handle_start_offset(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        reply: Reply,
    ) {
        let Some(owned) = self.owned.get(id) else { return };
        let queue = owned.queue.clone();
        match &reply {
            Ok(command) if command.code == ResponseCode::SUCCESS.0 => {
                // Both answers have the one field `offset`.
                match command.header::<GetMaxOffsetResponseHeader>() {
                    Ok(header) if header.offset >= 0 => {
                        // The end is what a broker has; what a search finds may be beyond it.
                        let searched = matches!(self.config.consume_from, ConsumeFrom::Timestamp(_))
                            && !names::is_retry_topic(&queue.topic);
                        if searched && let Some(owned) = self.owned.get_mut(id) {
                            owned.unproved = true;
                        } else {
                            self.offsets.begin(queue, header.offset);
                        }
                        self.start_at(shared, now, id, header.offset);
                    }
                    other => {
                        if shared.lines.may(now) {
                            let answer = format!("{other:?}");
                            tracing::warn!(%queue, answer = %Brief(&answer), "the offset to start at makes no sense; asking again");
                        }
                        self.back_off(shared, now, id, Pause::BadAnswer);
                    }
                }
            }
            _ => self.refused(shared, now, id, None, reply),
        }
    }

    fn start_at(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, offset: i64) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        tracing::debug!(queue = %owned.queue, offset, "starting");
        owned.next_offset = Some(offset);
        owned.failures = 0;
        self.proceed(shared, now, id);
    }
}
