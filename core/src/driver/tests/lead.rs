//! Who drives, on a host that waits for its bell.
#![expect(clippy::disallowed_methods, reason = "it is about who leads among threads of its own")]

use super::super::std;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use bytes::BytesMut;
use std::io::{self, IoSlice};
use std::sync::{Condvar, Mutex, mpsc};
use std::task::Wake;
use std::thread::{self, JoinHandle, ThreadId};

use super::super::park::wait_for;
use super::super::{BlockingHost, Client, Host, Leader, Options, Spawn, lock, start_machine};
use super::script::{ScriptHost, ScriptMachine, Shared, obey, operation_of};
use crate::client::{ClientCommand, Command, Input, Outcome, Output};
use crate::config::HostFacts;
use crate::id::ChannelId;
use crate::time::{Instant, Timestamp};

/// Longer than anything here takes that works.
const HANGS: Duration = Duration::from_secs(20);

/// Rung by whoever has something for the engine.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn wait(&self) {
        let mut rung = lock(&self.rung);
        while !*rung {
            rung = self.changed.wait(rung).expect("nobody panics under it");
        }
        *rung = false;
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *lock(&self.rung) = true;
        self.changed.notify_all();
    }
}

/// Says which thread waits in it, and waits for its bell.
struct BellHost {
    script: ScriptHost,
    bell: Arc<Bell>,
    waits: mpsc::Sender<ThreadId>,
    /// What happens as the next wait begins.
    before: Before,
}

type Before = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

impl BlockingHost for BellHost {
    fn block(&mut self, _: Instant, raised: &dyn Fn() -> bool) {
        let before = lock(&self.before).take();
        if let Some(happen) = before {
            happen();
        }
        // What rang before it is heeded rings for nobody, as on a real host.
        *lock(&self.bell.rung) = false;
        if raised() {
            return;
        }
        // Nobody listens any more when the test is over.
        let _ = self.waits.send(thread::current().id());
        self.bell.wait();
    }

    fn waker(&self) -> Waker {
        Waker::from(self.bell.clone())
    }
}

impl Host for BellHost {
    fn now(&self) -> Instant {
        self.script.now()
    }

    fn wall(&self) -> Timestamp {
        self.script.wall()
    }

    fn entropy(&mut self) -> u64 {
        self.script.entropy()
    }

    fn facts(&self) -> HostFacts {
        self.script.facts()
    }

    fn spawn(&self) -> Arc<dyn Spawn> {
        self.script.spawn()
    }

    fn connect(&mut self, channel: ChannelId, address: SocketAddr) {
        self.script.connect(channel, address);
    }

    fn poll_connected(&mut self, channel: ChannelId, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.script.poll_connected(channel, cx)
    }

    fn poll_read(
        &mut self,
        channel: ChannelId,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        self.script.poll_read(channel, cx, buffer)
    }

    fn poll_write_vectored(
        &mut self,
        channel: ChannelId,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.script.poll_write_vectored(channel, cx, slices)
    }

    fn close(&mut self, channel: ChannelId) {
        self.script.close(channel);
    }

    fn poll_wait(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        self.script.poll_wait(deadline, cx)
    }
}

/// A client whose commands are done when the test says so: every second one ends the one before, too.
struct Stage {
    client: Client,
    leader: Option<Leader<BellHost, ScriptMachine>>,
    bell: Arc<Bell>,
    waits: mpsc::Receiver<ThreadId>,
    before: Before,
}

impl Stage {
    fn new() -> Self {
        let (tell, waits) = mpsc::channel();
        let (bell, before) = (Arc::new(Bell::default()), Before::default());
        let stage = Shared::default();
        let script = ScriptHost::new(stage.clone());
        let host = BellHost { script, bell: bell.clone(), waits: tell, before: before.clone() };
        let (client, engine) = start_machine(host, Options::default(), |_, _, _, _| {
            ScriptMachine::new(stage.clone(), in_pairs())
        });
        let leader = Some(Leader::install(&client, engine));
        Self { client, leader, bell, waits, before }
    }

    /// Who waits in the host next.
    fn who_waits(&self) -> ThreadId {
        self.waits.recv_timeout(HANGS).expect("somebody leads")
    }

    /// Leads until the next command of somebody else.
    fn caller(&self) -> JoinHandle<()> {
        let client = self.client.clone();
        thread::spawn(move || client.connect().wait().expect("what the machine says"))
    }

    fn background(&mut self) -> (JoinHandle<()>, impl Fn() -> bool + use<>) {
        let leader = self.leader.take().expect("once");
        let sleeps = leader.background_waits();
        (thread::spawn(move || leader.run_in_background()), sleeps)
    }

    /// The next wait of who leads begins with this.
    fn before_it_waits(&self, happens: impl FnOnce() + Send + 'static) {
        *lock(&self.before) = Some(Box::new(happens));
        self.bell.clone().wake();
    }

    /// The background thread ends with the client.
    fn end(self, background: JoinHandle<()>) {
        drop(self.client);
        background.join().expect("it ends");
    }
}

fn in_pairs() -> impl FnMut(&Input, &mut VecDeque<Output>) + Send {
    let mut first = None;
    move |input, outputs| match input {
        Input::Command(Command::Client(ClientCommand::Connect { .. })) if first.is_none() => {
            first = operation_of(input)
        }
        Input::Command(_) => {
            let done = |operation| Output::Complete { operation, outcome: Outcome::Done };
            outputs.extend(first.take().map(done));
            obey(input, outputs);
        }
        _ => {}
    }
}

/// Until `sleeps` is true.
fn falls_asleep(sleeps: &impl Fn() -> bool) {
    while !sleeps() {
        thread::yield_now();
    }
}

/// Fails a test that hangs.
fn soon(test: impl FnOnce() + Send + 'static) {
    let (tell, told) = mpsc::channel::<()>();
    let tested = thread::spawn(move || {
        let _tell = tell;
        test();
    });
    let hangs = told.recv_timeout(HANGS) == Err(mpsc::RecvTimeoutError::Timeout);
    assert!(!hangs, "it hangs");
    tested.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

#[test]
fn the_background_thread_sleeps_while_a_caller_leads_and_leads_when_he_leaves() {
    soon(|| {
        let mut stage = Stage::new();
        let caller = stage.caller();
        assert_eq!(stage.who_waits(), caller.thread().id());
        let (background, sleeps) = stage.background();
        falls_asleep(&sleeps);
        for _ in 0..1_000 {
            // Something happens, but nothing that the caller waits for.
            stage.bell.clone().wake();
            assert_eq!(stage.who_waits(), caller.thread().id());
            assert!(sleeps(), "it woke up, and the caller leads");
        }
        // Dropped at once, it would be withdrawn.
        let next = stage.client.connect();
        caller.join().expect("he has his outcome");
        assert_eq!(stage.who_waits(), background.thread().id());
        assert!(!sleeps());
        drop(next);
        stage.end(background);
    });
}

/// A caller waits for `ready`, which no engine tells; gives his waker too.
fn waits_for_elsewhere(stage: &Stage, ready: &Arc<AtomicBool>) -> (JoinHandle<()>, Waker) {
    let (client, ready) = (stage.client.clone(), ready.clone());
    let (tell, told) = mpsc::channel();
    let future = poll_fn(move |cx| {
        // Only the first one is listened to.
        let _ = tell.send(cx.waker().clone());
        if ready.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    });
    let caller = thread::spawn(move || wait_for(Some(client.shared()), future));
    let waker = told.recv().expect("it is polled");
    (caller, waker)
}

#[test]
fn a_caller_who_leads_leaves_for_what_comes_from_elsewhere() {
    soon(|| {
        let mut stage = Stage::new();
        let ready = Arc::new(AtomicBool::new(false));
        let (caller, waker) = waits_for_elsewhere(&stage, &ready);
        assert_eq!(stage.who_waits(), caller.thread().id());
        let (background, sleeps) = stage.background();
        falls_asleep(&sleeps);
        ready.store(true, Ordering::SeqCst);
        waker.wake();
        caller.join().expect("he was told");
        assert_eq!(stage.who_waits(), background.thread().id());
        stage.end(background);
    });
}

#[test]
fn what_comes_from_elsewhere_before_the_host_heeds_its_bell_is_not_missed() {
    soon(|| {
        let mut stage = Stage::new();
        let ready = Arc::new(AtomicBool::new(false));
        let (caller, waker) = waits_for_elsewhere(&stage, &ready);
        assert_eq!(stage.who_waits(), caller.thread().id());
        let (background, sleeps) = stage.background();
        falls_asleep(&sleeps);
        stage.before_it_waits(move || {
            ready.store(true, Ordering::SeqCst);
            waker.wake();
        });
        caller.join().expect("he was told");
        assert_eq!(stage.who_waits(), background.thread().id());
        stage.end(background);
    });
}

#[test]
fn a_caller_whose_host_breaks_leaves_the_lead_to_others() {
    soon(|| {
        let mut stage = Stage::new();
        let caller = stage.caller();
        assert_eq!(stage.who_waits(), caller.thread().id());
        let (background, sleeps) = stage.background();
        falls_asleep(&sleeps);
        stage.before_it_waits(|| panic!("as the test wants it"));
        drop(caller.join().expect_err("the host broke"));
        assert_eq!(stage.who_waits(), background.thread().id());
        stage.end(background);
    });
}
