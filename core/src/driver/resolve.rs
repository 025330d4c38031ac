//! Looking up host names. The standard library's blocking call by default; the simulator answers
//! by itself.

use super::std;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;

use smallvec::SmallVec;
use std::net::ToSocketAddrs;

use super::host::Spawn;
use super::mailbox::Urgent;
use super::shared::Shared;
use crate::client::Input;
use crate::id::ResolveToken;

/// The addresses of a name, or the resolver's words.
pub type Resolved = Result<SmallVec<[SocketAddr; 4]>, Arc<str>>;

/// Answers look-ups. Every [`Answer`] is to be used once; one that is dropped counts as a failure.
pub trait Resolver: Send + 'static {
    /// Looks up `host`; may answer at once or later, from anywhere.
    fn resolve(&mut self, host: Arc<str>, port: u16, answer: Answer);
}

/// Where the result of one look-up goes.
#[derive(Debug)]
pub struct Answer {
    shared: Arc<Shared>,
    token: Option<ResolveToken>,
}

impl Answer {
    pub(crate) fn new(shared: &Arc<Shared>, token: ResolveToken) -> Self {
        Self { shared: shared.clone(), token: Some(token) }
    }

    /// Tells the result.
    pub fn tell(mut self, result: Resolved) {
        self.put(result);
    }

    fn put(&mut self, result: Resolved) {
        if let Some(token) = self.token.take() {
            self.shared.push_urgent(Urgent::Input(Input::Resolved { token, result }));
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.put(Err(Arc::from("the look-up was given up")));
    }
}

/// The system's resolver, called where blocking is allowed.
pub struct SystemResolver {
    spawn: Arc<dyn Spawn>,
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemResolver")
    }
}

impl SystemResolver {
    /// Asks the system by way of `spawn`.
    #[must_use]
    pub fn new(spawn: Arc<dyn Spawn>) -> Self {
        Self { spawn }
    }
}

impl Resolver for SystemResolver {
    fn resolve(&mut self, host: Arc<str>, port: u16, answer: Answer) {
        self.spawn.spawn_blocking(Box::new(move || {
            let result = (&*host, port).to_socket_addrs();
            answer.tell(result.map(Iterator::collect).map_err(|error| Arc::from(error.to_string())));
        }));
    }
}
