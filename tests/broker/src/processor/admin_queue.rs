//! Queues for tools: their entries, the times of their messages. Java: `AdminBrokerProcessor`.

use bytes::Bytes;
use rocketmq_client_core::message::StoredMessage;
use rocketmq_client_core::message::id::parse_offset_msg_id;
use rocketmq_client_core::remoting::{
    ConsumeQueueData, NoHeader, QueryConsumeQueueRequestHeader, QueryConsumeQueueResponseBody,
    QueryConsumeTimeSpanRequestHeader, RemotingCommand, ResponseCode, ResumeCheckHalfMessageRequestHeader,
    SubscriptionData,
};
use rocketmq_client_core::time::{Instant, Timestamp};

use super::Handled;
use crate::asker::{Asker, Refusal};
use crate::broker::Broker;
use crate::reply::Answer;
use crate::store::consume_queue::Entry;

impl Broker {
    pub(crate) fn consume_queue(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: QueryConsumeQueueRequestHeader<'_> = command.header()?;
        let (topic, queue_id) = (header.topic.as_deref().unwrap_or_default(), header.queue_id);
        let Some(queue) = self.store.queue_of(topic, queue_id) else {
            let remark = format!("{queue_id}@{topic} is not exist!");
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
        };
        let group = header.consumer_group.as_deref().filter(|group| !group.is_empty());
        let subscription = group.and_then(|group| self.subscription(group, topic));
        let last = header.index.saturating_add(header.count.into()).min(queue.max());
        let data = |entry: &Entry| ConsumeQueueData {
            // Java asks an expression's filter here, and there is none for tags.
            eval: false,
            physic_offset: self.store.position_of(entry.record).unwrap_or(0),
            physic_size: i32::try_from(entry.size).unwrap_or(i32::MAX),
            tags_code: entry.tags_code,
        };
        let entries = (header.index..last).filter_map(|offset| queue.get(offset)).map(data);
        let body = QueryConsumeQueueResponseBody {
            filter_data: group.map(|group| match subscription {
                Some(_) => "null".into(),
                None => format!("{group}@{topic} is not online!").into(),
            }),
            max_queue_index: queue.max(),
            min_queue_index: queue.min(),
            queue_data: entries.collect(),
            subscription_data: subscription.clone(),
        };
        if body.queue_data.is_empty() {
            let remark = format!("Index {} of {queue_id}@{topic} is not exist!", header.index);
            let answer = Answer { remark: Some(&remark), ..Answer::OK };
            self.replier.reply(now, asker, answer, &NoHeader, [].iter());
        } else {
            self.replier.done(now, asker, body.encode());
        }
        Ok(())
    }

    fn subscription(&self, group: &str, topic: &str) -> Option<SubscriptionData> {
        self.clients.consumers.get(group)?.subscriptions.get(topic).cloned()
    }

    /// The first, the last and the consumed message's time of each queue.
    pub(crate) fn time_span(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: QueryConsumeTimeSpanRequestHeader<'_> = command.header()?;
        let topic = &*header.topic;
        let Some(config) = self.topics.get(topic) else {
            let remark = format!("topic[{topic}] not exist");
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        let spans: Vec<_> = (0..config.write_queue_nums)
            .map(|queue_id| self.queue_span(now, &header.group, topic, queue_id))
            .collect();
        let body = format!("{{\"consumeTimeSpanSet\":[{}]}}", spans.join(","));
        self.replier.body(now, asker, body);
        Ok(())
    }

    /// Java writes each time twice, as a number and as a text.
    fn queue_span(&self, now: Instant, group: &str, topic: &str, queue_id: i32) -> String {
        let queue = self.store.queue_of(topic, queue_id);
        let time_at = |offset: i64| {
            let entry = queue.and_then(|queue| queue.get(offset));
            entry.map_or(-1, |entry| entry.store_timestamp.as_millis())
        };
        let (min, max) = queue.map_or((0, 0), |queue| (queue.min(), queue.max()));
        let consumed = self.offsets.committed(group, topic, queue_id).unwrap_or(-1);
        let (first, last) = (time_at(min), time_at(max - 1));
        let consumed_time = if consumed > 0 { time_at(consumed - 1) } else { first };
        let delay = if consumed < max { self.wall(now).as_millis() - time_at(consumed) } else { 0 };
        format!(
            "{{\"consumeTimeStamp\":{consumed_time},\"consumeTimeStampStr\":\"{}\",\"delayTime\":{delay},\
             \"maxTimeStamp\":{last},\"maxTimeStampStr\":\"{}\",\"messageQueue\":{{\"brokerName\":\"{}\",\
             \"queueId\":{queue_id},\"topic\":\"{topic}\"}},\"minTimeStamp\":{first},\"minTimeStampStr\":\"{}\"}}",
            date(consumed_time),
            date(last),
            self.config.broker_name,
            date(first),
        )
    }

    /// Gives a half message a new round of questions. Java: `AdminBrokerProcessor#resumeCheckHalfMessage`.
    pub(crate) fn resume_half(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: ResumeCheckHalfMessageRequestHeader<'_> = command.header()?;
        let id = header.msg_id.as_deref().and_then(parse_offset_msg_id);
        let record = id.and_then(|id| self.store.record_at(id.commit_log_offset));
        let half = record.map(|record| record.bytes.clone()).map(|bytes| StoredMessage::decode(&bytes));
        let Some(Ok(half)) = half else {
            let remark = "Exception was thrown when putting message back to RMQ_SYS_TRANS_HALF_TOPIC.";
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
        };
        if !self.resume_check(now, &half) {
            let remark = "Put message back to RMQ_SYS_TRANS_HALF_TOPIC failed.";
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
        }
        self.replier.reply(now, asker, Answer::OK, &NoHeader, [Bytes::new()].iter());
        Ok(())
    }
}

/// A time as Java's tools show it, in UTC: `2026-11-21#07:44:01:315`. Java: `UtilAll#timeMillisToHumanString2`
/// puts `-` there, `TimeSpan` this.
fn date(ms: i64) -> String {
    let time = Timestamp::from_millis(ms).as_millis();
    let (days, in_day) = (time.div_euclid(86_400_000), time.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
    let (second, milli) = (in_day / 1_000 % 60, in_day % 1_000);
    format!("{year:04}-{month:02}-{day:02}#{hour:02}:{minute:02}:{second:02}:{milli:03}")
}

/// Year, month and day of a day counted from 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that the leap day is the last of a year.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_dates() {
        assert_eq!(date(0), "1970-01-01#00:00:00:000");
        assert_eq!(date(1_795_247_041_315), "2026-11-21#07:44:01:315");
        assert_eq!(date(951_782_399_999), "2000-02-28#23:59:59:999");
        assert_eq!(date(951_782_400_000), "2000-02-29#00:00:00:000");
        assert_eq!(date(-1), "1969-12-31#23:59:59:999");
    }
}
