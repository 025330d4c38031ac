//! Pulls, at once or held until messages come. Java: `PullMessageProcessor`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_core::message::{perm, sys_flag};
use rocketmq_client_core::remoting::{
    MessageModel, PullMessageRequestHeader, PullMessageResponseHeader, RemotingCommand, ResponseCode,
    SUB_ALL, SubscriptionData, is_tag_type,
};
use rocketmq_client_core::time::{Instant, Timestamp};

use super::Handled;
use crate::asker::{Asker, FAQ, Refusal};
use crate::broker::Broker;
use crate::hold::HeldPull;
use crate::reply::Answer;
use crate::store::QueueRef;
use crate::store::consume_queue::{GetResult, GetStatus, ReadLimits};

/// Java: `maxFilterMessageSize` 16000 by 20 bytes an entry.
pub(super) const SCAN_MIN: usize = 800;
/// Java: `DefaultMessageStore`'s `MAX_PULL_MSG_SIZE`.
const PULL_BYTES_LIMIT: usize = 64 << 20;

/// Which messages of a queue a consumer wants, as far as the broker looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// All of them.
    All,
    /// Those whose tag has one of these hashes; the client compares the tags again.
    Tags(BTreeSet<i32>),
}

impl Filter {
    pub(crate) fn matches(&self, tags_code: i64) -> bool {
        match self {
            Self::All => true,
            Self::Tags(codes) => i32::try_from(tags_code).is_ok_and(|code| codes.contains(&code)),
        }
    }

    /// A subscription without tags lets everything pass. Java: `DefaultMessageFilter`.
    pub(super) fn of(data: &SubscriptionData) -> Self {
        if &*data.sub_string == SUB_ALL || data.code_set.is_empty() {
            return Self::All;
        }
        Self::Tags(data.code_set.clone())
    }
}

/// A checked pull: all that is needed to run it, also again.
#[derive(Clone, Debug)]
pub(crate) struct PullRequest {
    pub(crate) group: Arc<str>,
    pub(crate) topic: Arc<str>,
    pub(crate) queue_id: i32,
    pub(crate) offset: i64,
    pub(crate) limits: ReadLimits,
    pub(crate) filter: Filter,
    topic_sys_flag: i32,
    group_sys_flag: i32,
}

impl Broker {
    pub(crate) fn pull(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: PullMessageRequestHeader<'_> = command.header()?;
        let request = match self.check_pull(now, asker, &header) {
            Ok(request) => request,
            Err(PullRefusal::Plain(refusal)) => return Err(refusal),
            Err(PullRefusal::Forbidden(kind, remark)) => {
                let refusal = Refusal::new(ResponseCode::NO_PERMISSION, remark);
                self.replier.refuse(now, asker, &refusal, &[("forbiddenType", &kind.to_string())]);
                return Ok(());
            }
        };
        if header.sys_flag & sys_flag::pull::COMMIT_OFFSET != 0 {
            self.offsets.commit(&request.group, &request.topic, request.queue_id, header.commit_offset);
        }
        let (queue, result) = self.read(&request);
        let may_wait = header.sys_flag & sys_flag::pull::SUSPEND != 0;
        if may_wait && !self.is_slave() && pull_code(&result, request.offset) == ResponseCode::PULL_NOT_FOUND
        {
            let timeout = match self.config.long_polling {
                true => Duration::from_millis(u64::try_from(header.suspend_timeout_millis).unwrap_or(0)),
                false => Duration::from_secs(1),
            };
            let checked = request.offset;
            self.holds.hold(queue, HeldPull { asker: asker.clone(), request, since: now, timeout, checked });
            return Ok(());
        }
        self.answer_pull(now, asker, &request, &result);
        Ok(())
    }

    fn check_pull(
        &mut self,
        now: Instant,
        asker: &Asker,
        header: &PullMessageRequestHeader<'_>,
    ) -> Result<PullRequest, PullRefusal> {
        let (group, topic) = (&*header.consumer_group, &*header.topic);
        let wall = self.wall(now);
        let Some(group_config) = self.groups.find(wall, group) else {
            let remark = format!("subscription group [{group}] does not exist, {FAQ}");
            return Err(PullRefusal::plain(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
        };
        if !group_config.consume_enable {
            return Err(PullRefusal::Forbidden(2, format!("subscription group no permission, {group}")));
        }
        let broadcast = group_config.consume_broadcast_enable;
        let (group_name, group_sys_flag) = (group_config.group_name.clone(), group_config.group_sys_flag);
        let Some(topic_config) = self.topics.get(topic) else {
            let remark = format!("topic[{topic}] not exist, apply first please! {FAQ}");
            return Err(PullRefusal::plain(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        if !perm::is_readable(topic_config.perm) {
            return Err(PullRefusal::Forbidden(
                3,
                format!("the topic[{topic}] pulling message is forbidden"),
            ));
        }
        if header.queue_id < 0 || header.queue_id >= topic_config.read_queue_nums {
            let remark = format!(
                "queueId[{}] is illegal, topic:[{topic}] topicConfig.readQueueNums:[{}] consumer:[/{}]",
                header.queue_id,
                topic_config.read_queue_nums,
                self.peer(asker)
            );
            return Err(PullRefusal::plain(ResponseCode::INVALID_PARAMETER, remark));
        }
        let filter = match header.sys_flag & sys_flag::pull::SUBSCRIPTION != 0 {
            true => inline_filter(header, wall)?,
            false => self.registered_filter(header, broadcast)?,
        };
        let count = usize::try_from(header.max_msg_nums).unwrap_or(0);
        let asked_bytes = header.max_msg_bytes.and_then(|bytes| usize::try_from(bytes).ok());
        let asked_bytes = asked_bytes.filter(|bytes| *bytes > 0).unwrap_or(PULL_BYTES_LIMIT);
        Ok(PullRequest {
            group: group_name,
            topic: topic_config.topic_name.clone(),
            queue_id: header.queue_id,
            offset: header.queue_offset,
            limits: ReadLimits {
                count_max: count.min(self.config.pull_count_max),
                bytes_max: asked_bytes.min(self.config.pull_bytes_max),
                scan_max: SCAN_MIN.max(count),
            },
            filter,
            topic_sys_flag: topic_config.topic_sys_flag,
            group_sys_flag,
        })
    }

    /// The filter that the group's heartbeats brought.
    fn registered_filter(
        &self,
        header: &PullMessageRequestHeader<'_>,
        broadcast: bool,
    ) -> Result<Filter, PullRefusal> {
        let unknown = |what| {
            let remark = format!("the consumer's {what} not exist{FAQ}");
            PullRefusal::plain(ResponseCode::SUBSCRIPTION_NOT_EXIST, remark)
        };
        let group =
            self.clients.consumers.get(&*header.consumer_group).ok_or_else(|| unknown("group info"))?;
        if !broadcast && group.message_model == MessageModel::Broadcasting {
            let remark =
                format!("the consumer group[{}] can not consume by broadcast way", header.consumer_group);
            return Err(PullRefusal::Forbidden(4, remark));
        }
        if self.groups.is_forbidden(&header.consumer_group, &header.topic) {
            let remark = format!(
                "the consumer group[{}] is forbidden for topic[{}]",
                header.consumer_group, header.topic
            );
            return Err(PullRefusal::Forbidden(5, remark));
        }
        let data = group.subscriptions.get(&*header.topic).ok_or_else(|| unknown("subscription"))?;
        if data.sub_version < header.sub_version {
            let remark = "the consumer's subscription not latest";
            return Err(PullRefusal::plain(ResponseCode::SUBSCRIPTION_NOT_LATEST, remark));
        }
        if !is_tag_type(Some(&data.expression_type)) {
            return Err(PullRefusal::Plain(no_sql()));
        }
        Ok(Filter::of(data))
    }

    /// Reads for a pull; a reset that waits for it comes first.
    fn read(&mut self, request: &PullRequest) -> (QueueRef, GetResult) {
        let queue = self.store.queue_or_create(&request.topic, request.queue_id);
        let reset = self.offsets.take_reset(&request.group, &request.topic, request.queue_id);
        let found = self.store.queue(queue);
        let mut result = match reset {
            Some(next) => GetResult {
                status: GetStatus::OffsetReset,
                next,
                min: found.min(),
                max: found.max(),
                records: Vec::new(),
            },
            None => found
                .read(&self.store.log, request.offset, request.limits, |code| request.filter.matches(code)),
        };
        if self.is_slave()
            && result.status != GetStatus::Found
            && result.status != GetStatus::NoMatchedMessage
        {
            // Java: `offsetCheckInSlave` is false.
            result.next = request.offset;
        }
        self.offsets.pulled(&request.group, &request.topic, request.queue_id, result.next);
        (queue, result)
    }

    fn answer_pull(&mut self, now: Instant, asker: &Asker, request: &PullRequest, result: &GetResult) {
        let header = PullMessageResponseHeader {
            suggest_which_broker_id: 0,
            next_begin_offset: result.next,
            min_offset: result.min,
            max_offset: result.max,
            topic_sys_flag: Some(request.topic_sys_flag),
            group_sys_flag: Some(request.group_sys_flag),
            ..Default::default()
        };
        // Java: a slave that is no acting master takes its group for one with a master, and sends
        // consumers there when it has nothing for them.
        let code = match pull_code(result, request.offset) {
            ResponseCode::SUCCESS => ResponseCode::SUCCESS,
            _ if self.is_slave() => ResponseCode::PULL_RETRY_IMMEDIATELY,
            code => code,
        };
        let answer = Answer { code, remark: Some(result.status.name()), extra: &[] };
        let store = &self.store;
        let body = result.records.iter().filter_map(|number| store.bytes(*number));
        if !result.records.is_empty() {
            let bytes = body.clone().map(|record| record.len() as u64).sum();
            let wall = self.clock.timestamp(now);
            self.gets.count(wall, (&request.topic, &request.group), result.records.len() as u64, bytes);
        }
        self.replier.reply(now, asker, answer, &header, body);
    }

    /// Runs the held pulls of a queue for which something arrived, or whose time is over.
    pub(crate) fn wake_queue(&mut self, now: Instant, queue: QueueRef) {
        let grown = self.store.queue(queue);
        let max = grown.max();
        let due = self.holds.take(now, queue, |pull| {
            let from = pull.checked.max(pull.request.offset).max(grown.min());
            pull.checked = max.max(pull.checked);
            (from..max).any(|offset| {
                grown.get(offset).is_some_and(|entry| pull.request.filter.matches(entry.tags_code))
            })
        });
        self.run_held(now, due);
    }

    /// Runs held pulls again; whatever they find now is answered.
    pub(crate) fn run_held(&mut self, now: Instant, due: Vec<HeldPull>) {
        for HeldPull { asker, request, .. } in due {
            if self.topics.get(&request.topic).is_none() {
                let remark = format!("topic[{}] not exist, apply first please! {FAQ}", request.topic);
                let refusal = Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark);
                self.replier.refuse(now, &asker, &refusal, &[]);
                continue;
            }
            let (_, result) = self.read(&request);
            self.answer_pull(now, &asker, &request, &result);
        }
    }
}

/// Why a pull isn't run.
enum PullRefusal {
    Plain(Refusal),
    /// No permission, of this kind.
    Forbidden(i32, String),
}

impl PullRefusal {
    fn plain(code: ResponseCode, remark: impl Into<String>) -> Self {
        Self::Plain(Refusal::new(code, remark))
    }
}

/// The refusal of everything but tags. Java: `enablePropertyFilter` is false by default.
pub(super) fn no_sql() -> Refusal {
    let remark = "The broker does not support consumer to filter message by SQL92";
    Refusal::new(ResponseCode::SYSTEM_ERROR, remark)
}

fn inline_filter(header: &PullMessageRequestHeader<'_>, wall: Timestamp) -> Result<Filter, PullRefusal> {
    if !is_tag_type(header.expression_type.as_deref()) {
        return Err(PullRefusal::Plain(no_sql()));
    }
    let data = SubscriptionData::build(&*header.topic, header.subscription.as_deref(), None, wall);
    data.map(|data| Filter::of(&data)).map_err(|_| {
        let remark = "parse the consumer's subscription failed";
        PullRefusal::plain(ResponseCode::SUBSCRIPTION_PARSE_FAILED, remark)
    })
}

/// Java: `PullMessageProcessor#composeResponseHeader`.
fn pull_code(result: &GetResult, offset: i64) -> ResponseCode {
    match result.status {
        GetStatus::Found => ResponseCode::SUCCESS,
        GetStatus::NoMatchedMessage => ResponseCode::PULL_RETRY_IMMEDIATELY,
        GetStatus::OffsetOverflowOne => ResponseCode::PULL_NOT_FOUND,
        GetStatus::NoMessageInQueue if offset == 0 => ResponseCode::PULL_NOT_FOUND,
        GetStatus::NoMessageInQueue
        | GetStatus::OffsetOverflowBadly
        | GetStatus::OffsetTooSmall
        | GetStatus::OffsetReset => ResponseCode::PULL_OFFSET_MOVED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_expressions_become_hashes() {
        let filter = |expression: &str| {
            let header =
                PullMessageRequestHeader { subscription: Some(expression.into()), ..Default::default() };
            inline_filter(&header, Timestamp::from_millis(0)).ok()
        };
        assert_eq!(filter("*"), Some(Filter::All));
        assert_eq!(filter(""), Some(Filter::All));
        assert_eq!(filter("a || b"), Some(Filter::Tags([97, 98].into())));
        assert_eq!(filter(" ||a|| "), Some(Filter::Tags([97].into())));
        assert_eq!(filter("||||"), None);
        let filter = filter("a").unwrap();
        assert!(filter.matches(97) && !filter.matches(0) && !filter.matches(97 + (1 << 32)));
    }
}
