//! A host out of an async runtime's parts: the runtime lends streams, a timer and tasks, and
//! everything around them is here.

#![expect(clippy::disallowed_types, reason = "a runtime's timer goes by the operating system's clock")]

use super::std;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use bytes::BytesMut;
use std::io::{self, ErrorKind, IoSlice};
use std::time;

use super::host::{Host, Spawn, Spawner, Tasks};
use super::system::System;
use crate::config::HostFacts;
use crate::id::{ChannelId, GenerationalId};
use crate::time::{Instant, Timestamp};

/// A connection that is coming up.
type Connecting<S> = Pin<Box<dyn Future<Output = io::Result<S>> + Send>>;

/// Streams and timers of an async runtime.
pub trait Sockets: Send + 'static {
    /// A connection.
    type Stream: Send + 'static;
    /// Ready once its time has come.
    type Timer: Future<Output = ()> + Send + Unpin + 'static;

    /// Connects, without delay for small packets (`TCP_NODELAY`).
    fn connect(address: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send + 'static;

    /// As [`Host::poll_read`].
    fn poll_read(
        &mut self,
        stream: &mut Self::Stream,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>>;

    /// As [`Host::poll_write_vectored`].
    fn poll_write_vectored(
        &mut self,
        stream: &mut Self::Stream,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Makes `timer` one that is ready at `at`. It may be used again, also after it was ready.
    fn arm(&mut self, timer: &mut Option<Self::Timer>, at: time::Instant);
}

/// Lends one async runtime to one client.
pub struct AsyncHost<S: Sockets> {
    system: System,
    runtime: S,
    tasks: Arc<dyn Spawn>,
    sockets: Vec<Option<(ChannelId, Socket<S::Stream>)>>,
    alarm: Alarm<S::Timer>,
}

enum Socket<S> {
    Connecting(Connecting<S>),
    Up(S),
}

/// Arming a timer costs more than a message, so it is left alone when the deadline moves back, and armed again when
/// it goes off early. But one that goes off early wakes a client that has nothing to do: so once in a while it is
/// moved, too.
struct Alarm<T> {
    at: Option<Instant>,
    timer: Option<T>,
    /// When it was moved last.
    moved: Instant,
}

/// An alarm that would go off so much too early is moved,
const EARLY_MAX: Duration = Duration::from_millis(500);
/// but not more often than that.
const MOVE_INTERVAL: Duration = Duration::from_millis(100);

impl<T> Alarm<T> {
    /// Whether it goes off at `deadline` or not much earlier; `now` is asked for only where it matters.
    fn is_armed_for(&mut self, deadline: Instant, now: impl FnOnce() -> Instant) -> bool {
        match self.at {
            Some(at) if at + EARLY_MAX < deadline => {
                let now = now();
                // One that has gone off is not moved, but armed for the next time.
                let is_moved = at > now;
                let is_kept = is_moved && now.saturating_since(self.moved) < MOVE_INTERVAL;
                if is_moved && !is_kept {
                    self.moved = now;
                }
                is_kept
            }
            Some(at) => at <= deadline,
            None => false,
        }
    }
}

impl<S: Sockets> fmt::Debug for AsyncHost<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncHost").field("sockets", &self.sockets.len()).finish_non_exhaustive()
    }
}

impl<S: Sockets> AsyncHost<S> {
    /// A host with these sockets and these tasks.
    pub fn new(sockets: S, tasks: impl Tasks) -> Self {
        let system = System::default();
        Self {
            system,
            runtime: sockets,
            tasks: Arc::new(Spawner::new(system, tasks)),
            sockets: Vec::new(),
            alarm: Alarm { at: None, timer: None, moved: Instant::ZERO },
        }
    }
}

/// The socket of a channel.
fn find<S>(sockets: &mut [Option<(ChannelId, Socket<S>)>], channel: ChannelId) -> io::Result<&mut Socket<S>> {
    match sockets.get_mut(channel.index() as usize) {
        Some(Some((id, socket))) if *id == channel => Ok(socket),
        _ => Err(ErrorKind::NotConnected.into()),
    }
}

/// The connection of a channel, once it is up.
fn stream<S>(sockets: &mut [Option<(ChannelId, Socket<S>)>], channel: ChannelId) -> io::Result<&mut S> {
    match find(sockets, channel)? {
        Socket::Up(stream) => Ok(stream),
        Socket::Connecting(_) => Err(ErrorKind::NotConnected.into()),
    }
}

impl<S: Sockets> Host for AsyncHost<S> {
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
        self.tasks.clone()
    }

    fn connect(&mut self, channel: ChannelId, address: SocketAddr) {
        let index = channel.index() as usize;
        if self.sockets.len() <= index {
            self.sockets.resize_with(index + 1, || None);
        }
        let connecting = Box::pin(S::connect(address));
        self.sockets[index] = Some((channel, Socket::Connecting(connecting)));
    }

    fn poll_connected(&mut self, channel: ChannelId, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = find(&mut self.sockets, channel)?;
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
        self.runtime.poll_read(stream(&mut self.sockets, channel)?, cx, buffer)
    }

    fn poll_write_vectored(
        &mut self,
        channel: ChannelId,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.runtime.poll_write_vectored(stream(&mut self.sockets, channel)?, cx, slices)
    }

    fn close(&mut self, channel: ChannelId) {
        if let Some(slot) = self.sockets.get_mut(channel.index() as usize) {
            slot.take_if(|(id, _)| *id == channel);
        }
    }

    fn poll_wait(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.system.to_std(deadline) else { return Poll::Pending };
        loop {
            if !self.alarm.is_armed_for(deadline, || self.system.now()) {
                if self.alarm.at.is_some_and(|armed| armed < deadline) {
                    // A runtime may keep the place of a timer that is moved back, and wake up there to find that it was.
                    self.alarm.timer = None;
                }
                self.runtime.arm(&mut self.alarm.timer, at);
                self.alarm.at = Some(deadline);
            }
            let Some(timer) = &mut self.alarm.timer else { return Poll::Pending };
            if Pin::new(timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
            if self.alarm.at.take() == Some(deadline) {
                return Poll::Ready(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::task::Waker;
    use std::sync::Mutex;

    /// When timers were armed, and whether the last one is ready.
    #[derive(Debug, Default)]
    struct Clockwork {
        armed: Vec<time::Instant>,
        ready: bool,
    }

    struct Fake(Arc<Mutex<Clockwork>>);
    struct FakeTimer(Arc<Mutex<Clockwork>>);
    struct NoTasks;

    impl Future for FakeTimer {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            if self.0.lock().unwrap().ready { Poll::Ready(()) } else { Poll::Pending }
        }
    }

    impl Sockets for Fake {
        type Stream = u8;
        type Timer = FakeTimer;

        async fn connect(address: SocketAddr) -> io::Result<u8> {
            if address.port() == 1 { Err(ErrorKind::ConnectionRefused.into()) } else { Ok(7) }
        }

        fn arm(&mut self, timer: &mut Option<FakeTimer>, at: time::Instant) {
            let mut clockwork = self.0.lock().unwrap();
            clockwork.armed.push(at);
            clockwork.ready = false;
            *timer = Some(FakeTimer(self.0.clone()));
        }

        fn poll_read(
            &mut self,
            stream: &mut u8,
            _: &mut Context<'_>,
            buffer: &mut BytesMut,
        ) -> Poll<io::Result<usize>> {
            buffer.extend_from_slice(&[*stream]);
            Poll::Ready(Ok(1))
        }

        fn poll_write_vectored(
            &mut self,
            _: &mut u8,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
        }
    }

    impl Tasks for NoTasks {
        fn spawn(&self, _: super::super::host::BoxFuture) {}

        fn spawn_blocking(&self, _: super::super::host::BoxTask) {}
    }

    fn host() -> (AsyncHost<Fake>, Arc<Mutex<Clockwork>>) {
        let clockwork = Arc::new(Mutex::new(Clockwork::default()));
        (AsyncHost::new(Fake(clockwork.clone()), NoTasks), clockwork)
    }

    fn after(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_timer_is_armed_again_only_for_an_earlier_deadline_or_when_it_went_off_early() {
        let (mut host, clockwork) = host();
        let mut cx = Context::from_waker(Waker::noop());
        for (deadline, armed) in [(10, 1), (20, 1), (10, 1), (5, 2), (30, 2)] {
            // However slow this runs.
            host.alarm.moved = after(1_000);
            assert!(host.poll_wait(after(deadline), &mut cx).is_pending());
            assert_eq!(clockwork.lock().unwrap().armed.len(), armed, "after {deadline} s");
        }
        // The one for 5 s goes off, and 30 s are wanted.
        clockwork.lock().unwrap().ready = true;
        assert!(host.poll_wait(after(30), &mut cx).is_pending());
        assert_eq!(clockwork.lock().unwrap().armed.len(), 3);
        clockwork.lock().unwrap().ready = true;
        assert!(host.poll_wait(after(30), &mut cx).is_ready());
        // The next deadline needs a timer of its own, the same deadline too.
        assert!(host.poll_wait(after(30), &mut cx).is_pending());
        let at = clockwork.lock().unwrap().armed.clone();
        assert_eq!(at.len(), 4);
        assert_eq!((at[0] - at[1], at[3] - at[2]), (Duration::from_secs(5), Duration::ZERO));
    }

    #[test]
    fn an_alarm_that_would_wake_for_nothing_is_moved_once_in_a_while() {
        let ms = Instant::from_millis;
        for (deadline_ms, now_ms, is_armed) in [
            (3_000, 2_000, true),
            (2_999, 1_000, false),
            (3_500, 2_000, true),
            (3_501, 1_099, true),
            (3_501, 1_100, false),
            (90_000, 1_099, true),
            (90_000, 3_000, false),
        ] {
            let mut alarm = Alarm { at: Some(ms(3_000)), timer: Some(()), moved: ms(1_000) };
            let armed = alarm.is_armed_for(ms(deadline_ms), || ms(now_ms));
            assert_eq!(armed, is_armed, "for {deadline_ms} at {now_ms}");
            let is_moved = deadline_ms > 3_500 && !is_armed && now_ms < 3_000;
            assert_eq!(alarm.moved, if is_moved { ms(now_ms) } else { ms(1_000) });
        }
    }

    #[test]
    fn a_channel_that_is_gone_or_not_up_yet_is_not_connected() {
        let (mut host, _) = host();
        let mut cx = Context::from_waker(Waker::noop());
        let mut buffer = BytesMut::new();
        let (old, new) = (ChannelId::from_parts(2, 0), ChannelId::from_parts(2, 1));
        host.connect(old, ([127, 0, 0, 1], 2).into());
        let read = host.poll_read(old, &mut cx, &mut buffer);
        assert!(matches!(read, Poll::Ready(Err(error)) if error.kind() == ErrorKind::NotConnected));
        assert!(matches!(host.poll_connected(old, &mut cx), Poll::Ready(Ok(()))));
        assert!(matches!(host.poll_read(old, &mut cx, &mut buffer), Poll::Ready(Ok(1))));
        host.connect(new, ([127, 0, 0, 1], 1).into());
        // A late word about the old one does not touch the new one in its place.
        host.close(old);
        let refused = host.poll_connected(new, &mut cx);
        assert!(matches!(refused, Poll::Ready(Err(error)) if error.kind() == ErrorKind::ConnectionRefused));
        let read = host.poll_read(old, &mut cx, &mut buffer);
        assert!(matches!(read, Poll::Ready(Err(error)) if error.kind() == ErrorKind::NotConnected));
        host.close(new);
        let connected = host.poll_connected(new, &mut cx);
        assert!(matches!(connected, Poll::Ready(Err(error)) if error.kind() == ErrorKind::NotConnected));
    }
}
