//! The client's end of connections, in the shape of a host's sockets.

use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::connection::{ClientState, ConnId, Direction, Packet};
use super::{Network, Timeline};
use crate::executor::NodeId;

impl Network {
    /// Begins to connect.
    pub(crate) fn connect(&mut self, time: &mut Timeline<'_>, client: NodeId, address: SocketAddr) -> ConnId {
        let id = self.open(client, address);
        self.transmit(time, id, Direction::Up, Packet::Connect);
        id
    }

    pub(crate) fn poll_connected(&mut self, id: ConnId, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let Some(connection) = self.connections.get_mut(&id) else { return Poll::Ready(Err(gone())) };
        match connection.client_state {
            ClientState::Connecting => {
                connection.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            ClientState::Up | ClientState::Ended => Poll::Ready(Ok(())),
            ClientState::Refused => Poll::Ready(Err(ErrorKind::ConnectionRefused.into())),
            ClientState::Reset | ClientState::Gone => Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
        }
    }

    /// Gives some of what has arrived, often not all of it.
    pub(crate) fn poll_read(
        &mut self,
        id: ConnId,
        cx: &Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        let Some(connection) = self.connections.get_mut(&id) else { return Poll::Ready(Err(gone())) };
        if connection.client_state == ClientState::Reset {
            return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        let there = connection.inbox.len();
        let most = there.min(buffer.capacity() - buffer.len());
        if most == 0 {
            if there == 0 && connection.client_state == ClientState::Ended {
                return Poll::Ready(Ok(0));
            }
            connection.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = super::some_of(&mut self.rng, most);
        buffer.put_slice(&connection.inbox[..count]);
        connection.inbox.advance(count);
        Poll::Ready(Ok(count))
    }

    /// Takes some of the bytes, often not all of them, and none while too many are on their way.
    pub(crate) fn poll_write(
        &mut self,
        time: &mut Timeline<'_>,
        id: ConnId,
        cx: &Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let buffer_bytes = self.send_buffer_bytes;
        let Some(connection) = self.connections.get_mut(&id) else { return Poll::Ready(Err(gone())) };
        match connection.client_state {
            ClientState::Up | ClientState::Ended => {}
            ClientState::Connecting => return Poll::Ready(Err(ErrorKind::NotConnected.into())),
            _ => return Poll::Ready(Err(ErrorKind::BrokenPipe.into())),
        }
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let most = offered.min(buffer_bytes.saturating_sub(connection.up.bytes));
        if most == 0 {
            connection.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = super::some_of(&mut self.rng, most);
        let data = gather(slices, count);
        self.transmit(time, id, Direction::Up, Packet::Data(data));
        Poll::Ready(Ok(count))
    }

    /// The client drops its end. What it wrote still arrives.
    pub(crate) fn close_client(&mut self, time: &mut Timeline<'_>, id: ConnId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let before = connection.client_state;
        connection.client_state = ClientState::Gone;
        connection.inbox.clear();
        connection.waker = None;
        if matches!(before, ClientState::Up | ClientState::Ended | ClientState::Connecting) {
            self.transmit(time, id, Direction::Up, Packet::Fin);
        } else {
            self.forget_if_over(id);
        }
    }
}

fn gone() -> io::Error {
    ErrorKind::NotConnected.into()
}

fn gather(slices: &[IoSlice<'_>], count: usize) -> Bytes {
    let mut data = BytesMut::with_capacity(count);
    for slice in slices {
        let part = slice.len().min(count - data.len());
        data.put_slice(&slice[..part]);
    }
    data.freeze()
}
