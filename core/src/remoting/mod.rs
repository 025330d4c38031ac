//! The remoting protocol: frames, headers, codes and bodies.
//!
//! Bytes of a peer go into a [`FrameDecoder`], which gives [`RemotingCommand`]s whose header and body are
//! slices of the read buffer; a typed [`Header`] is read from a command when somebody asks. Outgoing commands
//! are written by an [`Encoder`].

mod body;
mod code;
mod command;
mod encode;
mod ext_fields;
mod frame;
mod frame_heads;
mod fuzz;
mod generate;
mod header;
mod headers;
mod json;
mod language;
mod sign;
mod template;

pub use body::*;
pub use code::{RequestCode, ResponseCode};
pub use command::{FLAG_ONEWAY, FLAG_RESPONSE, RemotingCommand};
pub use encode::{Encoder, Head};
pub use ext_fields::{ExtFields, ExtFieldsIter};
pub use frame::{FRAME_BYTES_MAX, FrameDecoder, FrameError};
pub use frame_heads::{FrameHead, frame_heads};
#[doc(hidden)]
pub use fuzz::{fuzz_body, fuzz_frame, fuzz_roundtrip};
pub use header::{
    FieldSink, FieldType, FieldValue, Header, HeaderError, HeaderProblem, NoHeader, RequestHeader,
    RpcRequestHeader, TopicRequestHeader,
};
pub use headers::*;
pub use json::{JsonError, JsonProblem, RawText};
pub use language::{LanguageCode, SerializeType, VERSION};
pub use sign::{ACCESS_KEY, SECURITY_TOKEN, SIGNATURE, Signer};
pub use template::{SendFields, SendTemplate};

#[cfg(test)]
mod golden;

#[cfg(test)]
mod tests {
    extern crate std;
    use alloc::vec::Vec;

    pub(super) fn unhex(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }
}
