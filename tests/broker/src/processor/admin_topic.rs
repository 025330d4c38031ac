//! Topics: create, change, delete, show. Java: `AdminBrokerProcessor`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use rocketmq_client_core::message::names;
#[cfg(feature = "serve")]
use rocketmq_client_core::message::perm;
use rocketmq_client_core::remoting::{
    CreateTopicListRequestBody, CreateTopicRequestHeader, GetAllTopicConfigRequestHeader,
    GetAllTopicConfigResponseHeader, GetTopicConfigRequestHeader, RemotingCommand, ResponseCode, TopicConfig,
    TopicFilterType, TopicList,
};
use rocketmq_client_core::time::Instant;

use super::{Handled, attributes, bad_body};
use crate::asker::{Asker, Refusal, nullable};
use crate::broker::Broker;
use crate::reply::Answer;
#[cfg(feature = "serve")]
use crate::topic::topic_config;
use crate::topic::validate_topic;

/// Java has no limit; a mistyped number of queues must not keep tools busy for ever.
const QUEUES_MAX: i32 = 65_536;

impl Broker {
    pub(crate) fn update_and_create_topic(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: CreateTopicRequestHeader<'_> = command.header()?;
        let topic = &*header.topic;
        self.check_topic_name(topic)?;
        let queues = header.read_queue_nums.max(header.write_queue_nums);
        if header.read_queue_nums.min(header.write_queue_nums) < 0 || queues > QUEUES_MAX {
            let remark = format!("a topic has 0 to {QUEUES_MAX} queues here, not {queues}");
            return Err(Refusal::new(ResponseCode::INVALID_PARAMETER, remark));
        }
        let changes = attributes::parse(header.attributes.as_deref().unwrap_or_default())?;
        let attributes = self.altered(topic, &changes)?;
        let config = TopicConfig {
            topic_name: topic.into(),
            read_queue_nums: header.read_queue_nums,
            write_queue_nums: header.write_queue_nums,
            perm: header.perm,
            topic_filter_type: filter_type(&header.topic_filter_type)?,
            topic_sys_flag: header.topic_sys_flag.unwrap_or(0),
            order: header.order,
            attributes,
            mapping_detail: None,
        };
        let wall = self.wall(now);
        self.topics.put(wall, config);
        self.replier.done(now, asker, Bytes::new());
        Ok(())
    }

    /// Creates a topic, or gives it so many queues, as the request for it does.
    #[cfg(feature = "serve")]
    pub(crate) fn create_topic(&mut self, now: Instant, topic: &str, queues: i32) -> Handled {
        self.check_topic_name(topic)?;
        if !(1..=QUEUES_MAX).contains(&queues) {
            let remark = format!("topic {topic} can have 1 to {QUEUES_MAX} queues, not {queues}");
            return Err(Refusal::new(ResponseCode::INVALID_PARAMETER, remark));
        }
        let wall = self.wall(now);
        let config = topic_config(topic, queues, perm::READ | perm::WRITE);
        self.topics.put(wall, config);
        self.register_changes();
        Ok(())
    }

    /// A topic's attributes after these changes.
    fn altered(
        &self,
        topic: &str,
        changes: &attributes::Attributes,
    ) -> Result<attributes::Attributes, Refusal> {
        if changes.get("+message.type").is_some_and(|kind| &**kind == "MIXED") {
            // Java: `enableMixedMessageType` is false.
            let remark = "MIXED message type is not supported.";
            return Err(Refusal::new(ResponseCode::INVALID_PARAMETER, remark));
        }
        let known = self.topics.get(topic).map(|config| config.attributes.clone());
        attributes::alter(attributes::OF_TOPICS, known.is_none(), known.unwrap_or_default(), changes)
    }

    /// All names are looked at before the first topic is made.
    pub(crate) fn update_and_create_topics(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let body = CreateTopicListRequestBody::decode(&command.body)
            .map_err(|error| bad_body("list of topics", error))?;
        let mut configs = Vec::with_capacity(body.topic_config_list.len());
        for mut config in body.topic_config_list {
            self.check_topic_name(&config.topic_name)?;
            config.attributes = self.altered(&config.topic_name, &config.attributes)?;
            configs.push(config);
        }
        let wall = self.wall(now);
        for config in configs {
            self.topics.put(wall, config);
        }
        self.replier.done(now, asker, Bytes::new());
        Ok(())
    }

    pub(crate) fn delete_topic(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header = nullable(command, "topic").unwrap_or_default();
        let topic = &*header;
        self.check_topic_name(topic)?;
        let wall = self.wall(now);
        for gone in std::iter::once(topic.to_owned()).chain(self.pop_retry_topics(topic)) {
            self.topics.remove(wall, &gone);
            self.offsets.remove_topic(&gone);
            self.gets.remove_topic(&gone);
            self.store.delete_topic(&gone);
        }
        self.replier.ok(now, asker);
        Ok(())
    }

    fn check_topic_name(&self, topic: &str) -> Handled {
        validate_topic(topic).map_err(|remark| Refusal::new(ResponseCode::INVALID_PARAMETER, remark))?;
        let own = topic == &*self.config.cluster_name || topic == &*self.config.broker_name;
        if own || names::is_system_topic(topic) {
            let remark = format!("The topic[{topic}] is conflict with system topic.");
            return Err(Refusal::new(ResponseCode::INVALID_PARAMETER, remark));
        }
        Ok(())
    }

    pub(crate) fn topic_config(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: GetTopicConfigRequestHeader<'_> = command.header()?;
        let Some(config) = self.topics.get(&header.topic) else {
            let remark = format!("No topic in this broker. topic: {}", header.topic);
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        let body = config.encode();
        self.replier.body(now, asker, body);
        Ok(())
    }

    /// All topics, or a page of them in the order of their names; Java's order is a hash map's.
    pub(crate) fn all_topic_config(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let page: Option<GetAllTopicConfigRequestHeader<'_>> = command.header().ok();
        let positive = |number: i32| usize::try_from(number).ok();
        let first = page.as_ref().and_then(|page| positive(page.topic_seq)).unwrap_or(0);
        let count = page.and_then(|page| positive(page.max_topic_num?)).unwrap_or(usize::MAX);
        let mut body = self.topics.wrapper(self.topics.iter().skip(first).take(count));
        body.topic_queue_mapping_info_map = Some(BTreeMap::new());
        let total = i32::try_from(self.topics.iter().count()).unwrap_or(i32::MAX);
        let header = GetAllTopicConfigResponseHeader { total_topic_num: total };
        self.replier.reply(now, asker, Answer::OK, &header, [body.encode()].iter());
        Ok(())
    }

    pub(crate) fn system_topics(&mut self, now: Instant, asker: &Asker) -> Handled {
        let (cluster, broker) = (&self.config.cluster_name, &self.config.broker_name);
        let names = self.topics.iter().map(|config| &config.topic_name);
        let system =
            names.filter(|topic| names::is_system_topic(topic) || *topic == cluster || *topic == broker);
        let mut system: BTreeSet<Arc<str>> = system.cloned().collect();
        // Names that are set aside whether or not there is such a topic. Java: `TopicValidator`.
        let set_aside = [names::TRANS_CHECK_MAX_TIME_TOPIC, "CHECKPOINT_TOPIC"];
        system.extend(set_aside.map(Into::into));
        system.insert(names::reply_topic(cluster).into());
        let body = TopicList { broker_addr: None, topic_list: system.into_iter().collect() };
        self.replier.body(now, asker, body.encode());
        Ok(())
    }
}

/// Java: `CreateTopicRequestHeader#getTopicFilterTypeEnum`, whose exception is the answer.
fn filter_type(name: &str) -> Result<TopicFilterType, Refusal> {
    match TopicFilterType::from_name(name) {
        TopicFilterType::Unknown => {
            let remark = format!("No enum constant org.apache.rocketmq.common.TopicFilterType.{name}");
            Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark))
        }
        known => Ok(known),
    }
}
