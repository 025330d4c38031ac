//! What fuzz targets call: each takes any bytes and must neither panic nor take much memory.
//!
//! They are no test code, so that they always compile as the library does; the tests below run them over
//! the seeds in `fuzz/corpus`.

mod body;
mod frame;
mod roundtrip;

pub(super) use super::generate::Generate;
pub(super) use crate::message::fuzz::Source;
pub(super) use body::check_body;
pub use body::fuzz_body;
pub use frame::fuzz_frame;
pub use roundtrip::fuzz_roundtrip;
pub(super) use roundtrip::through_the_wire;

use super::{ExtFields, RequestCode};

/// How one header is written and read again, in both encodings; `headers!` makes one of each.
#[derive(Debug)]
pub(super) struct HeaderProbe {
    /// The request it belongs to.
    pub(super) code: Option<RequestCode>,
    /// The header that can be read from these fields, if one can: then true.
    pub(super) rewrite: fn(&ExtFields) -> bool,
    /// Any header.
    pub(super) generate: fn(&mut Source<'_>),
}

#[cfg(test)]
mod tests;
