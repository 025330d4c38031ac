//! What frames say of themselves, for a look at a stream of them that is written in pieces.

use bytes::Bytes;

use super::frame::{Head, PREFIX_LEN};
use super::{FLAG_RESPONSE, SerializeType};

/// A frame without its fields and its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// The request or response code.
    pub code: i32,
    /// The number by which the requester finds its response.
    pub opaque: i32,
    /// Its flags.
    pub flag: i32,
    /// How long its body is.
    pub body_bytes: usize,
}

impl FrameHead {
    /// Whether this frame answers a request.
    #[must_use]
    pub const fn is_response(&self) -> bool {
        self.flag & FLAG_RESPONSE != 0
    }
}

/// The heads of whole frames that were written in pieces, where a piece may end within a body but not within a
/// head, as [`Encoder`](super::Encoder) and a body by reference make them. Ends where that is not so.
pub fn frame_heads(pieces: &[Bytes]) -> impl Iterator<Item = FrameHead> {
    // Where the next frame begins: in which piece, and how far beyond that piece's start.
    let (mut piece, mut at) = (0, 0);
    core::iter::from_fn(move || {
        while pieces.get(piece).is_some_and(|bytes| at >= bytes.len()) {
            at -= pieces.get(piece)?.len();
            piece += 1;
        }
        let rest = pieces.get(piece)?.get(at..)?;
        let (prefix, rest) = rest.split_first_chunk::<PREFIX_LEN>()?;
        let &[l0, l1, l2, l3, kind, h0, h1, h2] = prefix;
        let len = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).ok()?;
        let header_len = usize::try_from(u32::from_be_bytes([0, h0, h1, h2])).ok()?;
        let body_bytes = len.checked_sub(4 + header_len)?;
        let head = Head::parse(rest.get(..header_len)?, SerializeType::from_byte(kind)?).ok()?;
        at += 4 + len;
        Some(FrameHead { code: head.code, opaque: head.opaque, flag: head.flag, body_bytes })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remoting::{Encoder, Head as Written, NoHeader};
    use alloc::vec::Vec;
    use bytes::BytesMut;

    #[test]
    fn heads_are_found_whatever_lies_between_them() {
        let mut arena = BytesMut::new();
        let mut pieces = Vec::new();
        for (opaque, body_len, apart) in [(1, 0, false), (2, 3, false), (3, 9, true), (4, 0, false)] {
            let serialize = if opaque == 2 { SerializeType::Rocketmq } else { SerializeType::Json };
            let head = Written { code: 10 + opaque, opaque, flag: 0, remark: None };
            let encoder = Encoder { serialize, ..Encoder::default() };
            encoder.encode(&mut arena, &head, &NoHeader, &[("a", "b")], body_len);
            if apart {
                pieces.push(arena.split().freeze());
                pieces.push(Bytes::from(alloc::vec![0; body_len]));
            } else {
                arena.resize(arena.len() + body_len, 0);
            }
        }
        pieces.push(arena.freeze());
        let heads: Vec<_> =
            frame_heads(&pieces).map(|head| (head.code, head.opaque, head.body_bytes)).collect();
        assert_eq!(heads, [(11, 1, 0), (12, 2, 3), (13, 3, 9), (14, 4, 0)]);
        assert_eq!(frame_heads(&[Bytes::from_static(b"\xff\xff\xff\xffnonsense")]).count(), 0);
    }
}
