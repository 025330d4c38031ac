//! One request or response.

use super::{ExtFields, Header, HeaderError, LanguageCode, RequestCode, ResponseCode};
use alloc::boxed::Box;
use bytes::Bytes;
use core::fmt;

/// The bit of `flag` that marks a response.
pub const FLAG_RESPONSE: i32 = 1;
/// The bit of `flag` that marks a request nobody answers.
pub const FLAG_ONEWAY: i32 = 2;

/// One request or response as it arrived; header and body are slices of the read buffer.
///
/// Requests and responses look alike and have `opaque` numbers of their own in each direction: a response
/// is told from a request by [`RemotingCommand::is_response`] only.
#[derive(Clone)]
pub struct RemotingCommand {
    /// A request code or a response code.
    pub code: i32,
    /// The sender's language.
    pub language: LanguageCode,
    /// The sender's version, see [`VERSION`](super::VERSION); 0 when it stated none.
    pub version: i32,
    /// The number by which the requester finds its response.
    pub opaque: i32,
    /// [`FLAG_RESPONSE`] and [`FLAG_ONEWAY`].
    pub flag: i32,
    /// Text for humans; what it says is no contract.
    pub remark: Option<Box<str>>,
    /// The typed header's fields and what hooks added.
    pub ext: ExtFields,
    /// The body; empty when there is none.
    pub body: Bytes,
}

impl RemotingCommand {
    /// True for a response, false for a request.
    #[must_use]
    pub const fn is_response(&self) -> bool {
        self.flag & FLAG_RESPONSE != 0
    }

    /// True for a request that must not be answered.
    #[must_use]
    pub const fn is_oneway(&self) -> bool {
        self.flag & FLAG_ONEWAY != 0
    }

    /// The code of a request.
    #[must_use]
    pub const fn request_code(&self) -> RequestCode {
        RequestCode(self.code)
    }

    /// The code of a response.
    #[must_use]
    pub const fn response_code(&self) -> ResponseCode {
        ResponseCode(self.code)
    }

    /// The typed header.
    ///
    /// # Errors
    /// [`HeaderError`] when a required field is absent or a value doesn't fit its field.
    pub fn header<'a, H: Header<'a>>(&'a self) -> Result<H, HeaderError> {
        H::read_fields(&self.ext)
    }
}

impl fmt::Debug for RemotingCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RemotingCommand");
        if self.is_response() {
            shown.field("code", &self.response_code());
        } else {
            shown.field("code", &self.request_code());
        }
        shown
            .field("language", &self.language)
            .field("version", &self.version)
            .field("opaque", &self.opaque)
            .field("flag", &self.flag)
            .field("remark", &self.remark)
            .field("ext", &self.ext)
            .field("body_len", &self.body.len())
            .finish()
    }
}
