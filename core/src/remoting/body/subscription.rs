//! What a consumer wants of a topic. Java: `SubscriptionData`, `FilterAPI`.

use super::super::json::bodies;
use crate::message::java_string_hash;
use alloc::{sync::Arc, vec::Vec};

/// The expression that takes everything.
pub const SUB_ALL: &str = "*";
/// Expressions of tags.
pub const EXPRESSION_TYPE_TAG: &str = "TAG";
/// Expressions over properties.
pub const EXPRESSION_TYPE_SQL92: &str = "SQL92";

bodies! {
    /// A subscription to one topic.
    SubscriptionData {
        /// A legacy.
        class_filter_mode: "classFilterMode" bool,
        /// The hash codes of the tags.
        code_set: "codeSet" Vec<i32>,
        /// `TAG` or `SQL92`.
        expression_type: "expressionType" Arc<str> = EXPRESSION_TYPE_TAG.into(),
        /// The expression as written.
        sub_string: "subString" Arc<str> = SUB_ALL.into(),
        /// Grows with each change; wall time in milliseconds in Java.
        sub_version: "subVersion" i64,
        /// The tags.
        tags_set: "tagsSet" Vec<Arc<str>>,
        /// The topic.
        topic: "topic" Arc<str> = "".into(),
    }
}

/// An expression made of separators only, or an empty one where none may stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the expression {expression:?} names no tag; write \"*\" for everything, or tags as \"a || b\"")]
pub struct InvalidExpression {
    /// The expression.
    pub expression: Arc<str>,
}

impl SubscriptionData {
    /// A subscription by tags: empty and `*` take everything, `a || b` either tag.
    ///
    /// # Errors
    /// [`InvalidExpression`] for a text of separators only, as in Java.
    pub fn build(topic: Arc<str>, expression: &str, sub_version: i64) -> Result<Self, InvalidExpression> {
        let mut data = Self { topic, sub_version, ..Self::default() };
        if expression.is_empty() || expression == SUB_ALL {
            return Ok(data);
        }
        data.sub_string = expression.into();
        if java_split(expression).next().is_none() {
            return Err(InvalidExpression { expression: data.sub_string });
        }
        for tag in java_split(expression).map(str::trim).filter(|tag| !tag.is_empty()) {
            if !data.tags_set.iter().any(|known| &**known == tag) {
                data.tags_set.push(tag.into());
                data.code_set.push(java_string_hash(tag));
            }
        }
        Ok(data)
    }

    /// Whether a message with this tag is wanted. Brokers filter by hash only, so tags are compared again.
    #[must_use]
    pub fn takes(&self, tag: Option<&str>) -> bool {
        self.tags_set.is_empty() || tag.is_some_and(|tag| self.tags_set.iter().any(|wanted| &**wanted == tag))
    }
}

/// As Java's `split("\\|\\|")`: empty pieces at the end don't count.
fn java_split(expression: &str) -> impl Iterator<Item = &str> {
    expression.trim_end_matches("||").split("||").take(if expression.replace("||", "").is_empty() {
        0
    } else {
        usize::MAX
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    #[test]
    fn expressions_become_what_java_makes_of_them() {
        let golden = include_str!("../../../../tests/golden/subscription.jsonl");
        let mut checked = 0;
        for line in golden.lines() {
            let case: serde_json::Value = serde_json::from_str(line).expect("golden JSON");
            if case["type"].as_str().is_some_and(|kind| kind != EXPRESSION_TYPE_TAG) {
                continue;
            }
            let expression = case["sub_string"].as_str().unwrap_or_default();
            let built = SubscriptionData::build("TopicGolden".into(), expression, 1_700_000_000_000);
            assert_eq!(built.is_ok(), case["ok"].as_bool().expect("ok"), "{expression:?}");
            if let Ok(data) = built {
                let mut tags: Vec<String> = data.tags_set.iter().map(|tag| String::from(&**tag)).collect();
                tags.sort();
                assert_eq!(serde_json::json!(tags), case["tags_set_sorted"], "{expression:?}");
                assert_eq!(*data.sub_string, *case["out_sub_string"].as_str().expect("text"));
            }
            checked += 1;
        }
        assert!(checked > 10, "only {checked} vectors");
    }
}
