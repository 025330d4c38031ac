//! Tokio's sockets, timer and tasks, as the engine wants them.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use rocketmq_client_core::config::HostFacts;
use rocketmq_client_core::driver::{BoxFuture, BoxTask, Host, Spawn, System};
use rocketmq_client_core::id::{ChannelId, GenerationalId};
use rocketmq_client_core::time::{Instant, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep_until};

/// Lends one tokio runtime to one client.
#[derive(Debug)]
pub(crate) struct TokioHost {
    system: System,
    runtime: Handle,
    sockets: Vec<Option<(ChannelId, Socket)>>,
    alarm: Option<Alarm>,
}

enum Socket {
    Connecting(Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>),
    Up(TcpStream),
}

/// A timer of tokio's. Arming one costs more than a message, so it is left alone when the deadline
/// moves back, and armed again when it goes off early.
#[derive(Debug)]
struct Alarm {
    at: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connecting(_) => f.write_str("Connecting"),
            Self::Up(stream) => stream.fmt(f),
        }
    }
}

impl TokioHost {
    pub(crate) fn new(runtime: Handle) -> Self {
        Self { system: System::default(), runtime, sockets: Vec::new(), alarm: None }
    }

    fn socket(&mut self, channel: ChannelId) -> io::Result<&mut Socket> {
        match self.sockets.get_mut(channel.index() as usize) {
            Some(Some((id, socket))) if *id == channel => Ok(socket),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn stream(&mut self, channel: ChannelId) -> io::Result<&mut TcpStream> {
        match self.socket(channel)? {
            Socket::Up(stream) => Ok(stream),
            Socket::Connecting(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Host for TokioHost {
    fn now(&self) -> Instant {
        self.system.now()
    }

    fn wall(&self) -> Timestamp {
        self.system.wall()
    }

    fn entropy(&mut self) -> u64 {
        self.system.entropy()
    }

    fn facts(&self) -> HostFacts {
        self.system.facts()
    }

    fn spawn(&self) -> Arc<dyn Spawn> {
        Arc::new(Tasks { system: self.system, runtime: self.runtime.clone() })
    }

    fn connect(&mut self, channel: ChannelId, address: SocketAddr) {
        let index = channel.index() as usize;
        if self.sockets.len() <= index {
            self.sockets.resize_with(index + 1, || None);
        }
        let connecting = async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        self.sockets[index] = Some((channel, Socket::Connecting(Box::pin(connecting))));
    }

    fn poll_connected(&mut self, channel: ChannelId, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.socket(channel)?;
        if let Socket::Connecting(connecting) = socket {
            match connecting.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(stream) => *socket = Socket::Up(stream?),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(
        &mut self,
        channel: ChannelId,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        let stream = self.stream(channel)?;
        // The future has no state of its own: dropped when pending, it has lost nothing.
        pin!(stream.read_buf(buffer)).poll(cx)
    }

    fn poll_write_vectored(
        &mut self,
        channel: ChannelId,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream(channel)?).poll_write_vectored(cx, slices)
    }

    fn close(&mut self, channel: ChannelId) {
        if let Some(slot) = self.sockets.get_mut(channel.index() as usize) {
            slot.take_if(|(id, _)| *id == channel);
        }
    }

    fn poll_wait(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.system.to_std(deadline) else { return Poll::Pending };
        match &mut self.alarm {
            Some(alarm) if alarm.at <= deadline => {}
            Some(alarm) => alarm.set(deadline, at.into()),
            None => self.alarm = Some(Alarm { at: deadline, sleep: Box::pin(sleep_until(at.into())) }),
        }
        let Some(alarm) = &mut self.alarm else { return Poll::Pending };
        while alarm.sleep.as_mut().poll(cx).is_ready() {
            if alarm.at >= deadline {
                self.alarm = None;
                return Poll::Ready(());
            }
            alarm.set(deadline, at.into());
        }
        Poll::Pending
    }
}

impl Alarm {
    fn set(&mut self, deadline: Instant, at: tokio::time::Instant) {
        self.at = deadline;
        self.sleep.as_mut().reset(at);
    }
}

struct Tasks {
    system: System,
    runtime: Handle,
}

impl Spawn for Tasks {
    fn now(&self) -> Instant {
        self.system.now()
    }

    fn wall(&self) -> Timestamp {
        self.system.wall()
    }

    fn spawn(&self, future: BoxFuture) {
        drop(self.runtime.spawn(future));
    }

    fn spawn_blocking(&self, task: BoxTask) {
        drop(self.runtime.spawn_blocking(task));
    }
}
