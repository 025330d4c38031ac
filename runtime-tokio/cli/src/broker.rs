//! `rmq broker`: a name server and a broker in memory, until Ctrl-C.

use std::str::FromStr;

use rocketmq_client_tokio::core::message::check_topic;
use rocketmq_dev_broker::DevBroker;
use serde_json::json;

use crate::admin::Peer;
use crate::args::BrokerArgs;
use crate::error::Failure;
use crate::output::Output;

/// Queues of a topic unless told otherwise; as many as a client's own creation asks for.
const QUEUES: i32 = 4;

/// A topic to create: `name` or `name:queues`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewTopic {
    name: String,
    queues: i32,
}

impl FromStr for NewTopic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, queues) = match text.split_once(':') {
            Some((name, queues)) => (name, queues.parse().ok()),
            None => (text, Some(QUEUES)),
        };
        check_topic(name).map_err(|error| format!("topic {name:?}: {error}"))?;
        match queues {
            Some(queues) if (1..=1_024).contains(&queues) => Ok(Self { name: name.to_owned(), queues }),
            _ => Err(format!("topic {name} can have 1 to 1024 queues, written as {name}:8")),
        }
    }
}

pub(crate) async fn run(args: BrokerArgs, output: &Output) -> Result<(), Failure> {
    let broker = DevBroker::builder()
        .ip(args.ip)
        .name_server_port(args.port)
        .broker_port(args.broker_port)
        .start()
        .map_err(|error| {
            let (ip, port, broker_port) = (args.ip, args.port, args.broker_port);
            Failure::io(
                format!("can't listen on {ip}, ports {port} and {broker_port} (choose others: --port, --broker-port)"),
                error,
            )
        })?;
    create_topics(&broker, &args.topics).await?;
    tell(&broker, &args.topics, output)?;
    tokio::signal::ctrl_c().await.map_err(|error| Failure::io("can't wait for Ctrl-C", error))?;
    Ok(())
}

async fn create_topics(broker: &DevBroker, topics: &[NewTopic]) -> Result<(), Failure> {
    let mut peer = Peer::connect(&broker.broker_addr(0).to_string()).await?;
    for topic in topics {
        peer.create_topic(&topic.name, topic.queues).await?;
    }
    Ok(())
}

fn tell(broker: &DevBroker, topics: &[NewTopic], output: &Output) -> Result<(), Failure> {
    let (name_server, address) = (broker.addr(), broker.broker_addr(0));
    if output.is_json() {
        let topics: Vec<_> =
            topics.iter().map(|topic| json!({ "topic": topic.name, "queues": topic.queues })).collect();
        return output.object(&json!({
            "namesrv": name_server, "broker": address.to_string(), "topics": topics,
        }));
    }
    output.line(&format!("export ROCKETMQ_NAMESRV={name_server}"))?;
    output.aside(&format!(
        "name server {name_server}, broker {address}; all in memory, for development; Ctrl-C ends it"
    ));
    let topic = topics.first().map_or("TopicTest", |topic| &topic.name);
    output.aside(&format!(
        "try: rmq send -n {name_server} {topic} hello\n     \
         rmq consume -n {name_server} {topic} --group demo --from first"
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_a_name_and_perhaps_its_queues() {
        let topic = |name: &str, queues| Ok(NewTopic { name: name.to_owned(), queues });
        assert_eq!("a:8".parse(), topic("a", 8));
        assert_eq!("b".parse(), topic("b", QUEUES));
        for wrong in ["", "a:", "a:0", "a:x", "a b", "a:9999"] {
            assert!(wrong.parse::<NewTopic>().is_err(), "{wrong:?}");
        }
    }
}
