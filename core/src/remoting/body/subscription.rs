//! Subscriptions.

use super::bodies;
use crate::message::{java_string_hash, java_trim};
use crate::time::Timestamp;
use alloc::{collections::BTreeSet, sync::Arc};

/// The type of expressions that select by tag, the default.
pub const TAG: &str = "TAG";
/// The type of expressions that select by properties.
pub const SQL92: &str = "SQL92";
/// The expression that selects everything.
pub const SUB_ALL: &str = "*";

/// Whether an expression of this type selects by tag: the default. Java: `ExpressionType#isTagType`.
#[must_use]
pub fn is_tag_type(expression_type: Option<&str>) -> bool {
    expression_type.is_none_or(|name| name.is_empty() || name == TAG)
}

bodies! {
    /// What a group wants of a topic.
    SubscriptionData [Eq, PartialOrd, Ord, Hash] {
        /// Whether a class filters; no longer supported by brokers.
        class_filter_mode: "classFilterMode" bool,
        /// The tags' hashes, by which brokers select.
        code_set: "codeSet" BTreeSet<i32>,
        /// [`TAG`] or [`SQL92`].
        expression_type: "expressionType" Arc<str> = Arc::from(TAG),
        /// The expression as it was given; `*` selects everything.
        sub_string: "subString" Arc<str>,
        /// When it was made, in Unix milliseconds; the newest counts.
        sub_version: "subVersion" i64,
        /// The tags.
        tags_set: "tagsSet" BTreeSet<Arc<str>>,
        /// The topic.
        topic: "topic" Arc<str>,
    }
}

/// An expression that can't be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionError {
    /// Only separators.
    #[error("the tag expression names no tag: write tags like `a || b`, or `*` for all")]
    NoTags,
    /// An expression of another type than `TAG` is empty.
    #[error("an expression of this type can't be empty: only tag expressions can")]
    Empty,
}

impl SubscriptionData {
    /// The subscription of `topic` to `expression`. For tags no expression, an empty one and `*` select
    /// everything, and `||` separates tags. Java: `FilterAPI#build`.
    ///
    /// # Errors
    /// [`SubscriptionError`] when the expression names nothing.
    pub fn build(
        topic: impl Into<Arc<str>>,
        expression: Option<&str>,
        expression_type: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, SubscriptionError> {
        let expression_type = expression_type.filter(|name| !is_tag_type(Some(name))).unwrap_or(TAG);
        let expression = expression.unwrap_or_default();
        let mut data = Self {
            topic: topic.into(),
            expression_type: Arc::from(expression_type),
            sub_string: Arc::from(expression),
            sub_version: now.as_millis(),
            ..Self::default()
        };
        if expression_type != TAG {
            return if expression.is_empty() { Err(SubscriptionError::Empty) } else { Ok(data) };
        }
        if expression.is_empty() || expression == SUB_ALL {
            data.sub_string = Arc::from(SUB_ALL);
            return Ok(data);
        }
        // Java's `split` gives nothing for a text of separators only, and that is its error.
        if expression.split("||").all(str::is_empty) {
            return Err(SubscriptionError::NoTags);
        }
        for tag in expression.split("||").map(java_trim).filter(|tag| !tag.is_empty()) {
            data.tags_set.insert(Arc::from(tag));
            data.code_set.insert(java_string_hash(tag));
        }
        Ok(data)
    }
}
