//! Subscription groups: create, change, delete, show. Java: `AdminBrokerProcessor`.

use rocketmq_client_core::remoting::{
    DeleteSubscriptionGroupRequestHeader, GetAllSubscriptionGroupResponseHeader,
    GetSubscriptionGroupConfigRequestHeader, RemotingCommand, ResponseCode, SubscriptionGroupConfig,
};
use rocketmq_client_core::time::Instant;

use super::{Handled, attributes, bad_body};
use crate::asker::{Asker, Refusal};
use crate::broker::Broker;
use crate::reply::Answer;
use crate::topic::validate_group;

impl Broker {
    pub(crate) fn update_and_create_group(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let mut config = SubscriptionGroupConfig::decode(&command.body)
            .map_err(|error| bad_body("group configuration", error))?;
        validate_group(&config.group_name)
            .map_err(|remark| Refusal::new(ResponseCode::INVALID_PARAMETER, remark))?;
        let known = self.groups.get(&config.group_name).map(|known| known.attributes.clone());
        config.attributes =
            attributes::alter(attributes::OF_GROUPS, known.unwrap_or_default(), &config.attributes)?;
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
        let body = config.encode();
        self.replier.body(now, asker, body);
        Ok(())
    }

    pub(crate) fn all_group_config(&mut self, now: Instant, asker: &Asker) -> Handled {
        let table = self.groups.table();
        let total = i32::try_from(table.subscription_group_table.len()).unwrap_or(i32::MAX);
        let body = table.encode();
        let header = GetAllSubscriptionGroupResponseHeader { total_group_num: total };
        self.replier.reply(now, asker, Answer::OK, &header, [body].iter());
        Ok(())
    }
}
