//! Tokio's streams, timer and tasks.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::thread;
use std::time::Instant;

use bytes::BytesMut;
use rocketmq_client_core::driver::{BoxFuture, BoxTask, Sockets, Tasks};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep_until};

/// Streams and timers of the runtime that polls the engine.
pub(crate) struct TokioSockets;

impl Sockets for TokioSockets {
    type Stream = TcpStream;
    type Timer = Pin<Box<Sleep>>;

    async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn arm(&mut self, timer: &mut Option<Self::Timer>, at: Instant) {
        match timer {
            Some(sleep) => sleep.as_mut().reset(at.into()),
            None => *timer = Some(Box::pin(sleep_until(at.into()))),
        }
    }

    fn poll_read(
        &mut self,
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        // The future has no state of its own: dropped when pending, it has lost nothing.
        pin!(stream.read_buf(buffer)).poll(cx)
    }

    fn poll_write_vectored(
        &mut self,
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(stream).poll_write_vectored(cx, slices)
    }
}

/// Tasks of one runtime, whoever asks for them.
pub(crate) struct TokioTasks(pub(crate) Handle);

impl Tasks for TokioTasks {
    fn spawn(&self, future: BoxFuture) {
        drop(self.0.spawn(future));
    }

    fn spawn_blocking(&self, task: BoxTask) {
        drop(self.0.spawn_blocking(task));
    }

    /// The thread is not one of the runtime's; what runs on it finds the runtime all the same.
    fn spawn_thread(&self, name: &str, task: BoxTask) -> io::Result<()> {
        let handle = self.0.clone();
        let work = move || {
            let _entered = handle.enter();
            task();
        };
        thread::Builder::new().name(name.into()).spawn(work).map(drop)
    }
}
