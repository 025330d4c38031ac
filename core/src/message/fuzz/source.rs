//! [`Source`]: the bytes of a fuzzer as numbers and texts.

use alloc::string::String;
use core::net::SocketAddr;

/// Draws values from bytes; when they are used up, all that follows is zero.
#[derive(Clone, Debug)]
pub(crate) struct Source<'s> {
    bytes: &'s [u8],
}

/// Characters that text is made of besides ASCII: of two, three and four bytes, and the last of each kind.
const WIDE: [char; 8] = ['é', '\u{7FF}', '\u{800}', '中', '\u{D7FF}', '\u{FFFF}', '\u{1F600}', '\u{10FFFF}'];

impl<'s> Source<'s> {
    pub(crate) const fn new(bytes: &'s [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let taken = self.slice(N);
        let mut array = [0; N];
        array.iter_mut().zip(taken).for_each(|(to, from)| *to = *from);
        array
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(u16::from_le_bytes(self.array())) % bound.max(1)
    }

    pub(crate) fn bool(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Often one of the numbers at which something ends.
    pub(crate) fn i32(&mut self) -> i32 {
        match self.byte() % 8 {
            0 => 0,
            1 => 1,
            2 => -1,
            3 => i32::MAX,
            4 => i32::MIN,
            _ => i32::from_le_bytes(self.array()),
        }
    }

    /// Often one of the numbers at which something ends.
    pub(crate) fn i64(&mut self) -> i64 {
        match self.byte() % 8 {
            0 => 0,
            1 => 1,
            2 => -1,
            3 => i64::MAX,
            4 => i64::MIN,
            _ => i64::from_le_bytes(self.array()),
        }
    }

    /// Up to `most` bytes.
    pub(crate) fn slice(&mut self, most: usize) -> &'s [u8] {
        let (taken, rest) = self.bytes.split_at_checked(most).unwrap_or((self.bytes, &[]));
        self.bytes = rest;
        taken
    }

    /// Up to 255 bytes, seldom more.
    pub(crate) fn some_bytes(&mut self) -> &'s [u8] {
        let len = match self.byte() {
            255 => 40_000,
            len => usize::from(len),
        };
        self.slice(len)
    }

    /// Up to 23 characters, seldom more; controls, quotes and wide ones among them.
    pub(crate) fn text(&mut self) -> String {
        let len = match self.byte() {
            255 => 40_000,
            len => usize::from(len % 24),
        };
        let char_of = |&byte: &u8| match byte {
            0..0x80 => char::from(byte),
            _ => WIDE.get(usize::from(byte % 8)).copied().unwrap_or('é'),
        };
        self.slice(len).iter().map(char_of).collect()
    }

    pub(crate) fn host(&mut self) -> SocketAddr {
        let port = u16::from_le_bytes(self.array());
        if self.bool() {
            SocketAddr::from((self.array::<16>(), port))
        } else {
            SocketAddr::from((self.array::<4>(), port))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_is_used_up_gives_zeros() {
        let mut source = Source::new(&[7]);
        assert_eq!((source.byte(), source.i64(), source.text().as_str()), (7, 0, ""));
        assert_eq!(source.host(), SocketAddr::from(([0, 0, 0, 0], 0)));
    }
}
