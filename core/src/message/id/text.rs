//! [`IdText`]: an id in somebody else's words.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use core::fmt;
use core::ops::Deref;

/// An id as a broker wrote it, whatever it looks like. Reads as a `str`; ids of IPv4 hosts need no allocation.
#[derive(Clone)]
pub struct IdText(Form);

/// 32 characters are usual.
const SHORT_BYTES_MAX: usize = 38;

#[derive(Clone)]
enum Form {
    /// Always a whole text: it was copied from one.
    Short {
        bytes: [u8; SHORT_BYTES_MAX],
        len: u8,
    },
    Long(Box<str>),
}

impl IdText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Form::Short { bytes, len } => bytes
                .get(..usize::from(*len))
                .and_then(|bytes| core::str::from_utf8(bytes).ok())
                .unwrap_or_default(),
            Form::Long(text) => text,
        }
    }
}

impl From<&str> for IdText {
    fn from(text: &str) -> Self {
        let mut bytes = [0; SHORT_BYTES_MAX];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(text.as_bytes());
                Self(Form::Short { bytes, len })
            }
            _ => Self(Form::Long(text.into())),
        }
    }
}

impl From<Cow<'_, str>> for IdText {
    fn from(text: Cow<'_, str>) -> Self {
        Self::from(&*text)
    }
}

impl Deref for IdText {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for IdText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for IdText {}

impl fmt::Debug for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_text_is_kept(text in ".{0,60}", digits in "[0-9A-F]{32}|[0-9A-F]{56}") {
            for text in [&*text, &*digits] {
                let id = IdText::from(text);
                proptest::prop_assert_eq!(id.as_str(), text);
                proptest::prop_assert_eq!(matches!(id.0, Form::Short { .. }), text.len() <= SHORT_BYTES_MAX);
            }
        }
    }
}
