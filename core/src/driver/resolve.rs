//! Looking up host names. The standard library's blocking call by default; the simulator answers
//! by itself.

use super::std;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use smallvec::SmallVec;
use std::net::ToSocketAddrs;
use std::sync::Mutex;

use super::exchange::Exchange;
use super::host::Spawn;
use super::lock;
use super::mailbox::Urgent;
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
    shared: Arc<Exchange>,
    token: Option<ResolveToken>,
}

impl Answer {
    pub(crate) fn new(shared: &Arc<Exchange>, token: ResolveToken) -> Self {
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

/// Look-ups of a client that are under way at once. Each takes a thread and a socket, for much longer than
/// anybody waits for it when the name's servers are silent.
const LOOKUPS_MAX: usize = 32;
/// Look-ups that wait for one of those; the oldest beyond are given up. As many as connects are under way at once.
const WAITING_MAX: usize = 64;

/// The system's resolver, called where blocking is allowed.
///
/// At most 32 look-ups are under way at once, one of each name. The newest of those that wait goes next, since whoever
/// asked for the oldest has given up long ago, or will have.
pub struct SystemResolver {
    spawn: Arc<dyn Spawn>,
    lookups: Arc<Mutex<Lookups<Answer>>>,
}

type Name = (Arc<str>, u16);

/// What is under way and what waits, with who is to hear of it.
#[derive(Debug)]
struct Lookups<A> {
    under_way: BTreeMap<Name, A>,
    waiting: Vec<(Name, A)>,
}

impl<A> Default for Lookups<A> {
    fn default() -> Self {
        Self { under_way: BTreeMap::new(), waiting: Vec::new() }
    }
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
        Self { spawn, lookups: Arc::default() }
    }
}

impl Resolver for SystemResolver {
    fn resolve(&mut self, host: Arc<str>, port: u16, answer: Answer) {
        let name = (host, port);
        // Whatever is given up is dropped, and with that answered, outside of the lock.
        let (begins, _given_up) = lock(&self.lookups).add(&name, answer);
        if begins {
            let lookups = self.lookups.clone();
            self.spawn.spawn_blocking(Box::new(move || look_up_all(&lookups, name)));
        }
    }
}

impl Drop for SystemResolver {
    fn drop(&mut self) {
        let _given_up = core::mem::take(&mut lock(&self.lookups).waiting);
    }
}

impl<A> Lookups<A> {
    /// Whether a look-up of the name is to begin now, and the answer that nobody waits for any more.
    fn add(&mut self, name: &Name, answer: A) -> (bool, Option<A>) {
        if let Some(asked) = self.under_way.get_mut(name) {
            return (false, Some(core::mem::replace(asked, answer)));
        }
        if self.under_way.len() < LOOKUPS_MAX {
            self.under_way.insert(name.clone(), answer);
            return (true, None);
        }
        let same = self.waiting.iter().position(|(waiting, _)| waiting == name);
        let oldest = (self.waiting.len() >= WAITING_MAX).then_some(0);
        let given_up = same.or(oldest).map(|index| self.waiting.remove(index).1);
        self.waiting.push((name.clone(), answer));
        (false, given_up)
    }

    /// A look-up has ended: who hears of it, and the name that is next.
    fn end(&mut self, name: &Name) -> (Option<A>, Option<Name>) {
        let answer = self.under_way.remove(name);
        let next = self.waiting.pop().map(|(next, answer)| {
            self.under_way.insert(next.clone(), answer);
            next
        });
        (answer, next)
    }
}

/// Looks up one name, and then those that wait.
fn look_up_all(lookups: &Mutex<Lookups<Answer>>, name: Name) {
    let mut next = Some(name);
    while let Some(name) = next.take() {
        let result = (&*name.0, name.1).to_socket_addrs();
        let answer;
        (answer, next) = lock(lookups).end(&name);
        if let Some(answer) = answer {
            answer.tell(result.map(Iterator::collect).map_err(|error| Arc::from(error.to_string())));
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn name(number: u32) -> Name {
        (Arc::from(format!("host-{number}")), 1)
    }

    #[test]
    fn look_ups_have_a_bound_and_the_newest_that_waits_is_next() {
        let mut lookups = Lookups::default();
        for number in 0..200 {
            let (begins, given_up) = lookups.add(&name(number), number);
            assert_eq!(begins, number < 32, "{number}");
            // 64 wait, the oldest beyond hears at once.
            let oldest = (number >= 96).then(|| number - 64);
            assert_eq!(given_up, oldest, "{number}");
        }
        let (heard, next) = lookups.end(&name(7));
        assert_eq!(heard, Some(7));
        assert_eq!(next, Some(name(199)));
        assert_eq!(lookups.under_way.len(), 32);
    }

    #[test]
    fn a_name_is_looked_up_once_at_a_time_for_whoever_asked_last() {
        let mut lookups = Lookups::default();
        assert!(lookups.add(&name(1), 1).0);
        let (begins, given_up) = lookups.add(&name(1), 2);
        assert!(!begins);
        assert_eq!(given_up, Some(1));
        let (heard, next) = lookups.end(&name(1));
        assert_eq!((heard, next), (Some(2), None));
        assert!(lookups.add(&name(1), 3).0);
    }
}
