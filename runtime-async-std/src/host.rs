//! The streams, timer and tasks of async-std.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use async_std::io::{Read, Write};
use async_std::net::TcpStream;
use async_std::task;
use bytes::BytesMut;
use rocketmq_client_core::driver::{BoxFuture, BoxTask, Sockets, Tasks};

/// A read goes through here: async-std reads into initialised memory only, and to clear the room
/// that a read might need costs more than to copy what has come.
const READ_BYTES: usize = 64 << 10;

/// Streams and timers of async-std's reactor.
pub(crate) struct AsyncStdSockets {
    scratch: Box<[u8]>,
}

impl Default for AsyncStdSockets {
    fn default() -> Self {
        Self { scratch: vec![0; READ_BYTES].into() }
    }
}

impl Sockets for AsyncStdSockets {
    type Stream = TcpStream;
    type Timer = BoxFuture;

    async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn arm(&mut self, timer: &mut Option<BoxFuture>, at: Instant) {
        *timer = Some(Box::pin(task::sleep(at.saturating_duration_since(Instant::now()))));
    }

    fn poll_read(
        &mut self,
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        let room = (buffer.capacity() - buffer.len()).min(self.scratch.len());
        Pin::new(stream).poll_read(cx, &mut self.scratch[..room]).map_ok(|count| {
            buffer.extend_from_slice(&self.scratch[..count]);
            count
        })
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

/// Tasks of async-std's executor, which starts its threads with the first of them.
pub(crate) struct AsyncStdTasks;

impl Tasks for AsyncStdTasks {
    fn spawn(&self, future: BoxFuture) {
        drop(task::spawn(future));
    }

    fn spawn_blocking(&self, work: BoxTask) {
        drop(task::spawn_blocking(work));
    }
}
