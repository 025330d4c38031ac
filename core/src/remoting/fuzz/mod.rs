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

/// How one header is tried; `headers!` makes one of each.
#[derive(Debug)]
pub(super) struct HeaderProbe {
    /// The request it belongs to.
    pub(super) code: Option<RequestCode>,
    /// Reads the header from any fields; true when that worked.
    pub(super) read: fn(&ExtFields) -> bool,
    /// As `read`; what could be read is written and read again, in both encodings.
    pub(super) rewrite: fn(&ExtFields),
    /// The same with any header.
    pub(super) generate: fn(&mut Source<'_>),
}

#[cfg(test)]
mod tests;
