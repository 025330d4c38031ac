//! Waiting without an executor: a thread parks until its waker is called, or, where the host
//! allows it, drives the engine itself meanwhile.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll};

use super::exchange::Exchange;
use super::parker::Parker;

/// Polls `future` on this thread until it is ready.
pub fn block_on<F: Future>(future: F) -> F::Output {
    wait_for(None, future)
}

/// As [`block_on`]; drives the client meanwhile where its host allows that.
pub(crate) fn wait_for<F: Future>(shared: Option<&Exchange>, future: F) -> F::Output {
    let parker = Parker::current();
    let waker = parker.waker();
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        let may_wait = shared.is_none_or(|shared| shared.spawn.may_wait());
        assert!(may_wait, "nothing would happen while this thread waits: use .await instead of .wait()");
        match shared.and_then(|shared| shared.lead.get()) {
            Some(lead) => lead.wait(&parker),
            None => parker.park(),
        }
    }
}
