//! Requests that no client handle makes: topics, and a broker's own count of what it stores. One
//! connection, one request at a time.

use std::time::Duration;

use rocketmq_client_tokio::core::message::StoredMessages;
use rocketmq_client_tokio::core::message::perm;
use rocketmq_client_tokio::core::message::sys_flag::pull;
use rocketmq_client_tokio::core::remoting::{
    ClusterInfo, CreateTopicRequestHeader, Encoder, FRAME_BYTES_MAX, FrameDecoder, GetMaxOffsetRequestHeader,
    GetMaxOffsetResponseHeader, GetMinOffsetRequestHeader, GetMinOffsetResponseHeader,
    GetRouteInfoRequestHeader, Head, Header, NoHeader, PullMessageRequestHeader, PullMessageResponseHeader,
    QueryConsumerOffsetRequestHeader, QueryConsumerOffsetResponseHeader, RemotingCommand, RequestCode,
    RequestHeader, ResponseCode, TopicRouteData,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::CliError;

/// How long one request may take; a name server or a broker answers these at once.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A name server or a broker, to ask directly.
pub(crate) struct Remote {
    address: String,
    stream: TcpStream,
    decoder: FrameDecoder,
    opaque: i32,
}

impl Remote {
    /// Connects to `host:port`.
    pub(crate) async fn connect(address: &str) -> Result<Self, CliError> {
        let connecting = tokio::time::timeout(REQUEST_TIMEOUT, TcpStream::connect(address));
        let stream = match connecting.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(CliError::Failed(format!("can't connect to {address}: {error}"))),
            Err(_) => return Err(CliError::Failed(format!("can't connect to {address}: no answer"))),
        };
        stream.set_nodelay(true)?;
        let decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        Ok(Self { address: address.to_owned(), stream, decoder, opaque: 0 })
    }

    /// The master of every broker of the cluster that this name server knows.
    pub(crate) async fn masters(&mut self) -> Result<Vec<String>, CliError> {
        let answer = self.ask(RequestCode::GET_BROKER_CLUSTER_INFO, &NoHeader).await?;
        let info = ClusterInfo::decode(&answer.body).map_err(|error| self.unreadable(&error))?;
        let masters = info.broker_addr_table.values().filter_map(|broker| broker.broker_addrs.get(&0));
        Ok(masters.map(|address| address.to_string()).collect())
    }

    /// The route of `topic`, if this name server has one.
    pub(crate) async fn route(&mut self, topic: &str) -> Result<Option<TopicRouteData>, CliError> {
        let header = GetRouteInfoRequestHeader {
            topic: topic.into(),
            accept_standard_json_only: Some(true),
            ..GetRouteInfoRequestHeader::default()
        };
        let answer = self.exchange(GetRouteInfoRequestHeader::CODE, &header).await?;
        if answer.code == ResponseCode::TOPIC_NOT_EXIST.0 {
            return Ok(None);
        }
        let answer = self.accept(answer)?;
        TopicRouteData::decode(&answer.body).map(Some).map_err(|error| self.unreadable(&error))
    }

    /// Creates a topic on this broker.
    pub(crate) async fn create_topic(&mut self, topic: &str, queues: i32) -> Result<(), CliError> {
        let header = CreateTopicRequestHeader {
            topic: topic.into(),
            default_topic: "TBW102".into(),
            read_queue_nums: queues,
            write_queue_nums: queues,
            perm: perm::READ | perm::WRITE,
            topic_filter_type: "SINGLE_TAG".into(),
            ..CreateTopicRequestHeader::default()
        };
        self.request(&header).await.map(drop)
    }

    /// The first offset of a queue and the one after its last.
    pub(crate) async fn offsets(&mut self, topic: &str, queue_id: i32) -> Result<(i64, i64), CliError> {
        let min = GetMinOffsetRequestHeader { topic: topic.into(), queue_id, ..Default::default() };
        let answer = self.request(&min).await?;
        let min: GetMinOffsetResponseHeader = self.read(&answer)?;
        let max = GetMaxOffsetRequestHeader { topic: topic.into(), queue_id, ..Default::default() };
        let answer = self.request(&max).await?;
        let max: GetMaxOffsetResponseHeader = self.read(&answer)?;
        Ok((min.offset, max.offset))
    }

    /// What a group has committed of a queue; 0 when nothing.
    pub(crate) async fn committed(
        &mut self,
        group: &str,
        topic: &str,
        queue_id: i32,
    ) -> Result<i64, CliError> {
        let header = QueryConsumerOffsetRequestHeader {
            consumer_group: group.into(),
            topic: topic.into(),
            queue_id,
            ..QueryConsumerOffsetRequestHeader::default()
        };
        let answer = self.exchange(QueryConsumerOffsetRequestHeader::CODE, &header).await?;
        if answer.code == ResponseCode::QUERY_NOT_FOUND.0 {
            return Ok(0);
        }
        let answer = self.accept(answer)?;
        let header: QueryConsumerOffsetResponseHeader = self.read(&answer)?;
        Ok(header.offset)
    }

    /// The bodies that stand in a queue, read from the broker's log without any client in between.
    pub(crate) async fn bodies(&mut self, topic: &str, queue_id: i32) -> Result<Vec<bytes::Bytes>, CliError> {
        let (mut offset, end) = self.offsets(topic, queue_id).await?;
        let mut bodies = Vec::new();
        while offset < end {
            let header = PullMessageRequestHeader {
                consumer_group: "RmqAudit".into(),
                topic: topic.into(),
                queue_id,
                queue_offset: offset,
                max_msg_nums: 32,
                sys_flag: pull::SUBSCRIPTION,
                subscription: Some("*".into()),
                expression_type: Some("TAG".into()),
                ..PullMessageRequestHeader::default()
            };
            let answer = self.request(&header).await?;
            let header: PullMessageResponseHeader = self.read(&answer)?;
            for record in StoredMessages::new(answer.body.clone()) {
                bodies.push(record.map_err(|error| self.unreadable(&error))?.raw_body().clone());
            }
            if header.next_begin_offset <= offset {
                return Err(self.failed(format!("a pull at {offset} of {topic} led nowhere")));
            }
            offset = header.next_begin_offset;
        }
        Ok(bodies)
    }

    async fn request<'h, H: RequestHeader<'h>>(&mut self, header: &H) -> Result<RemotingCommand, CliError> {
        self.ask(H::CODE, header).await
    }

    async fn ask<'h, H: Header<'h>>(
        &mut self,
        code: RequestCode,
        header: &H,
    ) -> Result<RemotingCommand, CliError> {
        let answer = self.exchange(code, header).await?;
        self.accept(answer)
    }

    fn accept(&self, answer: RemotingCommand) -> Result<RemotingCommand, CliError> {
        if answer.code == ResponseCode::SUCCESS.0 {
            return Ok(answer);
        }
        let remark = answer.remark.as_deref().unwrap_or_default();
        Err(self.failed(format!("it answered {}: {}", answer.response_code(), remark.escape_debug())))
    }

    async fn exchange<'h, H: Header<'h>>(
        &mut self,
        code: RequestCode,
        header: &H,
    ) -> Result<RemotingCommand, CliError> {
        self.opaque += 1;
        let head = Head { code: code.0, opaque: self.opaque, ..Head::default() };
        let mut frame = bytes::BytesMut::new();
        Encoder::default().encode(&mut frame, &head, header, &[], 0);
        self.stream.write_all(&frame).await?;
        match tokio::time::timeout(REQUEST_TIMEOUT, self.answer()).await {
            Ok(answer) => answer,
            Err(_) => Err(self.failed(format!("no answer to {code} within {} s", REQUEST_TIMEOUT.as_secs()))),
        }
    }

    async fn answer(&mut self) -> Result<RemotingCommand, CliError> {
        loop {
            while let Some(command) = self.decoder.next_frame().map_err(|error| self.unreadable(&error))? {
                if command.is_response() && command.opaque == self.opaque {
                    return Ok(command);
                }
            }
            if self.stream.read_buf(self.decoder.buffer_mut()).await? == 0 {
                return Err(self.failed("it closed the connection".to_owned()));
            }
        }
    }

    fn read<'a, H: Header<'a>>(&self, answer: &'a RemotingCommand) -> Result<H, CliError> {
        answer.header().map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, error: &dyn std::fmt::Display) -> CliError {
        self.failed(format!("its answer can't be read: {error}"))
    }

    fn failed(&self, reason: String) -> CliError {
        CliError::Failed(format!("asking {} failed: {reason}", self.address))
    }
}
