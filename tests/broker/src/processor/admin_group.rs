//! Subscription groups: create, change, delete, show. Java: `AdminBrokerProcessor`.

use rocketmq_client_core::remoting::{
    DeleteSubscriptionGroupRequestHeader, GetAllSubscriptionGroupResponseHeader,
    GetSubscriptionGroupConfigRequestHeader, RemotingCommand, ResponseCode,
};
use rocketmq_client_core::time::Instant;

use super::Handled;
use super::client::bad_body;
use crate::asker::{Asker, Refusal};
use crate::broker::Broker;
use crate::json::{Object, Value};
use crate::model::SubscriptionGroupConfig;
use crate::reply::Answer;
use crate::topic::validate_group;

impl Broker {
    pub(crate) fn update_and_create_group(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let body = Value::parse(&command.body).ok_or_else(|| bad_body("group configuration"))?;
        let config = SubscriptionGroupConfig::read(&body);
        validate_group(&config.group_name)
            .map_err(|remark| Refusal::new(ResponseCode::INVALID_PARAMETER, remark))?;
        let wall = self.wall(now);
        self.groups.put(wall, config);
        self.replier.ok(now, asker);
        Ok(())
    }

    pub(crate) fn delete_group(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: DeleteSubscriptionGroupRequestHeader<'_> = command.header()?;
        let wall = self.wall(now);
        self.groups.remove(wall, &header.group_name);
        if header.clean_offset {
            self.offsets.remove_group(&header.group_name);
        }
        self.replier.ok(now, asker);
        Ok(())
    }

    pub(crate) fn group_config(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: GetSubscriptionGroupConfigRequestHeader<'_> = command.header()?;
        let wall = self.wall(now);
        let Some(config) = self.groups.find(wall, &header.group) else {
            let remark = format!("No group in this broker. group: {}", header.group);
            return Err(Refusal::new(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
        };
        let body = config.json();
        self.replier.body(now, asker, body);
        Ok(())
    }

    pub(crate) fn all_group_config(&mut self, now: Instant, asker: &Asker) -> Handled {
        let mut table = Object::new();
        for config in self.groups.iter() {
            table.key(&config.group_name).raw(&config.json());
        }
        let mut body = Object::new();
        body.key("dataVersion").raw(&self.groups.version.json());
        body.key("forbiddenTable").raw("{}");
        body.key("subscriptionGroupTable").raw(&table.end());
        let total = i32::try_from(self.groups.iter().count()).unwrap_or(i32::MAX);
        let header = GetAllSubscriptionGroupResponseHeader { total_group_num: total };
        self.replier.reply(now, asker, Answer::OK, &header, [body.end().into()].iter());
        Ok(())
    }
}
