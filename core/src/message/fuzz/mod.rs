//! Entry points for fuzzing: they take any bytes and may not panic.
//!
//! They are no test code, so that they always compile as the library does; the tests below run them over
//! the seeds in `fuzz/corpus`.

mod source;
mod stored;
mod texts;

pub(crate) use source::Source;
#[cfg(test)]
pub(crate) use stored::check_later;
pub(crate) use stored::roundtrip;

use bytes::Bytes;

/// Reads `bytes` as everything that the peer of a client or of a broker can send of messages, and
/// writes what was read again.
///
/// # Panics
/// When a decoder gives more than the bytes can hold, the two passes over stored records disagree, a
/// bad record hides its neighbours, or a round trip isn't one.
pub fn fuzz_message(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    stored::check_stored(&body);
    stored::check_batch(&body);
    texts::check_texts(&alloc::string::String::from_utf8_lossy(bytes));
}

#[cfg(test)]
pub(crate) mod tests;
