//! Subscription groups: create, change, delete, show. Java: `AdminBrokerProcessor`.

use rocketmq_client_core::remoting::{
    DeleteSubscriptionGroupRequestHeader, GetAllSubscriptionGroupResponseHeader,
    GetSubscriptionGroupConfigRequestHeader, GroupForbidden, NoHeader, RemotingCommand, ResponseCode,
    SubscriptionGroupConfig, SubscriptionGroupList, UpdateGroupForbiddenRequestHeader,
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
        // No body is no group, and in Java that is a success.
        if !command.body.is_empty() {
            let config = SubscriptionGroupConfig::decode(&command.body)
                .map_err(|error| bad_body("group configuration", error))?;
            let config = self.checked_group(config)?;
            let wall = self.wall(now);
            self.groups.put(wall, config);
        }
        self.replier.ok(now, asker);
        Ok(())
    }

    fn checked_group(&self, mut config: SubscriptionGroupConfig) -> Result<SubscriptionGroupConfig, Refusal> {
        validate_group(&config.group_name)
            .map_err(|remark| Refusal::new(ResponseCode::INVALID_PARAMETER, remark))?;
        let known = self.groups.get(&config.group_name).map(|known| known.attributes.clone());
        let (create, known) = (known.is_none(), known.unwrap_or_default());
        config.attributes = attributes::alter(attributes::OF_GROUPS, create, known, &config.attributes)?;
        Ok(config)
    }

    /// All groups are looked at before the first is made.
    pub(crate) fn update_and_create_groups(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let body = SubscriptionGroupList::decode(&command.body)
            .map_err(|error| bad_body("list of groups", error))?;
        let configs: Result<Vec<_>, _> =
            body.group_config_list.into_iter().map(|config| self.checked_group(config)).collect();
        let wall = self.wall(now);
        for config in configs? {
            self.groups.put(wall, config);
        }
        self.replier.ok(now, asker);
        Ok(())
    }

    /// Bans a group from a topic, or lifts that, and tells how it is.
    pub(crate) fn group_forbidden(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: UpdateGroupForbiddenRequestHeader<'_> = command.header()?;
        if let Some(readable) = header.readable {
            let wall = self.wall(now);
            self.groups.forbid(wall, &header.group, &header.topic, !readable);
        }
        let body = GroupForbidden {
            readable: !self.groups.is_forbidden(&header.group, &header.topic),
            group: header.group.into(),
            topic: header.topic.into(),
        };
        self.replier.reply(now, asker, Answer::BLANK, &NoHeader, [body.encode()].iter());
        Ok(())
    }

    pub(crate) fn delete_group(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: DeleteSubscriptionGroupRequestHeader<'_> = command.header()?;
        let wall = self.wall(now);
        self.groups.remove(wall, &header.group_name);
        if header.clean_offset {
            self.offsets.remove_group(&header.group_name);
            self.offsets.forget_pulls(&header.group_name);
            self.gets.remove_group(&header.group_name);
        }
        self.replier.ok(now, asker);
        Ok(())
    }

    pub(crate) fn group_config(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: GetSubscriptionGroupConfigRequestHeader<'_> = command.header()?;
        let wall = self.wall(now);
        let Some(config) = self.groups.find(wall, &header.group) else {
            let remark = "No group in this broker";
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
