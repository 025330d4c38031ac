//! Replies, which the broker hands to the client that asked.

use std::time::Duration;

use rocketmq_client_core::remoting::{
    NoHeader, RemotingCommand, ReplyMessageRequestHeader, SendMessageResponseHeader,
};
use rocketmq_dev_broker::ConnectionId;

use crate::world::{START_MS, World, frame, send_header, text, world};

const REPLY_TOPIC: &str = "DefaultCluster_REPLY_TOPIC";

impl World {
    /// Sends a reply for a client; the opaque.
    fn post_reply(&mut self, connection: ConnectionId, to: Option<&str>) -> i32 {
        let mut properties = vec![("CORRELATION_ID", "id-1"), ("MSG_TYPE", "reply")];
        properties.extend(to.map(|client| ("REPLY_TO_CLIENT", client)));
        let properties = text(&properties);
        let frame = self.frame(325, &send_header(REPLY_TOPIC, 0, &properties), &[], b"the answer");
        self.post(connection, frame)
    }

    fn producer(&mut self, id: u64, client: &str) -> ConnectionId {
        let connection = self.connect(id);
        let body = format!(
            r#"{{"clientID":"{client}","consumerDataSet":[],"producerDataSet":[{{"groupName":"pg"}}],"heartbeatFingerprint":0,"withoutSub":false}}"#
        );
        self.heartbeat_body(connection, &body);
        connection
    }

    /// The reply that the broker pushed to a connection.
    fn pushed(&mut self, connection: ConnectionId) -> Option<RemotingCommand> {
        let found = self.arrived.iter().position(|(to, command)| *to == connection && command.code == 326)?;
        Some(self.arrived.remove(found).1)
    }

    fn answer_push(&mut self, connection: ConnectionId, push: &RemotingCommand, code: i32) {
        self.post(connection, frame(code, push.opaque, 1, &NoHeader, &[], b""));
    }

    /// Code, remark and offset of the answer to a reply.
    fn replied(&mut self, opaque: i32) -> Option<(i32, String, Option<i64>)> {
        let answer = self.take(opaque)?;
        let offset = answer.header::<SendMessageResponseHeader<'_>>().ok().map(|header| header.queue_offset);
        let remark = answer.remark.as_deref().unwrap_or_default().to_owned();
        Some((answer.code, remark, offset))
    }
}

#[test]
fn a_reply_reaches_the_client_that_asked_and_its_sender_hears_of_it() {
    let mut world = world();
    let (requester, responder) = (world.producer(1, "asker"), world.connect(2));
    let opaque = world.post_reply(responder, Some("asker"));
    assert!(world.replied(opaque).is_none(), "not before the client has it");
    let push = world.pushed(requester).expect("the reply is pushed");
    assert!(!push.is_oneway());
    assert_eq!(&push.body[..], b"the answer");
    let header: ReplyMessageRequestHeader<'_> = push.header().unwrap();
    assert_eq!((&*header.topic, &*header.born_host), (REPLY_TOPIC, "127.0.0.1:40002"));
    let properties = header.properties.unwrap();
    assert!(properties.contains("CORRELATION_ID\u{1}id-1\u{2}"));
    assert!(properties.contains(&format!("PUSH_REPLY_TIME\u{1}{START_MS}\u{2}")));
    world.answer_push(requester, &push, 0);
    assert_eq!(world.replied(opaque), Some((0, String::new(), Some(0))));
    let stored = world.broker.messages(REPLY_TOPIC);
    assert_eq!((stored.len(), &stored[0].raw_body()[..]), (1, &b"the answer"[..]));
}

#[test]
fn a_reply_that_nobody_takes_is_stored_and_its_sender_hears_why() {
    let mut world = world();
    let (requester, responder) = (world.producer(1, "asker"), world.connect(2));
    let opaque = world.post_reply(responder, None);
    let remark = "reply message properties[REPLY_TO_CLIENT] is null";
    assert_eq!(world.replied(opaque), Some((1, remark.to_owned(), Some(0))));
    let opaque = world.post_reply(responder, Some("stranger"));
    let remark = "push reply message fail, channel of <stranger> not found.";
    assert_eq!(world.replied(opaque), Some((1, remark.to_owned(), Some(1))));
    let failed = |offset| Some((1, "push reply message to askerfail.".to_owned(), Some(offset)));
    let opaque = world.post_reply(responder, Some("asker"));
    let push = world.pushed(requester).unwrap();
    world.answer_push(requester, &push, 1);
    assert_eq!(world.replied(opaque), failed(2));
    let opaque = world.post_reply(responder, Some("asker"));
    world.advance(Duration::from_secs(10));
    assert_eq!(world.replied(opaque), failed(3), "it was silent");
    let opaque = world.post_reply(responder, Some("asker"));
    world.disconnect(requester);
    assert_eq!(world.replied(opaque), failed(4), "it went away");
    assert_eq!(world.broker.messages(REPLY_TOPIC).len(), 5);
}

#[test]
fn replies_are_checked_like_sends() {
    let mut world = world();
    let responder = world.connect(2);
    let frame = world.frame(325, &send_header(REPLY_TOPIC, 9, ""), &[], b"x");
    let opaque = world.post(responder, frame);
    let answer = world.take(opaque).unwrap();
    assert_eq!(answer.code, 29);
    assert!(answer.ext.iter().any(|(name, _)| name == "MSG_REGION"));
}
