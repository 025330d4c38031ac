//! How groups get their messages, and the routes by which queues are shared out.
//! Java: `MessageRequestModeManager`, `TopicRouteInfoManager`.

use std::collections::BTreeMap;
use std::sync::Arc;

use rocketmq_client_core::message::MessageQueue;
use rocketmq_client_core::remoting::{
    MessageRequestModeSerializeWrapper, RemotingCommand, SetMessageRequestModeRequestBody,
};
use rocketmq_client_core::time::Instant;

use crate::asker::Asker;
use crate::output::ConnectionId;

/// A question about an assignment that waits for a route.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) asker: Asker,
    pub(crate) command: RemotingCommand,
    /// It is answered without a route then.
    pub(crate) until: Instant,
}

/// Modes and routes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Assignments {
    /// By topic and group.
    pub(crate) modes: MessageRequestModeSerializeWrapper,
    /// The queues of topics in the whole cluster, as the name server said last.
    pub(crate) queues: BTreeMap<Arc<str>, Vec<Arc<MessageQueue>>>,
    /// Topics that the name server was asked for, by the question's opaque.
    asked: BTreeMap<i32, Arc<str>>,
    waiting: BTreeMap<Arc<str>, Vec<Waiting>>,
}

impl Assignments {
    /// The mode that was set for a group.
    pub(crate) fn mode(&self, topic: &str, group: &str) -> Option<&SetMessageRequestModeRequestBody> {
        self.modes.message_request_mode_map.get(topic)?.get(group)
    }

    /// Sets a group's mode.
    pub(crate) fn set_mode(&mut self, mode: SetMessageRequestModeRequestBody) {
        let groups = self.modes.message_request_mode_map.entry(mode.topic.clone()).or_default();
        groups.insert(mode.consumer_group.clone(), mode);
    }

    /// What the next process knows.
    pub(crate) fn started_again(&self) -> Self {
        Self { modes: self.modes.clone(), ..Self::default() }
    }

    /// Notes that the name server was asked.
    pub(crate) fn ask(&mut self, opaque: i32, topic: Arc<str>) {
        // An answer that never comes must not be waited for without end.
        self.asked.retain(|_, asked| *asked != topic);
        self.asked.insert(opaque, topic);
    }

    /// The topic that an answer of the name server is about.
    pub(crate) fn take_asked(&mut self, opaque: i32) -> Option<Arc<str>> {
        self.asked.remove(&opaque)
    }

    /// Lets a question wait for a route; true when it is the first for the topic.
    pub(crate) fn wait(&mut self, topic: &str, waiting: Waiting) -> bool {
        let all = self.waiting.entry(topic.into()).or_default();
        all.push(waiting);
        all.len() == 1
    }

    /// Takes the questions that waited for a topic's route.
    pub(crate) fn take_waiting(&mut self, topic: &str) -> Vec<Waiting> {
        self.waiting.remove(topic).unwrap_or_default()
    }

    /// Takes the questions that waited too long.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Vec<Waiting> {
        let mut expired = Vec::new();
        self.waiting.retain(|_, all| {
            expired.extend(all.extract_if(.., |waiting| waiting.until <= now));
            !all.is_empty()
        });
        expired
    }

    /// When the next question has waited too long.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.waiting.values().flatten().map(|waiting| waiting.until).min()
    }

    /// Forgets what a closed connection asked.
    pub(crate) fn forget(&mut self, connection: ConnectionId) {
        self.waiting.retain(|_, all| {
            all.retain(|waiting| waiting.asker.connection != connection);
            !all.is_empty()
        });
    }
}
