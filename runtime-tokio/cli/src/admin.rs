//! Requests that no client handle makes: topics, and a broker's own count of what it stores. One
//! connection, one request at a time.

use std::time::Duration;

use rocketmq_client_tokio::core::config::ClientConfig;
use rocketmq_client_tokio::core::message::StoredMessages;
use rocketmq_client_tokio::core::message::perm;
use rocketmq_client_tokio::core::message::sys_flag::pull;
use rocketmq_client_tokio::core::remoting::{
    ClusterInfo, CreateTopicRequestHeader, DeleteSubscriptionGroupRequestHeader,
    DeleteTopicFromNamesrvRequestHeader, DeleteTopicRequestHeader, Encoder, FRAME_BYTES_MAX, FrameDecoder,
    GetConsumerListByGroupRequestHeader, GetConsumerListByGroupResponseBody, GetMaxOffsetRequestHeader,
    GetMaxOffsetResponseHeader, GetMinOffsetRequestHeader, GetMinOffsetResponseHeader,
    GetRouteInfoRequestHeader, Head, Header, NoHeader, PullMessageRequestHeader, PullMessageResponseHeader,
    QueryConsumerOffsetRequestHeader, QueryConsumerOffsetResponseHeader, RemotingCommand, RequestCode,
    RequestHeader, ResponseCode, SearchOffsetRequestHeader, SearchOffsetResponseHeader, TopicRouteData,
};
use rocketmq_client_tokio::{Client, UsageError};
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
            Ok(Err(error)) => return Err(cannot_connect(address, &error)),
            Err(_) => return Err(cannot_connect(address, &"no answer")),
        };
        stream.set_nodelay(true).map_err(|error| cannot_connect(address, &error))?;
        let decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        Ok(Self { address: address.to_owned(), stream, decoder, opaque: 0 })
    }

    /// Connects to the first of these name servers that can be reached.
    pub(crate) async fn connect_any(name_servers: &str) -> Result<Self, CliError> {
        let config = ClientConfig::parse(name_servers)?;
        let mut failed = None;
        for address in &config.name_servers {
            match Self::connect(address).await {
                Ok(remote) => return Ok(remote),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| UsageError::NoNameServer.into()))
    }

    /// Where it is.
    pub(crate) fn address(&self) -> &str {
        &self.address
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
        match ResponseCode(answer.code) {
            ResponseCode::TOPIC_NOT_EXIST => return Ok(None),
            ResponseCode::REQUEST_CODE_NOT_SUPPORTED => return Err(self.not_a_name_server().await),
            _ => {}
        }
        let answer = self.accept(answer)?;
        TopicRouteData::decode(&answer.body).map(Some).map_err(|error| self.unreadable(&error))
    }

    /// What to say where a name server was expected: a broker knows its own.
    async fn not_a_name_server(&mut self) -> CliError {
        let settings = self.ask(RequestCode::GET_BROKER_CONFIG, &NoHeader).await.ok();
        let settings =
            settings.map(|answer| String::from_utf8_lossy(&answer.body).into_owned()).unwrap_or_default();
        let known = settings.lines().find_map(|line| line.strip_prefix("namesrvAddr="));
        let hint = match known.map(str::trim).filter(|known| !known.is_empty()) {
            // Java writes its settings as a properties file: colons may be escaped.
            Some(known) => {
                format!("its name server is asked at {}", known.replace("\\:", ":").escape_debug())
            }
            None => "give the address of a name server, which listens on port 9876 by default".to_owned(),
        };
        CliError::Usage(format!("{} is a broker, not a name server: {hint}", self.address))
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

    /// Deletes a topic from this broker.
    pub(crate) async fn delete_topic(&mut self, topic: &str) -> Result<(), CliError> {
        self.request(&DeleteTopicRequestHeader { topic: topic.into(), ..Default::default() }).await.map(drop)
    }

    /// Makes this name server forget a topic's route.
    pub(crate) async fn delete_route(&mut self, topic: &str) -> Result<(), CliError> {
        let header = DeleteTopicFromNamesrvRequestHeader { topic: topic.into(), ..Default::default() };
        self.request(&header).await.map(drop)
    }

    /// Deletes a group from this broker, with its offsets.
    pub(crate) async fn delete_group(&mut self, group: &str) -> Result<(), CliError> {
        let header = DeleteSubscriptionGroupRequestHeader {
            group_name: group.into(),
            clean_offset: true,
            ..Default::default()
        };
        self.request(&header).await.map(drop)
    }

    /// How many members this broker knows of a group.
    pub(crate) async fn members(&mut self, group: &str) -> Result<usize, CliError> {
        let header =
            GetConsumerListByGroupRequestHeader { consumer_group: group.into(), ..Default::default() };
        let answer = self.exchange(GetConsumerListByGroupRequestHeader::CODE, &header).await?;
        // Nobody of the group has come yet.
        if answer.code == ResponseCode::SYSTEM_ERROR.0 {
            return Ok(0);
        }
        let answer = self.accept(answer)?;
        let body = GetConsumerListByGroupResponseBody::decode(&answer.body);
        body.map(|body| body.consumer_id_list.len()).map_err(|error| self.unreadable(&error))
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

    /// How many messages stand in a queue: they are read from the broker's log, in the name of a group,
    /// without any client in between.
    pub(crate) async fn count(&mut self, group: &str, topic: &str, queue_id: i32) -> Result<u64, CliError> {
        let (mut offset, end) = self.offsets(topic, queue_id).await?;
        let mut count = 0;
        while offset < end {
            let header = PullMessageRequestHeader {
                consumer_group: group.into(),
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
                record.map_err(|error| self.unreadable(&error))?;
                count += 1;
            }
            if header.next_begin_offset <= offset {
                return Err(self.failed(format!("a pull at {offset} of {topic} led nowhere")));
            }
            offset = header.next_begin_offset;
        }
        Ok(count)
    }

    /// The first offset of a queue whose message was stored at this time or later.
    pub(crate) async fn offset_at(
        &mut self,
        topic: &str,
        queue_id: i32,
        unix_ms: i64,
    ) -> Result<i64, CliError> {
        let header = SearchOffsetRequestHeader {
            topic: topic.into(),
            queue_id,
            timestamp: unix_ms,
            ..SearchOffsetRequestHeader::default()
        };
        let answer = self.request(&header).await?;
        let header: SearchOffsetResponseHeader = self.read(&answer)?;
        Ok(header.offset)
    }

    /// Sends a request whose answer [`next_answer`](Self::next_answer) brings, by this opaque.
    pub(crate) async fn begin<'h, H: RequestHeader<'h>>(&mut self, header: &H) -> Result<i32, CliError> {
        let frame = self.frame(H::CODE, header);
        self.write(&frame).await?;
        Ok(self.opaque)
    }

    /// The next answer, whatever it answers. Cancel safe.
    pub(crate) async fn next_answer(&mut self) -> Result<RemotingCommand, CliError> {
        loop {
            while let Some(command) = self.decoder.next_frame().map_err(|error| self.unreadable(&error))? {
                if command.is_response() {
                    let (opaque, body_bytes) = (command.opaque, command.body.len());
                    tracing::trace!(
                        address = self.address,
                        code = %command.response_code(),
                        opaque,
                        body_bytes,
                        "answer received"
                    );
                    return Ok(command);
                }
            }
            match self.stream.read_buf(self.decoder.buffer_mut()).await {
                Ok(0) => return Err(self.failed("it closed the connection".to_owned())),
                Ok(_) => {}
                Err(error) => return Err(self.failed(format!("the connection was lost: {error}"))),
            }
        }
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
        Err(self.refused(&answer))
    }

    /// An answer that is an error, in the peer's words.
    pub(crate) fn refused(&self, answer: &RemotingCommand) -> CliError {
        let remark = answer.remark.as_deref().unwrap_or_default();
        self.failed(format!("it answered {}: {}", answer.response_code(), remark.escape_debug()))
    }

    async fn exchange<'h, H: Header<'h>>(
        &mut self,
        code: RequestCode,
        header: &H,
    ) -> Result<RemotingCommand, CliError> {
        let frame = self.frame(code, header);
        match tokio::time::timeout(REQUEST_TIMEOUT, self.send_and_wait(&frame)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.failed(format!("no answer to {code} within {} s", REQUEST_TIMEOUT.as_secs()))),
        }
    }

    fn frame<'h, H: Header<'h>>(&mut self, code: RequestCode, header: &H) -> bytes::BytesMut {
        self.opaque += 1;
        tracing::trace!(address = self.address, %code, opaque = self.opaque, body_bytes = 0, "request sent");
        let head = Head { code: code.0, opaque: self.opaque, ..Head::default() };
        let mut frame = bytes::BytesMut::new();
        Encoder::default().encode(&mut frame, &head, header, &[], 0);
        frame
    }

    async fn write(&mut self, frame: &[u8]) -> Result<(), CliError> {
        let written = self.stream.write_all(frame).await;
        written.map_err(|error| self.failed(format!("the connection was lost: {error}")))
    }

    async fn send_and_wait(&mut self, frame: &[u8]) -> Result<RemotingCommand, CliError> {
        self.write(frame).await?;
        loop {
            let answer = self.next_answer().await?;
            if answer.opaque == self.opaque {
                return Ok(answer);
            }
        }
    }

    /// The header of an answer.
    pub(crate) fn read<'a, H: Header<'a>>(&self, answer: &'a RemotingCommand) -> Result<H, CliError> {
        answer.header().map_err(|error| self.unreadable(&error))
    }

    pub(crate) fn unreadable(&self, error: &dyn std::fmt::Display) -> CliError {
        self.failed(format!("its answer can't be read: {error}"))
    }

    pub(crate) fn failed(&self, reason: String) -> CliError {
        CliError::Failed(format!("asking {} failed: {reason}", self.address))
    }
}

/// A client of this cluster. Fails at once where a broker is given as name server, which answers no route.
pub(crate) async fn client(name_servers: &str, topic: &str) -> Result<Client, CliError> {
    let client = Client::connect(name_servers).await?;
    // Whatever else may be wrong the client tells better.
    if let Ok(mut remote) = Remote::connect_any(name_servers).await
        && let Err(wrong @ CliError::Usage(_)) = remote.route(topic).await
    {
        return Err(wrong);
    }
    Ok(client)
}

fn cannot_connect(address: &str, reason: &dyn std::fmt::Display) -> CliError {
    CliError::Failed(format!(
        "can't connect to {address}: {reason} (check that the server runs, that the address is right, and firewalls)"
    ))
}
