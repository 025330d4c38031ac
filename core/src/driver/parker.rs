//! [`Parker`]: one thread that waits without an executor; and [`Lead`], a host whose waiting callers drive the engine.

use super::std;
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Waker;

use std::sync::Mutex;
use std::task::Wake;
use std::thread::{self, Thread};

use super::lock;

/// One waiting thread.
#[derive(Clone, Debug)]
pub struct Parker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    thread: Thread,
    notified: AtomicBool,
    /// Ends the wait of the host that the thread may be in, which `unpark` does not.
    bell: Mutex<Option<Waker>>,
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A thread that drives the engine wakes itself this way without a system call.
        if self.notified.swap(true, Ordering::AcqRel) || thread::current().id() == self.thread.id() {
            return;
        }
        self.thread.unpark();
        // Either this finds the bell, or who hung it up sees the notification before he waits.
        let bell = lock(&self.bell).clone();
        if let Some(bell) = bell {
            bell.wake();
        }
    }
}

std::thread_local! {
    static PARKER: Parker = Parker::new();
}

impl Parker {
    fn new() -> Self {
        let inner =
            Inner { thread: thread::current(), notified: AtomicBool::new(false), bell: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// The parker of this thread.
    #[must_use]
    pub fn current() -> Self {
        PARKER.with(Clone::clone)
    }

    /// A waker that ends the wait.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker::from(self.inner.clone())
    }

    /// Whether the waker was called since the last [`take_notified`](Self::take_notified).
    #[must_use]
    pub fn is_notified(&self) -> bool {
        self.inner.notified.load(Ordering::Acquire)
    }

    /// As [`is_notified`](Self::is_notified), and forgets it.
    pub fn take_notified(&self) -> bool {
        self.inner.notified.swap(false, Ordering::AcqRel)
    }

    /// Sleeps until the waker is called. To be called on the parker's own thread.
    pub fn park(&self) {
        while !self.take_notified() {
            self.sleep();
        }
    }

    /// Runs `lead`, which waits in a host: a notification rings `bell` meanwhile. What this thread waits for
    /// may come from elsewhere than the engine, such as a message that another thread leaves to it.
    pub(crate) fn rung_by<T>(&self, bell: &Waker, lead: impl FnOnce() -> T) -> T {
        *lock(&self.inner.bell) = Some(bell.clone());
        let led = lead();
        let bell = lock(&self.inner.bell).take();
        drop(bell);
        led
    }

    /// Sleeps until the waker is called or [`rouse`](Self::rouse), or for no reason.
    #[expect(clippy::disallowed_methods, reason = "this thread has no executor and nothing else to do")]
    pub(crate) fn sleep(&self) {
        thread::park();
    }

    /// Ends [`sleep`](Self::sleep) without a notification.
    pub(crate) fn rouse(&self) {
        self.inner.thread.unpark();
    }
}

/// A host whose waiting callers drive the engine.
pub(crate) trait Lead: Send + Sync {
    /// Returns when `parker` was notified; drives the engine meanwhile if nobody else does.
    fn wait(&self, parker: &Parker);
}

impl fmt::Debug for dyn Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lead")
    }
}
