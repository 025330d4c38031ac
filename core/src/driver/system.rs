//! What hosts on an operating system have in common: clocks, entropy, and who this machine is.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "hosts take their facts from here")]

use super::std;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::UdpSocket;
use std::process;
use std::time::{self, SystemTime};

use crate::config::HostFacts;
use crate::time::{Instant, Timestamp};

/// The operating system's clocks and entropy.
#[derive(Clone, Copy, Debug)]
pub struct System {
    origin: time::Instant,
}

impl Default for System {
    fn default() -> Self {
        Self { origin: time::Instant::now() }
    }
}

impl System {
    /// The monotonic clock, from when this value was made.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::ZERO + self.origin.elapsed()
    }

    /// When `instant` is on the standard library's clock; `None` when that can't be told.
    #[must_use]
    pub fn to_std(&self, instant: Instant) -> Option<time::Instant> {
        self.origin.checked_add(instant - Instant::ZERO)
    }

    /// The wall clock.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(0) + since_epoch
    }

    /// Bits that differ in every process and every call.
    #[must_use]
    pub fn entropy(&self) -> u64 {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(process::id());
        hasher.write_i64(self.wall().as_millis());
        hasher.finish()
    }

    /// This process, and the address that this machine uses towards others.
    #[must_use]
    pub fn facts(&self) -> HostFacts {
        HostFacts { ip: outward_address().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), pid: process::id() }
    }
}

/// The source address of the default route. Connecting a UDP socket sends nothing; the address is
/// one that is reserved for documentation.
fn outward_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let address = socket.local_addr().as_ref().map(SocketAddr::ip).ok()?;
    (!address.is_unspecified()).then_some(address)
}
