//! An output's share in the hash of a run.

use std::fmt::Display;
use std::time::Duration;

use rocketmq_client_core::client::{ClientStatistics, Outcome, Output, Owner, Question};
use rocketmq_client_core::consumer::{
    CloseReport, ConsumerHealth, ConsumerStatistics, Latency, QueueHealth, TopicStatistics,
};
use rocketmq_client_core::id::GenerationalId;
use rocketmq_client_core::message::MessageQueue;
use rocketmq_client_core::producer::{SendReceipt, SendStatus};

use crate::trace::TraceHash;

fn hash_text(hash: &mut TraceHash, text: &impl Display) {
    hash.bytes(text.to_string().as_bytes());
}

fn hash_count(hash: &mut TraceHash, count: usize) {
    hash.word(count as u64);
}

fn hash_optional(hash: &mut TraceHash, number: Option<i64>) {
    hash.word(u64::from(number.is_some()));
    hash.word(number.unwrap_or_default().cast_unsigned());
}

fn hash_duration(hash: &mut TraceHash, duration: Option<Duration>) {
    hash_optional(hash, duration.map(|duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)));
}

fn hash_queue(hash: &mut TraceHash, queue: &MessageQueue) {
    hash.bytes(queue.topic.as_bytes());
    hash.bytes(queue.broker_name.as_bytes());
    hash.word(u64::from(queue.queue_id.cast_unsigned()));
}

fn hash_id(hash: &mut TraceHash, kind: u64, id: impl GenerationalId) {
    hash.word(kind);
    hash.word(u64::from(id.index()) << 32 | u64::from(id.generation()));
}

/// Every output in full, field by field and in the words that users read: what a thing is called in the code must
/// not count, so that a change that only moves and renames proves itself by the same hash. Formatting all would cost
/// more than the rest.
pub(crate) fn hash_output(hash: &mut TraceHash, output: &Output) {
    match output {
        Output::Resolve { token, host, port } => {
            hash.word(1);
            hash.word(u64::from(token.0) << 16 | u64::from(*port));
            hash.bytes(host.as_bytes());
        }
        Output::Connect { channel, address, endpoint } => {
            hash_id(hash, 2, *channel);
            hash.bytes(endpoint.as_bytes());
            hash_text(hash, address);
        }
        Output::Transmit { channel, chunks } => {
            hash_id(hash, 3, *channel);
            for chunk in chunks {
                hash.bytes(chunk);
            }
        }
        Output::Close { channel, flush } => {
            hash_id(hash, 4, *channel);
            hash.word(u64::from(*flush));
        }
        Output::Complete { operation, outcome } => {
            hash_id(hash, 5, *operation);
            hash_outcome(hash, outcome);
        }
        Output::Deliver { consumer, deliveries } => {
            hash.word(6);
            hash.word(u64::from(consumer.0));
            for delivery in deliveries {
                hash_id(hash, 0, delivery.token.queue);
                hash.word(delivery.token.queue_offset.cast_unsigned());
                if let Ok(message) = delivery.message.decode() {
                    hash.bytes(message.raw_body());
                    hash.bytes(message.properties_text().as_bytes());
                }
            }
        }
        Output::Revoke { consumer, queue } => {
            hash_id(hash, 7, *queue);
            hash.word(u64::from(consumer.0));
        }
        Output::ConsumerClosing { consumer } => {
            hash.word(12);
            hash.word(u64::from(consumer.0));
        }
        Output::ConsumerClosed { consumer } => {
            hash.word(8);
            hash.word(u64::from(consumer.0));
        }
        Output::Ask { token, owner, question } => {
            hash_id(hash, 10, *token);
            hash_owner(hash, *owner);
            hash_question(hash, question);
        }
        Output::ProducerClosed { producer } => {
            hash.word(11);
            hash.word(u64::from(producer.0));
        }
        Output::ClientClosed => hash.word(13),
        Output::Wait(deadline) => {
            hash.word(9);
            hash.word(deadline.as_nanos());
        }
    }
}

fn hash_owner(hash: &mut TraceHash, owner: Owner) {
    let (kind, number) = match owner {
        Owner::Client => (0, 0),
        Owner::Producer(producer) => (1, producer.0),
        Owner::Consumer(consumer) => (2, consumer.0),
    };
    hash.word(kind);
    hash.word(u64::from(number));
}

fn hash_question(hash: &mut TraceHash, question: &Question) {
    match question {
        Question::SelectQueue { message, queues } => {
            hash.word(1);
            hash.bytes(message.topic.as_bytes());
            hash.bytes(&message.body);
            hash.word(u64::from(message.flag.cast_unsigned()));
            hash.word(u64::from(message.sys_flag.cast_unsigned()));
            hash.bytes(message.properties.as_bytes());
            queues.iter().for_each(|queue| hash_queue(hash, queue));
        }
        other => panic!("the hash does not know {other:?}"),
    }
}

fn hash_outcome(hash: &mut TraceHash, outcome: &Outcome) {
    match outcome {
        Outcome::Sent(receipt) => {
            hash.word(1);
            hash_receipt(hash, receipt);
        }
        Outcome::SentBatch(receipt) => {
            hash.word(2);
            receipt.receipts().for_each(|receipt| hash_receipt(hash, &receipt));
        }
        Outcome::Done => hash.word(3),
        Outcome::ConsumerClosed(report) => {
            hash.word(4);
            hash_report(hash, report);
        }
        Outcome::Inspected(inspected) => {
            hash.word(5);
            hash_health(hash, &inspected.0);
            hash_consumer(hash, &inspected.1);
        }
        Outcome::Statistics(statistics) => {
            hash.word(6);
            hash_client(hash, statistics);
        }
        Outcome::Failed(error) => {
            hash.word(7);
            hash_text(hash, error);
        }
        other => panic!("the hash does not know {other:?}"),
    }
}

fn hash_receipt(hash: &mut TraceHash, receipt: &SendReceipt) {
    hash.word(match receipt.status {
        SendStatus::SendOk => 1,
        SendStatus::FlushDiskTimeout => 2,
        SendStatus::FlushSlaveTimeout => 3,
        SendStatus::SlaveNotAvailable => 4,
        other => panic!("the hash does not know {other:?}"),
    });
    hash_text(hash, &receipt.message_id);
    hash.bytes(receipt.offset_message_id.as_bytes());
    hash_queue(hash, &receipt.queue);
    hash.word(receipt.queue_offset.cast_unsigned());
    hash.bytes(receipt.transaction_id.as_deref().unwrap_or_default().as_bytes());
}

/// Its words tell all but what is zero and the list of what was passed over.
fn hash_report(hash: &mut TraceHash, report: &CloseReport) {
    hash_text(hash, report);
    report.last_passed_over.iter().for_each(|message| hash_text(hash, message));
}

/// Its words, and what they leave out or round.
fn hash_health(hash: &mut TraceHash, health: &ConsumerHealth) {
    hash_text(hash, health);
    health.brokers.iter().for_each(|broker| hash.bytes(broker.as_bytes()));
    for refusal in &health.refusals {
        hash_duration(hash, Some(refusal.since));
    }
    for refusal in &health.commit_refusals {
        hash_duration(hash, Some(refusal.since));
    }
    for queue in &health.queues {
        let QueueHealth {
            max_offset,
            cached_bytes,
            oldest_in_hand,
            bad_answers,
            last_pull,
            last_consume,
            ..
        } = queue;
        hash_optional(hash, *max_offset);
        hash_count(hash, *cached_bytes);
        hash_duration(hash, oldest_in_hand.map(|(_, time)| time));
        hash.word(*bad_answers);
        hash_duration(hash, *last_pull);
        hash_duration(hash, *last_consume);
    }
}

fn hash_client(hash: &mut TraceHash, statistics: &ClientStatistics) {
    let of = &statistics.connections;
    [of.open, of.pending].into_iter().for_each(|count| hash_count(hash, count));
    for count in
        [of.connected, of.lost, of.connect_failures, of.requests, of.timeouts, of.unexpected_responses]
    {
        hash.word(count);
    }
    statistics.consumers.iter().for_each(|consumer| hash_consumer(hash, consumer));
}

fn hash_consumer(hash: &mut TraceHash, statistics: &ConsumerStatistics) {
    let ConsumerStatistics { group, topics, late_answers, queues, cached, cached_bytes, in_hand, .. } =
        statistics;
    hash.bytes(group.as_bytes());
    hash.word(*late_answers);
    [queues, cached, cached_bytes, in_hand].into_iter().for_each(|count| hash_count(hash, *count));
    for (topic, statistics) in topics {
        hash.bytes(topic.as_bytes());
        hash_topic(hash, statistics);
    }
}

fn hash_topic(hash: &mut TraceHash, of: &TopicStatistics) {
    for count in [
        of.pulls,
        of.pull_failures,
        of.pulled,
        of.pulled_bytes,
        of.filtered,
        of.undecodable,
        of.bad_answers,
        of.consumed,
        of.failed,
        of.timed_out,
        of.sent_back,
        of.sent_anew,
        of.passed_over,
        of.offered_again,
        of.commits,
        of.commit_failures,
    ] {
        hash.word(count);
    }
    hash_latency(hash, &of.pull_time);
    hash_latency(hash, &of.consume_time);
}

fn hash_latency(hash: &mut TraceHash, latency: &Latency) {
    hash.word(latency.count());
    for time in [latency.sum(), latency.max(), latency.percentile(50), latency.percentile(99)] {
        hash_duration(hash, Some(time));
    }
}

#[cfg(test)]
mod tests {
    use rocketmq_client_core::id::{ChannelId, OperationId};

    use super::*;

    fn hash(output: &Output) -> TraceHash {
        let mut hash = TraceHash::default();
        hash_output(&mut hash, output);
        hash
    }

    #[test]
    fn where_a_connection_goes_to_counts_and_how_a_command_ends() {
        let connect = |endpoint: &str, port: u16| Output::Connect {
            channel: ChannelId::from_parts(0, 0),
            address: ([127, 0, 0, 1], port).into(),
            endpoint: endpoint.into(),
        };
        let complete = |outcome| Output::Complete { operation: OperationId::from_parts(0, 0), outcome };
        let mut other_report = CloseReport::default();
        other_report.settled = 1;
        let outputs = [
            connect("a:1", 1),
            connect("b:1", 1),
            connect("a:1", 2),
            complete(Outcome::Done),
            complete(Outcome::ConsumerClosed(CloseReport::default())),
            complete(Outcome::ConsumerClosed(other_report)),
            complete(Outcome::Statistics(Box::default())),
        ];
        for (place, output) in outputs.iter().enumerate() {
            assert_eq!(hash(output), hash(output));
            for other in &outputs[..place] {
                assert_ne!(hash(output), hash(other), "{output:?} and {other:?}");
            }
        }
    }
}
