//! Messages by id and by key. Java: `QueryMessageProcessor`.

use rocketmq_client_core::remoting::{
    QueryMessageRequestHeader, QueryMessageResponseHeader, RemotingCommand, ResponseCode,
    ViewMessageRequestHeader,
};
use rocketmq_client_core::time::{Instant, Timestamp};

use super::Handled;
use crate::asker::{Asker, Refusal, nullable};
use crate::broker::Broker;
use crate::reply::Answer;
use crate::store::index::Key;

/// Java: `maxMsgsNumBatch`.
const QUERY_COUNT_MAX: usize = 64;
/// Java: `defaultQueryMaxNum`.
const UNIQUE_QUERY_COUNT: usize = 32;

impl Broker {
    pub(crate) fn view_message(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: ViewMessageRequestHeader<'_> = command.header()?;
        let Some(record) = self.store.record_at(header.offset) else {
            let remark = format!("can not find message by the offset, {}", header.offset);
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
        };
        let body = record.bytes.clone();
        self.replier.body(now, asker, body);
        Ok(())
    }

    pub(crate) fn query_message(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let unknown =
            QueryMessageResponseHeader { index_last_update_timestamp: 0, index_last_update_phyoffset: 0 };
        let answer = Answer {
            code: ResponseCode::QUERY_NOT_FOUND,
            remark: Some("can not find message, maybe time range not correct"),
            extra: &[],
        };
        let header: QueryMessageRequestHeader<'_> = match command.header() {
            Err(_) if nullable(command, "key").is_none() => {
                self.replier.reply(now, asker, answer, &unknown, [].iter());
                return Ok(());
            }
            header => header?,
        };
        let unique = header.unique_key_query == Some(true);
        let count = match unique {
            true => UNIQUE_QUERY_COUNT,
            false => usize::try_from(header.max_num).unwrap_or(0).min(QUERY_COUNT_MAX),
        };
        let key = Key {
            topic: &header.topic,
            key: &header.key,
            begin: Timestamp::from_millis(header.begin_timestamp),
            end: Timestamp::from_millis(header.end_timestamp),
        };
        let found = self.store.query(&key, count);
        let last = self.store.last_indexed();
        if found.is_empty() {
            self.replier.reply(now, asker, answer, &unknown, [].iter());
            return Ok(());
        }
        let answered = QueryMessageResponseHeader {
            index_last_update_timestamp: last.map_or(0, |(_, time)| time.as_millis()),
            index_last_update_phyoffset: last.map_or(0, |(position, _)| position),
        };
        let store = &self.store;
        let body = found.iter().filter_map(|number| store.bytes(*number));
        self.replier.reply(now, asker, Answer::OK, &answered, body);
        Ok(())
    }
}
