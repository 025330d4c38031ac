//! One typed struct for every header of the protocol, in files by who uses them.

mod admin;
mod client;
mod namesrv;
mod pop;
mod pull;
mod send;

pub use admin::*;
pub use client::*;
pub use namesrv::*;
pub use pop::*;
pub use pull::*;
pub use send::*;

use super::{
    RawText,
    fuzz::HeaderProbe,
    header::{FieldType, FieldValue},
};

/// How every header is tried; see [`HeaderProbe`].
pub(super) const PROBES: [&[HeaderProbe]; 6] =
    [admin::PROBES, client::PROBES, namesrv::PROBES, pop::PROBES, pull::PROBES, send::PROBES];

/// Which end of a run of equal times a search by time gives. Java: `BoundaryType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BoundaryType {
    /// The first message stored at or after the time; what brokers take when nothing is said.
    #[default]
    Lower,
    /// The last message stored at or before the time.
    Upper,
}

/// As Java, only `upper` in any case is upper.
impl<'a> FieldType<'a> for BoundaryType {
    fn from_text(text: RawText<'a>) -> Option<Self> {
        Some(if text.text().eq_ignore_ascii_case("upper") { Self::Upper } else { Self::Lower })
    }

    fn value(&self) -> FieldValue<'_> {
        FieldValue::Str(match self {
            Self::Lower => "LOWER",
            Self::Upper => "UPPER",
        })
    }
}

#[cfg(test)]
pub(super) mod checks;

#[cfg(test)]
mod tests {
    use super::{super::*, *};

    #[test]
    fn a_missing_required_field_is_named() {
        let ext = [("topic", "T")].into_iter().collect();
        let error = QueryConsumerOffsetRequestHeader::read_fields(&ext).unwrap_err();
        assert_eq!((error.header, error.field), ("QueryConsumerOffsetRequestHeader", "consumerGroup"));
        assert_eq!(error.problem, HeaderProblem::Missing);
    }

    #[test]
    fn a_value_that_does_not_fit_is_named() {
        for bad in ["abc", "1099511627776", "1e400", "1.5"] {
            let ext = [("consumerGroup", "G"), ("topic", "T"), ("queueId", bad)].into_iter().collect();
            let error = QueryConsumerOffsetRequestHeader::read_fields(&ext).unwrap_err();
            assert_eq!((error.field, error.problem), ("queueId", HeaderProblem::Invalid), "{bad}");
        }
    }

    #[test]
    fn an_absent_field_with_a_default_reads_as_it() {
        let ext = [("topic", "T"), ("queueId", "1")].into_iter().collect();
        assert!(GetMaxOffsetRequestHeader::read_fields(&ext).unwrap().committed);
        assert!(GetMaxOffsetRequestHeader::default().committed);
    }

    #[test]
    fn empty_text_is_kept_in_json_and_empty_numbers_are_absent() {
        let ext = [("msgId", ""), ("queueId", "1"), ("queueOffset", "2"), ("transactionId", "")]
            .into_iter()
            .collect();
        let header = SendMessageResponseHeader::read_fields(&ext).unwrap();
        assert_eq!((&*header.msg_id, header.transaction_id.as_deref()), ("", Some("")));
        let ext = [("consumerGroup", "G"), ("queueId", "")].into_iter().collect();
        assert!(UpdateConsumerOffsetRequestHeader::read_fields(&ext).is_err());
    }
}
