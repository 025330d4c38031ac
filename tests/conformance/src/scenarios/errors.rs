//! What can't work is told by its type, and changes nothing.

use std::time::Duration;

use rocketmq_client_core::error::{Error, UsageError};
use rocketmq_client_core::message::Message;
use rocketmq_client_core::remoting::ResponseCode;

use crate::failure::{ensure, ensure_eq, ensure_matches};
use crate::{Scenario, Verdict};

pub(super) async fn an_unknown_topic_without_template(s: &Scenario) -> Verdict {
    let topic = s.name("unknown");
    let template = s.name("no-template");
    let producer = s.client().await?.producer(s.name("producers")).send_timeout(Duration::from_millis(600));
    let producer = producer.configure(|config| config.create_topic_key = template.into()).build()?;
    let sent = s.end("the send to fail", producer.send(Message::new(&*topic, "x"))).await?;
    let Err(error @ Error::Refused(_)) = &sent else { return Err(format!("it ended with {sent:?}").into()) };
    ensure_eq!(error.code(), Some(ResponseCode::TOPIC_NOT_EXIST), "code");
    let failure = error.failure().ok_or("nothing is told of the attempt")?;
    ensure_eq!(failure.topic.as_deref(), Some(&*topic), "topic");
    ensure!(failure.to_string().contains("create the topic"), "no word on what to do: {failure}");
    ensure_eq!(s.admin().queue_count(&topic)?, 0, "queues of the topic");
    Ok(())
}

pub(super) async fn an_invalid_topic_name(s: &Scenario) -> Verdict {
    let producer = s.producer(&s.client().await?)?;
    let sent = s.end("the send to fail", producer.send(Message::new("no blanks", "x"))).await?;
    ensure_matches!(sent, Err(Error::Usage(UsageError::Message(_))), "a topic with a blank");
    Ok(())
}

pub(super) async fn a_body_too_large(s: &Scenario) -> Verdict {
    let (admin, topic) = (s.admin(), s.topic(1).await?);
    let producer = s.producer(&s.client().await?)?;
    let body = vec![b'x'; (4 << 20) + 1];
    let sent = s.end("the send to fail", producer.send(Message::new(&*topic, body))).await?;
    ensure_matches!(sent, Err(Error::Usage(UsageError::Message(_))), "a body of more than 4 MiB");
    ensure_eq!(admin.max_offset(&topic, 0)?, 0, "messages stored");
    s.send(&producer, &topic, "m", 1).await?;
    Ok(())
}
