//! The few requests of administration that the command line makes itself, one at a time, each with a
//! deadline.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rmq::core::config::ClientConfig;
use rmq::core::remoting::{
    ClusterInfo, CreateTopicRequestHeader, DeleteSubscriptionGroupRequestHeader,
    DeleteTopicFromNamesrvRequestHeader, DeleteTopicRequestHeader, Encoder, FRAME_BYTES_MAX, FrameDecoder,
    FrameError, GetConsumerListByGroupRequestHeader, GetConsumerListByGroupResponseBody,
    GetMaxOffsetRequestHeader, GetMaxOffsetResponseHeader, GetMinOffsetRequestHeader,
    GetMinOffsetResponseHeader, GetRouteInfoRequestHeader, Head, Header, HeaderError, JsonError, NoHeader,
    QueryConsumerOffsetRequestHeader, QueryConsumerOffsetResponseHeader, RemotingCommand, RequestCode,
    RequestHeader, ResponseCode, TopicRouteData,
};
use rocketmq_client_tokio as rmq;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::error::Failure;

/// How long connecting, or a request, may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Bit 4 of a permission is reading, bit 2 writing.
const READ_AND_WRITE: i32 = 6;
const READ_BYTES: usize = 16 << 10;

/// Why a request of administration failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// No connection came up.
    #[error(
        "can't connect to {peer}: {error} (check that the server runs, that the address is right, and firewalls)"
    )]
    Connect {
        /// Who was to be reached.
        peer: Arc<str>,
        /// What the system said.
        error: io::Error,
    },
    /// The connection broke.
    #[error("the connection to {peer} was lost: {error}")]
    Lost {
        /// Who was asked.
        peer: Arc<str>,
        /// What the system said.
        error: io::Error,
    },
    /// No answer in time.
    #[error("{peer} did not answer {code} within {} s (it is slow or frozen)", REQUEST_TIMEOUT.as_secs())]
    Timeout {
        /// Who was asked.
        peer: Arc<str>,
        /// For what.
        code: RequestCode,
    },
    /// It said no.
    #[error("{peer} answered {code} with {answer}: {}", remark.escape_debug())]
    Refused {
        /// Who was asked.
        peer: Arc<str>,
        /// For what.
        code: RequestCode,
        /// The code of the answer.
        answer: ResponseCode,
        /// Its words.
        remark: Box<str>,
    },
    /// What came is no answer.
    #[error("{peer} does not answer as RocketMQ does: {reason}")]
    BadAnswer {
        /// Who was asked.
        peer: Arc<str>,
        /// What is wrong with it.
        reason: String,
    },
    /// The cluster has no broker to work with.
    #[error("{peer} knows no broker with a master (start one, and check its namesrvAddr)")]
    NoBroker {
        /// The name server.
        peer: Arc<str>,
    },
}

impl AdminError {
    /// The code that a peer refused with.
    pub(crate) fn answer(&self) -> Option<ResponseCode> {
        match self {
            Self::Refused { answer, .. } => Some(*answer),
            _ => None,
        }
    }
}

/// A connection to a name server or a broker.
#[derive(Debug)]
pub(crate) struct Peer {
    addr: Arc<str>,
    stream: TcpStream,
    decoder: FrameDecoder,
    opaque: i32,
}

impl Peer {
    /// Connects to `addr`.
    pub(crate) async fn connect(addr: &str) -> Result<Self, AdminError> {
        let peer: Arc<str> = addr.into();
        let stream = match timeout(REQUEST_TIMEOUT, TcpStream::connect(addr)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(AdminError::Connect { peer, error }),
            Err(_) => return Err(AdminError::Connect { peer, error: io::ErrorKind::TimedOut.into() }),
        };
        Ok(Self { addr: peer, stream, decoder: FrameDecoder::new(FRAME_BYTES_MAX), opaque: 0 })
    }

    /// Connects to the first of these name servers that can be reached.
    pub(crate) async fn connect_any(name_servers: &str) -> Result<Self, Failure> {
        let config = ClientConfig::parse(name_servers)?;
        let mut last = None;
        for addr in &config.name_servers {
            match Self::connect(addr).await {
                Ok(peer) => return Ok(peer),
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(|| rmq::UsageError::NoNameServer.into(), Into::into))
    }

    /// Where it is.
    pub(crate) fn addr(&self) -> &Arc<str> {
        &self.addr
    }

    async fn ask<'a, H: RequestHeader<'a>>(&mut self, header: &H) -> Result<RemotingCommand, AdminError> {
        self.request(H::CODE, header).await
    }

    async fn request<'a, H: Header<'a>>(
        &mut self,
        code: RequestCode,
        header: &H,
    ) -> Result<RemotingCommand, AdminError> {
        self.opaque += 1;
        let mut frame = BytesMut::new();
        let head = Head { code: code.0, opaque: self.opaque, ..Head::default() };
        Encoder::default().encode(&mut frame, &head, header, &[], 0);
        let answer = match timeout(REQUEST_TIMEOUT, self.exchange(&frame)).await {
            Ok(answer) => answer?,
            Err(_) => return Err(AdminError::Timeout { peer: self.addr.clone(), code }),
        };
        match answer.response_code() {
            ResponseCode::SUCCESS => Ok(answer),
            refused => Err(AdminError::Refused {
                peer: self.addr.clone(),
                code,
                answer: refused,
                remark: answer.remark.unwrap_or_default(),
            }),
        }
    }

    /// Writes a request and reads up to its answer; what else comes is of no concern.
    async fn exchange(&mut self, frame: &[u8]) -> Result<RemotingCommand, AdminError> {
        let lost = |peer: &Arc<str>, error| AdminError::Lost { peer: peer.clone(), error };
        self.stream.write_all(frame).await.map_err(|error| lost(&self.addr, error))?;
        loop {
            while let Some(command) = self.decoder.next_frame().map_err(|error| self.bad_frame(error))? {
                if command.is_response() && command.opaque == self.opaque {
                    return Ok(command);
                }
            }
            let buffer = self.decoder.buffer_mut();
            buffer.reserve(READ_BYTES);
            match self.stream.read_buf(buffer).await {
                Ok(0) => return Err(lost(&self.addr, io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) => return Err(lost(&self.addr, error)),
            }
        }
    }

    fn bad_frame(&self, error: FrameError) -> AdminError {
        AdminError::BadAnswer { peer: self.addr.clone(), reason: error.to_string() }
    }

    fn bad_body(&self, error: JsonError) -> AdminError {
        AdminError::BadAnswer { peer: self.addr.clone(), reason: error.to_string() }
    }

    fn bad_header(&self, error: HeaderError) -> AdminError {
        AdminError::BadAnswer { peer: self.addr.clone(), reason: error.to_string() }
    }
}

/// Requests for name servers.
impl Peer {
    /// The masters that the name server knows, by broker name.
    pub(crate) async fn masters(&mut self) -> Result<BTreeMap<Arc<str>, Arc<str>>, AdminError> {
        let answer = self.request(RequestCode::GET_BROKER_CLUSTER_INFO, &NoHeader).await?;
        let info = ClusterInfo::decode(&answer.body).map_err(|error| self.bad_body(error))?;
        let masters: BTreeMap<_, _> = info
            .broker_addr_table
            .into_iter()
            .filter_map(|(name, broker)| Some((name, broker.broker_addrs.get(&0)?.clone())))
            .collect();
        match masters.is_empty() {
            true => Err(AdminError::NoBroker { peer: self.addr.clone() }),
            false => Ok(masters),
        }
    }

    /// The route of a topic; `None` when it has none.
    pub(crate) async fn route(&mut self, topic: &str) -> Result<Option<TopicRouteData>, AdminError> {
        let header = GetRouteInfoRequestHeader { topic: topic.into(), ..Default::default() };
        match self.ask(&header).await {
            Ok(answer) => {
                TopicRouteData::decode(&answer.body).map(Some).map_err(|error| self.bad_body(error))
            }
            Err(error) if error.answer() == Some(ResponseCode::TOPIC_NOT_EXIST) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Forgets the route of a topic.
    pub(crate) async fn delete_route(&mut self, topic: &str) -> Result<(), AdminError> {
        let header = DeleteTopicFromNamesrvRequestHeader { topic: topic.into(), ..Default::default() };
        self.ask(&header).await.map(drop)
    }
}

/// Requests for brokers.
impl Peer {
    /// Creates a topic with so many queues to read and write.
    pub(crate) async fn create_topic(&mut self, topic: &str, queues: i32) -> Result<(), AdminError> {
        let header = CreateTopicRequestHeader {
            topic: topic.into(),
            default_topic: "TBW102".into(),
            read_queue_nums: queues,
            write_queue_nums: queues,
            perm: READ_AND_WRITE,
            topic_filter_type: "SINGLE_TAG".into(),
            topic_sys_flag: Some(0),
            ..Default::default()
        };
        self.ask(&header).await.map(drop)
    }

    /// Deletes a topic with all its messages.
    pub(crate) async fn delete_topic(&mut self, topic: &str) -> Result<(), AdminError> {
        let header = DeleteTopicRequestHeader { topic: topic.into(), ..Default::default() };
        self.ask(&header).await.map(drop)
    }

    /// Deletes a group with its offsets.
    pub(crate) async fn delete_group(&mut self, group: &str) -> Result<(), AdminError> {
        let header = DeleteSubscriptionGroupRequestHeader {
            group_name: group.into(),
            clean_offset: true,
            ..Default::default()
        };
        self.ask(&header).await.map(drop)
    }

    /// The offsets of the messages that a queue has.
    pub(crate) async fn queue_range(&mut self, topic: &str, queue_id: i32) -> Result<Range<i64>, AdminError> {
        let min = GetMinOffsetRequestHeader { topic: topic.into(), queue_id, ..Default::default() };
        let answer = self.ask(&min).await?;
        let min: GetMinOffsetResponseHeader = answer.header().map_err(|error| self.bad_header(error))?;
        let max = GetMaxOffsetRequestHeader { topic: topic.into(), queue_id, ..Default::default() };
        let answer = self.ask(&max).await?;
        let max: GetMaxOffsetResponseHeader = answer.header().map_err(|error| self.bad_header(error))?;
        Ok(min.offset..max.offset)
    }

    /// The client ids of a group's members; none for a group that is unknown.
    pub(crate) async fn members(&mut self, group: &str) -> Result<Vec<Arc<str>>, AdminError> {
        let header =
            GetConsumerListByGroupRequestHeader { consumer_group: group.into(), ..Default::default() };
        match self.ask(&header).await {
            Ok(answer) => GetConsumerListByGroupResponseBody::decode(&answer.body)
                .map(|body| body.consumer_id_list)
                .map_err(|error| self.bad_body(error)),
            Err(AdminError::Refused { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// How far a group has come in a queue; `None` when it never committed.
    pub(crate) async fn committed(
        &mut self,
        group: &str,
        topic: &str,
        queue_id: i32,
    ) -> Result<Option<i64>, AdminError> {
        let header = QueryConsumerOffsetRequestHeader {
            consumer_group: group.into(),
            topic: topic.into(),
            queue_id,
            set_zero_if_not_found: Some(false),
            ..Default::default()
        };
        match self.ask(&header).await {
            Ok(answer) => {
                let header: QueryConsumerOffsetResponseHeader =
                    answer.header().map_err(|error| self.bad_header(error))?;
                Ok(Some(header.offset))
            }
            Err(error) if error.answer() == Some(ResponseCode::QUERY_NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
