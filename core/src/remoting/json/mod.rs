//! JSON as RocketMQ speaks it: strict enough for headers, and fastjson's dialect for bodies.
//!
//! `serde_json` rejects what brokers send (`{0:"a"}`, `{{"topic":"T"}:1}`), so this is the project's own.
//! Nothing recurses on input and nesting is bounded by [`DEPTH_MAX`].

mod escape;
mod reader;
mod scan;
mod value;
mod writer;

pub(crate) use escape::{escape, unescape};
pub(crate) use reader::{FromJson, JsonReader};
pub use scan::RawText;
pub(crate) use scan::{Scan, plain_len};
pub(crate) use writer::{JsonWriter, ToJson};

/// How deep objects and arrays may nest.
pub(crate) const DEPTH_MAX: u32 = 64;

/// Why a text is not the JSON that was expected, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {at}")]
#[non_exhaustive]
pub struct JsonError {
    /// The offset of the first byte that does not fit.
    pub at: usize,
    /// What is wrong there.
    pub problem: JsonProblem,
}

/// What is wrong with a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonProblem {
    /// The text ends inside a value.
    #[error("the JSON text ends inside a value")]
    End,
    /// The bytes are no UTF-8.
    #[error("the JSON text is not UTF-8")]
    Utf8,
    /// A byte that can't stand there.
    #[error("expected {0}")]
    Expected(&'static str),
    /// Objects and arrays nest deeper than 64 levels.
    #[error("JSON nests deeper than {DEPTH_MAX} levels")]
    Depth,
    /// A number that is none or doesn't fit its field.
    #[error("expected a number that fits {0}")]
    Number(&'static str),
    /// The value would take far more memory than its text.
    #[error("the JSON value would take more than its share of memory")]
    Memory,
    /// Something follows the value.
    #[error("the JSON text goes on after its value")]
    Trailing,
}
