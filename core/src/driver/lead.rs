//! Leader and follower: without an executor, a caller that waits drives the engine itself, so its
//! answer needs no other thread. Who comes meanwhile follows: he sleeps until his answer is there,
//! or until the leader, who got his own, hands the lead on. A background thread leads when nobody
//! waits.
//!
//! ```text
//! caller A: send ─▶ lead: write, wait for the socket, read ─▶ own outcome ─▶ hand on ─▶ return
//! caller B:   send ─▶ follow (sleep) ················ woken: lead ─▶ own outcome ─▶ return
//! ```

use super::std;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use core::task::{Context, Waker};
use core::time::Duration;

use std::sync::{Mutex, MutexGuard, OnceLock, TryLockError};
use std::thread;

use super::engine::{Engine, Machine};
use super::exchange::Exchange;
use super::host::Host;
use super::parker::{Lead, Parker};
use super::{Client, lock};
use crate::time::Instant;

/// How long after the last caller led the background thread takes over. Callers that come again
/// within it find the engine free.
const GRACE: Duration = Duration::from_millis(2);

/// A host that can wait by itself.
pub trait BlockingHost: Host {
    /// Waits for sockets, for `deadline` or for its [`waker`](Self::waker), then calls the wakers of
    /// the channels that are ready. Must not wait when `raised` says so after the host has begun to
    /// heed its waker.
    fn block(&mut self, deadline: Instant, raised: &dyn Fn() -> bool);

    /// Ends [`block`](Self::block); does next to nothing when nobody is in it.
    fn waker(&self) -> Waker;
}

/// Drives an engine by whoever waits.
pub struct Leader<H: BlockingHost, M: Machine> {
    inner: Arc<Inner<H, M>>,
}

struct Inner<H: BlockingHost, M: Machine> {
    /// Gone when the client has ended.
    engine: Mutex<Option<Engine<H, M>>>,
    waker: Waker,
    followers: Mutex<VecDeque<Arc<Follower>>>,
    /// Counts the callers that led.
    leads: AtomicU64,
    background_leads: AtomicBool,
    /// The background thread, once it runs.
    background: OnceLock<Parker>,
    /// Whether it sleeps until the engine is free.
    background_waits: AtomicBool,
}

struct Follower {
    parker: Parker,
    promoted: AtomicBool,
}

impl<H: BlockingHost, M: Machine> fmt::Debug for Leader<H, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leader").finish_non_exhaustive()
    }
}

impl<H: BlockingHost, M: Machine> Leader<H, M> {
    /// From now on, callers of `client` that wait drive `engine`.
    pub fn install(client: &Client, mut engine: Engine<H, M>) -> Self {
        let waker = engine.host_mut().waker();
        let inner = Arc::new(Inner {
            engine: Mutex::new(Some(engine)),
            waker,
            followers: Mutex::default(),
            leads: AtomicU64::new(0),
            background_leads: AtomicBool::new(false),
            background: OnceLock::new(),
            background_waits: AtomicBool::new(false),
        });
        let shared: &Arc<Exchange> = client.shared();
        let installed = shared.lead.set(Box::new(Handle(inner.clone())));
        assert!(installed.is_ok(), "a client has one engine, and it is installed once");
        Self { inner }
    }

    /// Whether the background thread sleeps until the engine is free.
    #[cfg(test)]
    pub(super) fn background_waits(&self) -> impl Fn() -> bool + use<H, M> {
        let inner = self.inner.clone();
        move || inner.background_waits.load(Ordering::SeqCst)
    }

    /// What the background thread does, until the client has ended.
    #[expect(clippy::disallowed_methods, reason = "the one thread that may sleep")]
    pub fn run_in_background(self) {
        let inner = self.inner;
        let parker = inner.background.get_or_init(Parker::current);
        loop {
            let before = inner.leads.load(Ordering::Relaxed);
            thread::sleep(GRACE);
            if inner.leads.load(Ordering::Relaxed) != before {
                continue;
            }
            let Some(engine) = inner.engine_or_wait(parker) else { continue };
            inner.background_leads.store(true, Ordering::SeqCst);
            let ended = inner.lead(engine, || !lock(&inner.followers).is_empty());
            inner.background_leads.store(false, Ordering::SeqCst);
            if ended {
                return;
            }
        }
    }
}

struct Handle<H: BlockingHost, M: Machine>(Arc<Inner<H, M>>);

impl<H: BlockingHost, M: Machine> Lead for Handle<H, M> {
    fn wait(&self, parker: &Parker) {
        let inner = &self.0;
        let mut promoted = false;
        while !parker.take_notified() {
            if let Some(engine) = inner.try_engine() {
                promoted = false;
                inner.leads.fetch_add(1, Ordering::Relaxed);
                let ended = parker.rung_by(&inner.waker, || inner.lead(engine, || parker.is_notified()));
                if ended {
                    parker.park();
                    return;
                }
            } else if inner.follow(parker) {
                promoted = true;
            } else {
                return;
            }
        }
        if promoted {
            // It was to lead, and needs it no more.
            inner.hand_on();
        }
    }
}

/// Hands the lead on when dropped.
struct HandOn<'a, H: BlockingHost, M: Machine>(&'a Inner<H, M>);

impl<H: BlockingHost, M: Machine> Drop for HandOn<'_, H, M> {
    fn drop(&mut self) {
        self.0.hand_on();
    }
}

impl<H: BlockingHost, M: Machine> Inner<H, M> {
    fn try_engine(&self) -> Option<MutexGuard<'_, Option<Engine<H, M>>>> {
        match self.engine.try_lock() {
            Ok(engine) => Some(engine),
            Err(TryLockError::Poisoned(engine)) => Some(engine.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// For the background thread: the engine, or nothing after a sleep that ends when somebody who
    /// has led for long leaves it. Looking again and again would keep a processor awake.
    fn engine_or_wait(&self, parker: &Parker) -> Option<MutexGuard<'_, Option<Engine<H, M>>>> {
        self.background_waits.store(true, Ordering::Relaxed);
        // Either this sees that the engine is free, or who left it sees that this waits.
        fence(Ordering::SeqCst);
        let engine = self.try_engine();
        if engine.is_none() {
            parker.park();
        }
        self.background_waits.store(false, Ordering::Relaxed);
        engine
    }

    /// Drives until `enough`, then leaves the engine and hands the lead on. True when the client has ended.
    fn lead(&self, slot: MutexGuard<'_, Option<Engine<H, M>>>, enough: impl Fn() -> bool) -> bool {
        // Dropped after the engine is free, even by a host that panics: nobody else looks after those
        // who wait.
        let _leaving = HandOn(self);
        let mut slot = slot;
        let mut cx = Context::from_waker(&self.waker);
        while let Some(engine) = &mut *slot {
            if engine.poll(&mut cx).is_ready() {
                *slot = None;
                break;
            }
            if enough() {
                return false;
            }
            if !engine.is_raised() {
                let deadline = engine.deadline();
                let shared = engine.shared().clone();
                engine.host_mut().block(deadline, &|| shared.signal().is_raised() || enough());
            }
        }
        true
    }

    /// Sleeps until the outcome is there (false), or until it is this caller's turn to lead (true).
    fn follow(&self, parker: &Parker) -> bool {
        let follower = Arc::new(Follower { parker: parker.clone(), promoted: AtomicBool::new(false) });
        lock(&self.followers).push_back(follower.clone());
        if self.background_leads.load(Ordering::SeqCst) {
            // It looks at the followers when it wakes up.
            self.waker.wake_by_ref();
        }
        // The leader may have left before it could see this follower.
        if let Some(engine) = self.try_engine() {
            drop(engine);
            self.hand_on();
        }
        loop {
            let promoted = follower.promoted.load(Ordering::SeqCst);
            if parker.is_notified() {
                self.leave(&follower);
                parker.take_notified();
                return false;
            }
            if promoted {
                return true;
            }
            parker.sleep();
        }
    }

    /// A follower has its outcome. If it was to lead, another one is.
    fn leave(&self, follower: &Arc<Follower>) {
        let mut followers = lock(&self.followers);
        followers.retain(|other| !Arc::ptr_eq(other, follower));
        drop(followers);
        if follower.promoted.load(Ordering::SeqCst) {
            self.hand_on();
        }
    }

    /// The engine is free: the first follower leads, or else the background thread, if it waits.
    fn hand_on(&self) {
        let first = lock(&self.followers).pop_front();
        if let Some(follower) = first {
            follower.promoted.store(true, Ordering::SeqCst);
            follower.parker.rouse();
            return;
        }
        fence(Ordering::SeqCst);
        if self.background_waits.load(Ordering::Relaxed)
            && let Some(parker) = self.background.get()
        {
            parker.waker().wake();
        }
    }
}
