//! Which name server is asked: one, until it fails; then the next.
//!
//! Java stays with its choice until the connection breaks and reports the failure to the caller; here
//! a look-up that failed goes to the other servers before anybody hears of it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::rng::Rng;

/// The name servers and the one that is asked now.
#[derive(Clone, Debug)]
pub struct NameServers {
    addresses: Vec<Arc<str>>,
    chosen: usize,
}

impl NameServers {
    /// Starts with a server drawn at random, so that many clients spread over them.
    pub fn new(addresses: &[Arc<str>], rng: &mut Rng) -> Self {
        let chosen = usize::try_from(rng.below(addresses.len() as u64)).expect("below the length");
        Self { addresses: addresses.to_vec(), chosen }
    }

    /// The one to ask.
    #[must_use]
    pub fn chosen(&self) -> &Arc<str> {
        &self.addresses[self.chosen]
    }

    /// The first that `accepts`, beginning with the one to ask.
    pub fn first_of(&self, accepts: impl Fn(&Arc<str>) -> bool) -> Option<&Arc<str>> {
        let (before, from) = self.addresses.split_at(self.chosen);
        from.iter().chain(before).find(|address| accepts(address))
    }

    /// Whether `address` is one of them.
    #[must_use]
    pub fn contains(&self, address: &str) -> bool {
        self.addresses.iter().any(|known| &**known == address)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Never true: a configuration without name servers is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Turns to the next server, unless somebody has turned away from `failed` already.
    pub fn turn_from(&mut self, failed: &str) {
        if &**self.chosen() == failed {
            self.chosen = (self.chosen + 1) % self.addresses.len();
            if self.addresses.len() > 1 {
                tracing::debug!(failed, next = %self.chosen(), "turning to another name server");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn two_failures_of_one_server_turn_only_once() {
        let servers: Vec<Arc<str>> = vec!["a:1".into(), "b:1".into(), "c:1".into()];
        let mut servers = NameServers::new(&servers, &mut Rng::new(1));
        let first = servers.chosen().clone();
        servers.turn_from(&first);
        let second = servers.chosen().clone();
        assert_ne!(first, second);
        servers.turn_from(&first);
        assert_eq!(*servers.chosen(), second);
    }
}
