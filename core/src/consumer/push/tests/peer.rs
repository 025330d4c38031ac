//! What the servers of the [`World`] answer.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::world::{Arrived, BROKER_A, RETRY, TOPIC, World, at_commit_log_offset, records_at};
use crate::message::Properties;
use crate::message::sys_flag::pull as pull_flag;
use crate::remoting::{
    BrokerData, ConsumerSendMsgBackRequestHeader, GetConsumerListByGroupResponseBody,
    GetMaxOffsetRequestHeader, GetMaxOffsetResponseHeader, GetRouteInfoRequestHeader, HeartbeatData,
    NoHeader, PullMessageRequestHeader, PullMessageResponseHeader, QueryConsumerOffsetRequestHeader,
    QueryConsumerOffsetResponseHeader, QueueData, RequestCode, ResponseCode, SearchOffsetRequestHeader,
    SendMessageRequestHeaderV2, SendMessageResponseHeader, TopicRouteData, UpdateConsumerOffsetRequestHeader,
};

impl World {
    /// Answers as a name server or broker does.
    pub(super) fn serve(&mut self, arrived: Arrived) {
        match RequestCode(arrived.command.code) {
            RequestCode::GET_ROUTEINFO_BY_TOPIC => self.serve_route(&arrived),
            RequestCode::HEART_BEAT => self.serve_heartbeat(&arrived),
            RequestCode::GET_CONSUMER_LIST_BY_GROUP => self.serve_members(&arrived),
            RequestCode::QUERY_CONSUMER_OFFSET => self.serve_stored_offset(&arrived),
            RequestCode::GET_MAX_OFFSET => {
                let header: GetMaxOffsetRequestHeader<'_> = arrived.header();
                let offset = self.log(&header.topic, header.queue_id).max();
                self.answer(&arrived, ResponseCode::SUCCESS, &GetMaxOffsetResponseHeader { offset }, &[]);
            }
            RequestCode::SEARCH_OFFSET_BY_TIMESTAMP => {
                let header: SearchOffsetRequestHeader<'_> = arrived.header();
                let old = self.old;
                let log = self.log(&header.topic, header.queue_id);
                let offset = log.at_time(header.timestamp);
                // Java, 4.x: `ConsumeQueue#getOffsetInQueueByTime` prefers the last one before.
                let offset = if old && offset == log.max() { offset.max(log.min + 1) - 1 } else { offset };
                self.answer(&arrived, ResponseCode::SUCCESS, &GetMaxOffsetResponseHeader { offset }, &[]);
            }
            RequestCode::UPDATE_CONSUMER_OFFSET => {
                let header: UpdateConsumerOffsetRequestHeader<'_> = arrived.header();
                self.commit(&header.topic, header.queue_id, header.commit_offset);
                self.answer(&arrived, ResponseCode::SUCCESS, &NoHeader, &[]);
            }
            RequestCode::PULL_MESSAGE => self.serve_pull(arrived, true),
            RequestCode::CONSUMER_SEND_MSG_BACK => {
                let header: ConsumerSendMsgBackRequestHeader<'_> = arrived.header();
                let (topic, queue_id, offset) = at_commit_log_offset(header.offset);
                let log = self.log(topic, queue_id);
                let index = usize::try_from(offset - log.min).expect("stored");
                let properties = log.records[index].clone();
                self.finish(&properties);
                self.answer(&arrived, ResponseCode::SUCCESS, &NoHeader, &[]);
            }
            RequestCode::UNREGISTER_CLIENT => {
                self.answer(&arrived, ResponseCode::SUCCESS, &NoHeader, &[]);
            }
            RequestCode::SEND_MESSAGE_V2 => {
                let header: SendMessageRequestHeaderV2<'_> = arrived.header();
                let len = header.properties.as_ref().map_or(0, |properties| properties.len());
                if len > self.properties_max {
                    return self.answer(&arrived, ResponseCode::MESSAGE_ILLEGAL, &NoHeader, &[]);
                }
                let properties = Properties::parse(&header.properties.unwrap_or_default());
                if let Some(id) = properties.get("ID") {
                    self.finish(&format!("ID\u{1}{id}\u{2}"));
                }
                let header =
                    SendMessageResponseHeader { msg_id: "7F".into(), queue_offset: 1, ..Default::default() };
                self.answer(&arrived, ResponseCode::SUCCESS, &header, &[]);
            }
            code => panic!("unexpected {code}"),
        }
    }

    fn serve_route(&mut self, arrived: &Arrived) {
        let header: GetRouteInfoRequestHeader<'_> = arrived.header();
        let Some(brokers) = self.routes.get(&*header.topic).cloned() else {
            return self.answer(arrived, ResponseCode::TOPIC_NOT_EXIST, &NoHeader, &[]);
        };
        let broker = |(name, address, _): &(&str, &str, i32)| BrokerData {
            broker_name: (*name).into(),
            cluster: "C".into(),
            // None at all, where the text is empty.
            broker_addrs: Some(*address)
                .filter(|it| !it.is_empty())
                .map(|it| (0, it.into()))
                .into_iter()
                .collect(),
            ..BrokerData::default()
        };
        let of_topic = *header.topic == *TOPIC;
        let (read, perm) = if of_topic { (self.read_queue_nums, self.perm) } else { (None, 6) };
        let queues = |(name, _, nums): &(&str, &str, i32)| QueueData {
            broker_name: (*name).into(),
            read_queue_nums: read.unwrap_or(*nums),
            write_queue_nums: *nums,
            perm,
            ..QueueData::default()
        };
        let data = TopicRouteData {
            broker_datas: brokers.iter().map(broker).collect(),
            queue_datas: brokers.iter().map(queues).collect(),
            ..TopicRouteData::default()
        };
        self.answer(arrived, ResponseCode::SUCCESS, &NoHeader, &data.encode());
    }

    /// The first heartbeat makes the retry topic.
    fn serve_heartbeat(&mut self, arrived: &Arrived) {
        let data = HeartbeatData::decode(&arrived.command.body).expect("a heartbeat");
        if !data.consumer_data_set.is_empty() {
            self.registered.insert(arrived.address.clone());
            if arrived.address == BROKER_A {
                self.routes.entry(RETRY.into()).or_insert_with(|| alloc::vec![("a", BROKER_A, 1)]);
            }
        }
        self.answer(arrived, ResponseCode::SUCCESS, &NoHeader, &[]);
    }

    fn serve_members(&mut self, arrived: &Arrived) {
        let mut members: Vec<Arc<str>> = self.others.iter().map(|id| id.as_str().into()).collect();
        if self.registered.contains(&arrived.address) {
            members.push(self.client.client_id().clone());
        }
        let body = GetConsumerListByGroupResponseBody { consumer_id_list: members };
        self.answer(arrived, ResponseCode::SUCCESS, &NoHeader, &body.encode());
    }

    fn serve_stored_offset(&mut self, arrived: &Arrived) {
        let header: QueryConsumerOffsetRequestHeader<'_> = arrived.header();
        match self.log(&header.topic, header.queue_id).committed {
            Some(offset) => {
                self.answer(
                    arrived,
                    ResponseCode::SUCCESS,
                    &QueryConsumerOffsetResponseHeader { offset },
                    &[],
                );
            }
            None => self.answer(arrived, ResponseCode::QUERY_NOT_FOUND, &NoHeader, &[]),
        }
    }

    /// A pull commits when it comes, not when it was held and goes on.
    pub(super) fn serve_pull(&mut self, arrived: Arrived, first: bool) {
        let header: PullMessageRequestHeader<'_> = arrived.header();
        let (topic, queue_id, offset) = (String::from(&*header.topic), header.queue_id, header.queue_offset);
        let most = usize::try_from(header.max_msg_nums).expect("positive");
        if !self.registered.contains(&arrived.address) {
            return self.answer(&arrived, ResponseCode::SUBSCRIPTION_NOT_EXIST, &NoHeader, &[]);
        }
        if let Some(refusal) = self.refuse_queues.get(&queue_id).copied().filter(|_| topic == TOPIC) {
            return self.answer(&arrived, refusal, &NoHeader, &[]);
        }
        let (impatient, old, leave_out) = (self.impatient, self.old, self.leave_out);
        let suggested = i64::from(self.fickle) * (i64::from(arrived.command.opaque) % 2);
        let committing = first && header.sys_flag & 1 != 0;
        let may_wait = header.sys_flag & pull_flag::SUSPEND != 0 && !impatient;
        let commit_offset = header.commit_offset;
        if committing {
            self.commit(&topic, queue_id, commit_offset);
        }
        let log = self.log(&topic, queue_id);
        let (min, max) = (log.min, log.max());
        let answer = |next_begin_offset| PullMessageResponseHeader {
            suggest_which_broker_id: suggested,
            next_begin_offset,
            min_offset: min,
            max_offset: max,
            ..PullMessageResponseHeader::default()
        };
        if let Some(reset) = self.log(&topic, queue_id).reset.take() {
            self.answer(&arrived, ResponseCode::PULL_OFFSET_MOVED, &answer(reset), &[]);
        } else if offset == max && !may_wait {
            self.answer(&arrived, ResponseCode::PULL_NOT_FOUND, &answer(max), &[]);
        } else if offset == max {
            self.held.push(arrived);
        } else if offset < min {
            self.answer(&arrived, ResponseCode::PULL_OFFSET_MOVED, &answer(min), &[]);
        } else if offset > max {
            let next = if old && min == 0 { 0 } else { max };
            self.answer(&arrived, ResponseCode::PULL_OFFSET_MOVED, &answer(next), &[]);
        } else {
            let from = usize::try_from(offset - min).expect("not below");
            let log = self.log(&topic, queue_id);
            let looked_at = log.records.iter().zip(min..).skip(from).take(most);
            let next = offset + i64::try_from(looked_at.clone().count()).expect("few");
            let given = looked_at.filter(|(one, _)| leave_out.is_none_or(|tag| !one.contains(tag)));
            let given = given.map(|(one, at)| (at, one, log.time(usize::try_from(at - min).expect("few"))));
            let body = records_at(&topic, queue_id, given);
            let code =
                if body.is_empty() { ResponseCode::PULL_RETRY_IMMEDIATELY } else { ResponseCode::SUCCESS };
            self.answer(&arrived, code, &answer(next), &body);
        }
    }
}
