//! The second half of transactions. Java: `EndTransactionProcessor`, `TransactionalMessageServiceImpl#check`.

use bytes::{Bytes, BytesMut};
use rocketmq_client_core::message::{StoredMessage, StoredRecord, encode_stored, names, property, sys_flag};
use rocketmq_client_core::remoting::{
    CheckTransactionStateRequestHeader, EndTransactionRequestHeader, RemotingCommand, ResponseCode,
    RpcRequestHeader,
};
use rocketmq_client_core::time::Instant;

use super::Handled;
use super::text::{Scan, copy_without, pair};
use crate::asker::{Asker, Refusal};
use crate::broker::Broker;
use crate::reply::NOT_SET;
use crate::store::{Appended, Inner};
use crate::transaction::half_queue;

/// Java: `fileReservedTime`, 72 h: what is older is discarded unasked.
const AGE_MAX_MS: i64 = 72 * 3_600 * 1_000;

impl Broker {
    pub(crate) fn end_transaction(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: EndTransactionRequestHeader<'_> = command.header()?;
        if self.is_slave() {
            return Err(Refusal::new(ResponseCode::SLAVE_NOT_AVAILABLE, NOT_SET));
        }
        let decision = header.commit_or_rollback;
        if decision != sys_flag::TRANSACTION_COMMIT && decision != sys_flag::TRANSACTION_ROLLBACK {
            // Java answers nothing at all here: the producer doesn't know yet.
            return Ok(());
        }
        let failed = |remark: &str| Refusal::new(ResponseCode::SYSTEM_ERROR, remark);
        let record = self.store.record_at(header.commit_log_offset).map(|record| record.bytes.clone());
        let Some(Ok(half)) = record.map(|bytes| StoredMessage::decode(&bytes)) else {
            return Err(failed("Find prepared transaction message failed"));
        };
        if !header.from_transaction_check
            && immunity_ms(&half).is_some_and(|immunity| self.age_ms(now, &half) > immunity)
        {
            let remark = "the transaction is decided later than its check immunity time; wait for the check";
            return Err(Refusal::new(ResponseCode::ILLEGAL_OPERATION, remark));
        }
        if half.property(property::PGROUP) != Some(&*header.producer_group) {
            return Err(failed("The producer group wrong"));
        }
        if half.queue_offset != header.tran_state_table_offset {
            return Err(failed("The transaction state table offset wrong"));
        }
        if decision == sys_flag::TRANSACTION_COMMIT {
            // As in Java nothing looks whether it was decided before: a second commit is a second message.
            self.commit_half(now, &half)?;
        }
        self.transactions.mark_done(half.queue_offset);
        match decision {
            sys_flag::TRANSACTION_COMMIT => self.replier.ok(now, asker),
            _ => self.replier.done(now, asker, Bytes::new()),
        }
        Ok(())
    }

    fn commit_half(&mut self, now: Instant, half: &StoredMessage) -> Result<Appended, Refusal> {
        let text = half.properties_text();
        let mut properties = String::with_capacity(text.len());
        copy_without(&mut properties, text, &[property::REAL_TOPIC, property::REAL_QID]);
        let scan = Scan::of(text);
        let flags = sys_flag::with_transaction_type(half.sys_flag, sys_flag::TRANSACTION_COMMIT);
        let (topic, queue_id) = real_queue(half);
        let inner = Inner {
            topic,
            queue_id,
            sys_flag: flags,
            prepared_transaction_offset: half.commit_log_offset,
            ..inner_of(half, &properties, &scan)
        };
        self.put(now, &inner, &scan)
    }

    /// Asks producers about half messages that nobody decided, and discards what was asked too often.
    pub(crate) fn check_transactions(&mut self, now: Instant) {
        let wall = self.wall(now);
        loop {
            if self.transactions.skip_done() {
                continue;
            }
            let Some(queue) = half_queue(&self.store) else { break };
            self.transactions.progress = self.transactions.progress.max(queue.min());
            let entry = queue.get(self.transactions.progress).copied();
            // What this round itself put back waits for the next one.
            let Some(entry) = entry.filter(|entry| entry.store_timestamp < wall) else { break };
            let Some(half) = self.stored(entry.record) else {
                self.transactions.progress += 1;
                continue;
            };
            if !self.check_one(now, &half) {
                break;
            }
            self.transactions.progress += 1;
        }
        self.dispatch(now);
        self.register_changes();
    }

    /// False when this half message and those behind it are too young.
    fn check_one(&mut self, now: Instant, half: &StoredMessage) -> bool {
        let age = self.age_ms(now, half);
        let checks = half.property(property::TRANSACTION_CHECK_TIMES).and_then(|times| times.parse().ok());
        let checks: i32 = checks.unwrap_or(0);
        if checks >= self.config.transaction_check_max || age > AGE_MAX_MS {
            self.discard(now, half);
            return true;
        }
        let timeout = i64::try_from(self.config.transaction_timeout.as_millis()).unwrap_or(i64::MAX);
        match immunity_ms(half) {
            Some(immunity) if age <= immunity => {
                self.put_back(now, half, checks);
                return true;
            }
            None if (0..=timeout).contains(&age) => return false,
            _ => {}
        }
        if let Some((again, properties)) = self.put_back(now, half, checks + 1) {
            self.ask_producer(half, again, &properties);
        }
        true
    }

    /// Appends the half message again as if nobody had been asked yet; false when it couldn't be.
    pub(super) fn resume_check(&mut self, now: Instant, half: &StoredMessage) -> bool {
        self.put_back(now, half, 0).is_some()
    }

    /// Appends the half message again, with its new count, behind the others.
    fn put_back(&mut self, now: Instant, half: &StoredMessage, checks: i32) -> Option<(Appended, String)> {
        let text = half.properties_text();
        let mut properties = String::with_capacity(text.len() + 32);
        copy_without(&mut properties, text, &[property::TRANSACTION_CHECK_TIMES]);
        if checks > 0 {
            pair(&mut properties, property::TRANSACTION_CHECK_TIMES, &checks.to_string());
        }
        // A half message doesn't wait for its delay before it is committed.
        let scan = Scan { delay_level: 0, is_timer: false, ..Scan::of(text) };
        let inner =
            Inner { topic: names::TRANS_HALF_TOPIC, queue_id: 0, ..inner_of(half, &properties, &scan) };
        match self.put(now, &inner, &scan) {
            Ok(appended) => Some((appended, properties)),
            Err(refusal) => {
                tracing::warn!(remark = %refusal.remark, "a half message could not be put back");
                None
            }
        }
    }

    fn discard(&mut self, now: Instant, half: &StoredMessage) {
        tracing::warn!(offset = half.queue_offset, "a half message was never decided, and is discarded");
        let wall = self.wall(now);
        self.topics.ensure(wall, names::TRANS_CHECK_MAX_TIME_TOPIC, 1, false);
        let text = half.properties_text();
        let scan = Scan { delay_level: 0, is_timer: false, ..Scan::of(text) };
        let inner =
            Inner { topic: names::TRANS_CHECK_MAX_TIME_TOPIC, queue_id: 0, ..inner_of(half, text, &scan) };
        if let Err(refusal) = self.put(now, &inner, &scan) {
            tracing::warn!(remark = %refusal.remark, "a discarded half message could not be kept");
        }
    }

    /// Asks one producer of the group, in turns; without any the question waits for the next round.
    fn ask_producer(&mut self, half: &StoredMessage, again: Appended, properties: &str) {
        let Some(members) =
            half.property(property::PGROUP).and_then(|group| self.clients.producers.get(group))
        else {
            return;
        };
        let turn = self.transactions.asked % members.len().max(1);
        let Some(connection) = members.keys().nth(turn).copied() else { return };
        self.transactions.asked = self.transactions.asked.wrapping_add(1);
        let (topic, queue_id) = real_queue(half);
        // Java sets this too late to be stored, but in time to be seen by the producer.
        let mut shown = String::with_capacity(properties.len() + 16);
        copy_without(&mut shown, properties, &[property::WAIT]);
        pair(&mut shown, property::WAIT, "false");
        let record = StoredRecord {
            topic,
            queue_id,
            flag: half.flag,
            queue_offset: again.queue_offset,
            commit_log_offset: again.position_i64(),
            sys_flag: half.sys_flag,
            born_timestamp: half.born_timestamp,
            born_host: half.born_host,
            store_timestamp: half.store_timestamp,
            store_host: self.config.addr,
            reconsume_times: half.reconsume_times,
            prepared_transaction_offset: 0,
            body: half.raw_body(),
            properties: &shown,
        };
        let mut body = BytesMut::with_capacity(record.encoded_len());
        if let Err(error) = encode_stored(&mut body, &record) {
            tracing::warn!(%error, "a half message could not be shown to its producer");
            return;
        }
        let id = rocketmq_client_core::message::id::offset_msg_id(self.config.addr, again.position_i64());
        let uniq_key = half.uniq_key().unwrap_or_default();
        let header = CheckTransactionStateRequestHeader {
            topic: Some(names::TRANS_HALF_TOPIC.into()),
            tran_state_table_offset: again.queue_offset,
            commit_log_offset: again.position_i64(),
            msg_id: Some(uniq_key.into()),
            transaction_id: Some(uniq_key.into()),
            offset_msg_id: Some(String::from(id).into()),
            rpc: RpcRequestHeader { bname: Some((&*self.config.broker_name).into()), ..Default::default() },
        };
        self.replier.push(connection, &header, &body.freeze());
    }

    fn age_ms(&self, now: Instant, half: &StoredMessage) -> i64 {
        self.wall(now).as_millis().saturating_sub(half.born_timestamp.as_millis())
    }
}

/// The time for which a half message is left alone, where its producer set one.
fn immunity_ms(half: &StoredMessage) -> Option<i64> {
    let seconds: i64 = half.property(property::CHECK_IMMUNITY_TIME_IN_SECONDS)?.parse().ok()?;
    (seconds >= 0).then(|| seconds.saturating_mul(1_000))
}

fn real_queue(half: &StoredMessage) -> (&str, i32) {
    let topic = half.property(property::REAL_TOPIC).unwrap_or_default();
    (topic, half.property(property::REAL_QID).and_then(|id| id.parse().ok()).unwrap_or(0))
}

fn inner_of<'a>(half: &'a StoredMessage, properties: &'a str, scan: &Scan<'_>) -> Inner<'a> {
    Inner {
        topic: half.topic(),
        queue_id: half.queue_id,
        flag: half.flag,
        sys_flag: half.sys_flag,
        born_timestamp: half.born_timestamp,
        born_host: half.born_host,
        reconsume_times: half.reconsume_times,
        prepared_transaction_offset: 0,
        body: half.raw_body(),
        properties,
        tags_code: scan.tags_code(),
    }
}
