//! [`HexId`]: 16 or 28 bytes as upper-case hexadecimal digits, without an allocation.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::Deref;

/// The length of an id with an IPv4 address, in characters.
pub(super) const SHORT_CHARS: usize = 32;
/// The length of an id with an IPv6 address, in characters.
pub(super) const LONG_CHARS: usize = 56;

/// An id of 32 (IPv4) or 56 (IPv6) upper-case hexadecimal digits.
#[derive(Clone, Copy)]
pub struct HexId {
    digits: [u8; LONG_CHARS],
    len: usize,
}

impl HexId {
    /// The id that starts with `ip` and ends with `rest`.
    pub(super) fn new(ip: IpAddr, rest: [u8; 12]) -> Self {
        let mut id = Self { digits: [b'0'; LONG_CHARS], len: 0 };
        match ip {
            IpAddr::V4(ip) => id.push(&ip.octets()),
            IpAddr::V6(ip) => id.push(&ip.octets()),
        }
        id.push(&rest);
        id
    }

    /// Overwrites the last bytes with `tail`.
    pub(super) fn set_tail(&mut self, tail: [u8; 6]) {
        self.len = self.len.saturating_sub(tail.len() * 2);
        self.push(&tail);
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.digits.get(..self.len).and_then(|digits| core::str::from_utf8(digits).ok()).unwrap_or_default()
    }

    fn push(&mut self, bytes: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let places = self.digits.iter_mut().skip(self.len);
        let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        for (place, nibble) in places.zip(nibbles) {
            *place = DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
        }
        self.len += bytes.len() * 2;
    }
}

/// The address at the start of a text of 32 or 56 hexadecimal digits, and the 12 bytes after it.
pub(super) fn parse(text: &str) -> Option<(IpAddr, [u8; 12])> {
    let digits = text.as_bytes();
    let ip_chars = digits.len().checked_sub(24)?;
    let (ip, rest) = digits.split_at_checked(ip_chars)?;
    let ip = match digits.len() {
        SHORT_CHARS => IpAddr::V4(Ipv4Addr::from(bytes::<4>(ip)?)),
        LONG_CHARS => IpAddr::V6(Ipv6Addr::from(bytes::<16>(ip)?)),
        _ => return None,
    };
    Some((ip, bytes(rest)?))
}

fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            *byte = (*byte << 4) | u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
        }
    }
    Some(bytes)
}

impl Deref for HexId {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for HexId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for HexId {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for HexId {}

impl Hash for HexId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for HexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for HexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
