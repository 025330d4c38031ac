//! Everything that enters a client, as it is recorded. Bodies of messages become lengths here.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::codec::{Malformed, Reader, Recorded, recorded_as, recorded_enum, recorded_struct};
use super::frames;
use crate::client::{Answer, ClientCommand, Command, Input, OutboundMessage, QueueChoice};
use crate::config::{
    AllocateStrategy, ClientConfig, ConsumeFrom, HostFacts, MessageModel, ProducerConfig, PushConsumerConfig,
    RoomRule,
};
use crate::consumer::{Ack, ConsumeToken, ConsumerCommand, Settled};
use crate::id::{
    AskToken, ChannelId, ConsumerId, GenerationalId, OperationId, ProcessQueueId, ProducerId, ResolveToken,
};
use crate::message::sys_flag::CompressionType;
use crate::message::{Message, MessageQueue, Properties};
use crate::producer::ProducerCommand;
use crate::remoting::{RemotingCommand, SerializeType};

macro_rules! ids {
    ($($type:ident)*; $($plain:ident)*) => {
        $(recorded_as!(
            $type as u64,
            |id| u64::from(id.index()) << 32 | u64::from(id.generation()),
            |parts| Some($type::from_parts((parts >> 32) as u32, parts as u32))
        );)*
        $(recorded_as!($plain as u32, |id| id.0, |number| Some($plain(number)));)*
    };
}
ids!(AskToken ChannelId OperationId ProcessQueueId; ConsumerId ProducerId ResolveToken);

recorded_struct!(HostFacts { ip, pid });
recorded_as!(SerializeType as u8, |kind| kind.byte(), SerializeType::from_byte);
recorded_struct!(ClientConfig {
    name_servers,
    instance_name,
    unit_name,
    poll_name_server_interval,
    heartbeat_broker_interval,
    persist_consumer_offset_interval,
    connect_timeout,
    request_timeout,
    channel_idle_max,
    reconnect_delay_min,
    reconnect_delay_max,
    channel_pending_max,
    channel_outbox_bytes_max,
    serialize,
});
recorded_struct!(ProducerConfig {
    group,
    send_timeout,
    send_attempt_timeout,
    retry_times,
    retry_when_not_store_ok,
    create_topic_key,
    default_topic_queue_nums,
    message_bytes_max,
    compress_bytes_min,
    compress_type,
    compress_level,
    latency_fault_tolerance,
});
recorded_struct!(PushConsumerConfig {
    group,
    subscriptions,
    message_model,
    consume_from,
    pull_threshold_for_queue,
    pull_threshold_bytes_for_queue,
    pull_threshold_for_topic,
    pull_threshold_bytes_for_topic,
    consume_concurrently_max_span,
    cached_bytes_max,
    consume_timeout,
    pull_batch_size,
    pull_batch_bytes,
    broker_suspend_max,
    pull_timeout,
    pull_delay_when_exception,
    max_reconsume_times,
    send_back_retry_delay,
    rebalance_interval,
    allocate_strategy,
    inflated_bytes_max,
});
recorded_enum!(CompressionType { 0 => Zlib, 1 => Lz4, 2 => Zstd });
recorded_enum!(MessageModel { 0 => Clustering });
recorded_enum!(ConsumeFrom { 0 => LastOffset, 1 => FirstOffset, 2 => Timestamp(millis) });
recorded_enum!(AllocateStrategy {
    0 => Averagely,
    1 => AveragelyByCircle,
    2 => Config(queues),
    3 => MachineRoom { rooms },
    4 => MachineRoomNearby { inner, brokers, consumers },
    5 => ConsistentHash { virtual_nodes },
});
recorded_enum!(RoomRule { 0 => Before(separator), 1 => Table(table) });
recorded_struct!(MessageQueue { topic, broker_name, queue_id });
recorded_struct!(ConsumeToken { consumer, queue, queue_offset, hand_out });
recorded_struct!(Settled { token, ack, begun });
recorded_enum!(Ack { 0 => Done, 1 => Retry, 2 => RetryAfter(delay), 3 => DeadLetter });
recorded_enum!(QueueChoice { 0 => RoundRobin, 1 => Queue(queue), 2 => Hash(hash), 3 => Select });
recorded_enum!(Answer { 0 => Queue(index), 1 => Failed(reason) });
recorded_enum!(ClientCommand {
    0 => Connect { operation },
    1 => Statistics { operation },
    2 => Close { operation, timeout },
});
recorded_enum!(ProducerCommand {
    0 => Create { config },
    1 => Send { operation, message, choice, timeout },
    2 => SendBatch { operation, messages, choice, timeout },
    3 => SendOneway { operation, message, choice },
    4 => Close { operation, timeout },
    5 => WarmUp { operation, topics },
});
recorded_enum!(ConsumerCommand {
    0 => Start { operation, config },
    1 => Close { operation, timeout },
    2 => Suspend { operation },
    3 => Resume { operation },
    4 => Inspect { operation },
});
recorded_enum!(Command {
    0 => Client(command),
    1 => Producer(producer, command),
    2 => Consumer(consumer, command),
});
recorded_enum!(Input {
    0 => Resolved { token, result },
    1 => Connected { channel },
    2 => Received { channel, command },
    3 => Transmitted { channel, bytes_total },
    4 => Closed { channel, reason },
    5 => Timeout,
    6 => WallClock(wall),
    7 => Command(command),
    8 => Settled { answers },
    9 => HandedBack { token },
    10 => Answered { token, answer },
    11 => Begun { tokens },
    12 => Abandoned,
});

/// The body's length; zeros when read.
impl Recorded for OutboundMessage {
    fn write(&self, out: &mut Vec<u8>) {
        let Self { topic, body, flag, sys_flag, properties } = self;
        topic.write(out);
        body.len().write(out);
        flag.write(out);
        sys_flag.write(out);
        properties.write(out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let topic = Arc::<str>::read(input)?;
        let body = zeros(usize::read(input)?)?;
        Ok(Self {
            topic,
            body,
            flag: Recorded::read(input)?,
            sys_flag: Recorded::read(input)?,
            properties: String::read(input)?,
        })
    }
}

/// The body's length; zeros when read. Only messages that were found valid get so far.
impl Recorded for Message {
    fn write(&self, out: &mut Vec<u8>) {
        self.topic.write(out);
        self.body.len().write(out);
        self.flag.write(out);
        self.properties.as_str().len().write(out);
        out.extend_from_slice(self.properties.as_str().as_bytes());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let topic = Arc::<str>::read(input)?;
        let mut message = Self::new(topic, zeros(usize::read(input)?)?).flag(Recorded::read(input)?);
        message.properties = Properties::parse(&String::read(input)?);
        Ok(message)
    }
}

/// As a frame, without the bodies of messages.
impl Recorded for RemotingCommand {
    fn write(&self, out: &mut Vec<u8>) {
        let frame = frames::redacted(self);
        frame.len().write(out);
        out.extend_from_slice(&frame);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = usize::read(input)?;
        frames::decode(input.bytes(count)?)
    }
}

/// No body is larger than a frame.
fn zeros(count: usize) -> Result<Bytes, Malformed> {
    if count > crate::remoting::FRAME_BYTES_MAX {
        return Err(Malformed { what: "a body larger than a frame" });
    }
    Ok(Bytes::from(alloc::vec![0; count]))
}
