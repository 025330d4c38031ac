//! What tools ask clients through the broker. Java: `AdminBrokerProcessor#callConsumer`, `Broker2Client`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rocketmq_client_core::message::id::parse_offset_msg_id;
use rocketmq_client_core::remoting::{
    ConsumeMessageDirectlyResultRequestHeader, GetConsumerStatusBody, GetConsumerStatusRequestHeader,
    RemotingCommand, RequestCode, ResponseCode,
};
use rocketmq_client_core::time::Instant;

use super::Handled;
use crate::asker::{Asker, Refusal, nullable, or_null};
use crate::broker::Broker;
use crate::call::Purpose;
use crate::output::ConnectionId;

/// Java: `invokeSync(..., 10000)`.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// Java: `invokeSync(..., 5000)` of one client's offsets.
const STATUS_WAIT: Duration = Duration::from_secs(5);
/// Java: `V3_1_8_SNAPSHOT`; older clients don't know these questions.
const RELAY_VERSION_MIN: i32 = 62;
/// Java: `V3_0_7_SNAPSHOT`.
const STATUS_VERSION_MIN: i32 = 28;

/// A question that waits for its client.
#[derive(Clone, Debug)]
pub(crate) struct Relay {
    pub(crate) asker: Asker,
    group: String,
    client_id: String,
}

/// A round of questions for offsets.
#[derive(Clone, Debug)]
pub(crate) struct StatusRound {
    asker: Asker,
    topic: String,
    group: String,
    /// Who is asked now, and who is still to be asked.
    current: Arc<str>,
    waiting: Vec<(ConnectionId, Arc<str>)>,
    body: GetConsumerStatusBody,
}

impl Broker {
    pub(crate) fn running_info(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        self.relay(now, asker, command, &[], &command.body)
    }

    /// The client gets the message itself. Java: `AdminBrokerProcessor#consumeMessageDirectly`.
    pub(crate) fn consume_directly(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: ConsumeMessageDirectlyResultRequestHeader<'_> = command.header()?;
        let failed = |remark: String| Refusal::new(ResponseCode::SYSTEM_ERROR, remark);
        let msg_id = header.msg_id.as_deref().unwrap_or_default();
        let id = parse_offset_msg_id(msg_id).ok_or_else(|| failed(format!("{msg_id} is no message id")))?;
        let record = self.store.record_at(id.commit_log_offset);
        let body = record.map(|record| record.bytes.clone()).unwrap_or_default();
        let topic = header.topic.as_deref().and_then(|topic| self.topics.get(topic));
        let group = self.groups.get(&header.consumer_group);
        let flags = [
            ("topicSysFlag", topic.map(|config| config.topic_sys_flag.to_string())),
            ("groupSysFlag", group.map(|config| config.group_sys_flag.to_string())),
            ("brokerName", Some(self.config.broker_name.to_string())),
        ];
        let set: Vec<_> = flags.iter().filter_map(|(name, flag)| Some((*name, flag.as_deref()?))).collect();
        self.relay(now, asker, command, &set, &body)
    }

    /// Passes a request on to the client that it names, with all its fields and those of `set`.
    fn relay(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
        set: &[(&str, &str)],
        body: &Bytes,
    ) -> Handled {
        let (group, client_id) = (nullable(command, "consumerGroup"), nullable(command, "clientId"));
        let failed = |remark: String| Refusal::new(ResponseCode::SYSTEM_ERROR, remark);
        let Some(group) = group else { return Err(failed("the request names no consumer group".to_owned())) };
        let members = self.clients.consumers.get(&*group).map(|info| &info.members);
        let named = members
            .into_iter()
            .flatten()
            .find(|(_, member)| client_id.as_deref() == Some(&*member.client_id));
        let shown = or_null(&client_id);
        let Some((connection, member)) = named else {
            return Err(failed(format!("The Consumer <{group}> <{shown}> not online")));
        };
        if member.version < RELAY_VERSION_MIN {
            return Err(failed(format!(
                "The Consumer <{shown}> Version <{}> too low to finish, please upgrade it to V3_1_8_SNAPSHOT",
                old_version(member.version)
            )));
        }
        let connection = *connection;
        let fields: Vec<_> = command.ext.iter().collect();
        let theirs = fields.iter().map(|(key, value)| (&**key, &**value));
        let theirs = theirs.filter(|(key, _)| !set.iter().any(|(own, _)| own == key));
        let fields: Vec<_> = theirs.chain(set.iter().copied()).collect();
        self.replier.relay(connection, command.code, &fields, body);
        let opaque = self.replier.last_opaque();
        let relay = Relay { asker: asker.clone(), group: group.into_owned(), client_id: shown.to_owned() };
        self.calls.add(connection, opaque, now + ANSWER_WAIT, Purpose::Relay(relay));
        Ok(())
    }

    /// The client that was asked has not answered in time, or is gone.
    pub(crate) fn relay_failed(&mut self, now: Instant, relay: &Relay, gone: bool) {
        let (group, client_id) = (&relay.group, &relay.client_id);
        let refusal = match gone {
            true => Refusal::new(
                ResponseCode::SYSTEM_ERROR,
                format!("invoke consumer <{group}> <{client_id}> Exception: its connection was closed"),
            ),
            false => Refusal::new(
                ResponseCode::CONSUME_MSG_TIMEOUT,
                format!(
                    "consumer <{group}> <{client_id}> Timeout: no answer within {} s",
                    ANSWER_WAIT.as_secs()
                ),
            ),
        };
        self.replier.refuse(now, &relay.asker, &refusal, &[]);
    }

    /// Asks the clients of a group, or one of them, where they are. Java: `Broker2Client#getConsumeStatus`.
    pub(crate) fn consumer_status(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: GetConsumerStatusRequestHeader<'_> = command.header()?;
        let wanted = header.client_addr.as_deref().filter(|wanted| !wanted.is_empty());
        let Some(info) = self.clients.consumers.get(&*header.group) else {
            let remark = format!("the consumer group[{}] is not online", header.group);
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
        };
        if let Some(old) = info.members.values().find(|member| member.version < STATUS_VERSION_MIN) {
            let version = old_version(old.version);
            let remark = format!("the client does not support this feature. version={version}");
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
        }
        let members = info.members.iter().rev();
        let members = members.filter(|(_, member)| wanted.is_none_or(|wanted| wanted == &*member.client_id));
        let round = StatusRound {
            asker: asker.clone(),
            topic: header.topic.into(),
            group: header.group.into(),
            current: "".into(),
            waiting: members.map(|(connection, member)| (*connection, member.client_id.clone())).collect(),
            body: GetConsumerStatusBody::default(),
        };
        self.next_status(now, round);
        Ok(())
    }

    /// A client answered, or will not: what it said is kept, and the next is asked.
    pub(crate) fn status_answered(
        &mut self,
        now: Instant,
        mut round: StatusRound,
        answer: Option<&RemotingCommand>,
    ) {
        let said = answer.filter(|answer| answer.code == ResponseCode::SUCCESS.0 && !answer.body.is_empty());
        if let Some(Ok(status)) = said.map(|answer| GetConsumerStatusBody::decode(&answer.body)) {
            let table: BTreeMap<_, _> = status.message_queue_table;
            round.body.consumer_table.insert(round.current.clone(), table);
        }
        self.next_status(now, round);
    }

    fn next_status(&mut self, now: Instant, mut round: StatusRound) {
        let Some((connection, client_id)) = round.waiting.pop() else {
            return self.replier.done(now, &round.asker, round.body.encode());
        };
        let fields = [("topic", &*round.topic), ("group", &*round.group)];
        let code = RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT.0;
        self.replier.relay(connection, code, &fields, &Bytes::new());
        let opaque = self.replier.last_opaque();
        round.current = client_id;
        self.calls.add(connection, opaque, now + STATUS_WAIT, Purpose::Status(round));
    }
}

/// The name of a version below V3_1_8. Java: `MQVersion#getVersionDesc`.
fn old_version(version: i32) -> String {
    const FIRST: [&str; 16] = [
        "SNAPSHOT",
        "ALPHA1",
        "BETA1",
        "BETA2",
        "BETA3",
        "BETA4",
        "BETA5",
        "BETA6_SNAPSHOT",
        "BETA6",
        "BETA7_SNAPSHOT",
        "BETA7",
        "BETA8_SNAPSHOT",
        "BETA8",
        "BETA9_SNAPSHOT",
        "BETA9",
        "FINAL",
    ];
    if let Some(name) = usize::try_from(version.max(0)).ok().and_then(|index| FIRST.get(index)) {
        return format!("V3_0_0_{name}");
    }
    // From here on each release has a snapshot before it: 3.0.1 to 3.0.15, then 3.1.0 and so on.
    let release = (version - 16) / 2 + 1;
    let (minor, patch) = if release <= 15 { (0, release) } else { (1, release - 16) };
    let snapshot = if version % 2 == 0 { "_SNAPSHOT" } else { "" };
    format!("V3_{minor}_{patch}{snapshot}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_have_their_names() {
        let names = [
            (-1, "V3_0_0_SNAPSHOT"),
            (10, "V3_0_0_BETA7"),
            (15, "V3_0_0_FINAL"),
            (16, "V3_0_1_SNAPSHOT"),
            (28, "V3_0_7_SNAPSHOT"),
            (45, "V3_0_15"),
            (46, "V3_1_0_SNAPSHOT"),
            (61, "V3_1_7"),
        ];
        for (version, name) in names {
            assert_eq!(old_version(version), name);
        }
    }
}
