//! [`HexId`]: 16 or 28 bytes that read as upper-case hexadecimal digits.

use alloc::string::String;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The length of an id with an IPv4 address, in characters.
pub(super) const SHORT_CHARS: usize = 32;
/// The length of an id with an IPv6 address, in characters.
pub(super) const LONG_CHARS: usize = 56;
const LONG_BYTES: usize = LONG_CHARS / 2;

/// An id of 32 (IPv4) or 56 (IPv6) upper-case hexadecimal digits. Kept as bytes, half of their number; shown
/// and compared as the digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HexId {
    /// Zeros from `len` on.
    bytes: [u8; LONG_BYTES],
    len: u8,
}

impl HexId {
    /// The id that starts with `ip` and ends with `rest`.
    pub(super) fn new(ip: IpAddr, rest: [u8; 12]) -> Self {
        let mut id = Self { bytes: [0; LONG_BYTES], len: 0 };
        match ip {
            IpAddr::V4(ip) => id.push(&ip.octets()),
            IpAddr::V6(ip) => id.push(&ip.octets()),
        }
        id.push(&rest);
        id
    }

    /// Overwrites the last bytes with `tail`.
    pub(super) fn set_tail(&mut self, tail: [u8; 6]) {
        self.len = self.len.saturating_sub(6);
        self.push(&tail);
    }

    /// The id that its generator gives `count` ids later in the same millisecond.
    pub(crate) fn following(mut self, count: u16) -> Self {
        let end = usize::from(self.len);
        let counter = end.checked_sub(2).and_then(|start| self.bytes.get_mut(start..end));
        if let Some([high, low]) = counter {
            [*high, *low] = u16::from_be_bytes([*high, *low]).wrapping_add(count).to_be_bytes();
        }
        self
    }

    /// How many digits it has.
    #[must_use]
    pub const fn char_count(&self) -> usize {
        2 * self.len as usize
    }

    /// Appends its digits to `text`.
    pub fn push_to(&self, text: &mut String) {
        self.with_text(|digits| text.push_str(digits));
    }

    /// Its first bytes as digits, and its last six.
    pub(super) fn split_tail(&self) -> (&[u8], &[u8]) {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        bytes.split_at_checked(bytes.len().saturating_sub(6)).unwrap_or_default()
    }

    fn with_text<R>(&self, take: impl FnOnce(&str) -> R) -> R {
        let mut digits = [0; LONG_CHARS];
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        take(write_digits(bytes, &mut digits))
    }

    fn push(&mut self, bytes: &[u8]) {
        let start = usize::from(self.len);
        if let Some(place) = self.bytes.get_mut(start..start + bytes.len()) {
            place.copy_from_slice(bytes);
            self.len += bytes.len() as u8;
        }
    }
}

/// The digits of `bytes`, written into `digits`, which must have room.
pub(super) fn write_digits<'d>(bytes: &[u8], digits: &'d mut [u8]) -> &'d str {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    for (byte, place) in bytes.iter().zip(digits.chunks_exact_mut(2)) {
        place.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    digits.get(..2 * bytes.len()).and_then(|digits| core::str::from_utf8(digits).ok()).unwrap_or_default()
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

impl PartialEq<str> for HexId {
    fn eq(&self, other: &str) -> bool {
        self.with_text(|digits| digits == other)
    }
}

impl PartialEq<&str> for HexId {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl From<HexId> for String {
    fn from(id: HexId) -> Self {
        let mut text = Self::with_capacity(id.char_count());
        id.push_to(&mut text);
        text
    }
}

impl fmt::Display for HexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|digits| f.pad(digits))
    }
}

impl fmt::Debug for HexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
