//! Topics: create, change, delete, show. Java: `AdminBrokerProcessor`.

use rocketmq_client_core::message::names;
use rocketmq_client_core::remoting::{
    CreateTopicRequestHeader, DeleteTopicRequestHeader, GetAllTopicConfigResponseHeader,
    GetTopicConfigRequestHeader, RemotingCommand, ResponseCode, TopicConfig, TopicFilterType, TopicList,
};
use rocketmq_client_core::time::Instant;

use super::{Handled, attributes};
use crate::asker::{Asker, Refusal};
use crate::broker::Broker;
use crate::reply::Answer;
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
        let known = self.topics.get(topic).map(|config| config.attributes.clone()).unwrap_or_default();
        let changes = attributes::parse(header.attributes.as_deref().unwrap_or_default())?;
        let attributes = attributes::alter(attributes::OF_TOPICS, known, &changes)?;
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
        self.replier.ok(now, asker);
        Ok(())
    }

    pub(crate) fn delete_topic(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: DeleteTopicRequestHeader<'_> = command.header()?;
        let topic = &*header.topic;
        self.check_topic_name(topic)?;
        let wall = self.wall(now);
        self.topics.remove(wall, topic);
        self.offsets.remove_topic(topic);
        self.store.delete_topic(topic);
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

    pub(crate) fn all_topic_config(&mut self, now: Instant, asker: &Asker) -> Handled {
        let body = self.topics.wrapper(self.topics.iter());
        let total = i32::try_from(body.topic_config_table.len()).unwrap_or(i32::MAX);
        let header = GetAllTopicConfigResponseHeader { total_topic_num: total };
        self.replier.reply(now, asker, Answer::OK, &header, [body.encode()].iter());
        Ok(())
    }

    pub(crate) fn system_topics(&mut self, now: Instant, asker: &Asker) -> Handled {
        let (cluster, broker) = (&self.config.cluster_name, &self.config.broker_name);
        let names = self.topics.iter().map(|config| &config.topic_name);
        let system =
            names.filter(|topic| names::is_system_topic(topic) || *topic == cluster || *topic == broker);
        let body = TopicList { broker_addr: None, topic_list: system.cloned().collect() };
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
