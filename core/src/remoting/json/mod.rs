//! JSON as RocketMQ speaks it: strict enough for headers, and fastjson's dialect for bodies.
//!
//! `serde_json` rejects what brokers send (`{0:"a"}`, `{{"topic":"T"}:1}`), so this is the project's own.
//! Nothing recurses on input and nesting is bounded by [`DEPTH_MAX`].

mod escape;
mod scan;
mod value;

pub(crate) use escape::{escape, unescape};
pub use scan::Scan;
pub(crate) use scan::Text;
pub use value::{Json, JsonKey};
pub(crate) use value::{bodies, body_default, read_object, read_text, take_null};

/// How deep objects and arrays may nest.
pub const DEPTH_MAX: u32 = 64;

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
    /// Objects and arrays nest deeper than [`DEPTH_MAX`].
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
