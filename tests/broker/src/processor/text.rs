//! What a send's properties decide, found in one pass over their text.

use rocketmq_client_core::message::{properties, property, tags_code};

const NAME_END: char = properties::NAME_END as char;
const VALUE_END: char = properties::VALUE_END as char;

/// The properties that the broker looks at or replaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan<'a> {
    pub(crate) tags: Option<&'a str>,
    pub(crate) uniq_key: Option<&'a str>,
    pub(crate) delay_level: i32,
    pub(crate) is_transaction: bool,
    pub(crate) is_timer: bool,
    pub(crate) priority: Option<i32>,
    pub(crate) has_sharding_key: bool,
    /// The send is answered before the message is flushed. Java: `isWaitStoreMsgOK`.
    pub(crate) unflushed: bool,
    /// Holds a property that the broker writes itself, as a message that a client sends on does.
    pub(super) has_broker_own: bool,
}

impl<'a> Scan<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let mut scan = Self::default();
        let mut was_timer = false;
        for (name, value) in properties::pieces(text) {
            match name {
                property::TAGS => scan.tags = Some(value),
                property::UNIQ_KEY => scan.uniq_key = Some(value),
                property::DELAY => scan.delay_level = value.parse().unwrap_or(0),
                property::WAIT => scan.unflushed = !value.eq_ignore_ascii_case("true"),
                property::TRAN_MSG => scan.is_transaction = value.eq_ignore_ascii_case("true"),
                property::TIMER_DELAY_SEC | property::TIMER_DELAY_MS | property::TIMER_DELIVER_MS => {
                    scan.is_timer = true;
                }
                property::TIMER_OUT_MS => was_timer = true,
                property::PRIORITY => scan.priority = value.parse().ok(),
                property::SHARDING_KEY => scan.has_sharding_key = true,
                name if is_broker_own(name) => scan.has_broker_own = true,
                _ => {}
            }
        }
        // What has been in the wheel doesn't go there again. Java: `HookUtils#checkIfTimerMessage`.
        scan.is_timer &= !was_timer;
        scan
    }

    /// The hash that a tag filter compares; 0 without a tag. Java: `MessageExtBrokerInner#tagsString2tagsCode`.
    pub(crate) fn tags_code(&self) -> i64 {
        self.tags.map_or(0, tags_code)
    }
}

fn is_broker_own(name: &str) -> bool {
    matches!(name, property::MSG_REGION | property::TRACE_ON | property::CLUSTER | property::POP_CK)
}

/// Writes `text` into `out` without what the broker replaces, ready for more pairs.
pub(crate) fn copy_for_broker(out: &mut String, text: &str, scan: &Scan<'_>) {
    if scan.has_broker_own {
        for (name, value) in properties::pieces(text).filter(|(name, _)| !is_broker_own(name)) {
            pair(out, name, value);
        }
        return;
    }
    out.push_str(text);
    if !text.is_empty() && !text.ends_with(VALUE_END) {
        out.push(VALUE_END);
    }
}

/// Appends a property.
pub(crate) fn pair(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push(NAME_END);
    out.push_str(value);
    out.push(VALUE_END);
}

/// Appends a copy of `text` without the named properties.
pub(crate) fn copy_without(out: &mut String, text: &str, names: &[&str]) {
    for (name, value) in properties::pieces(text).filter(|(name, _)| !names.contains(name)) {
        pair(out, name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pairs: &[(&str, &str)]) -> String {
        let mut out = String::new();
        for (name, value) in pairs {
            pair(&mut out, name, value);
        }
        out
    }

    #[test]
    fn a_message_sent_on_loses_what_its_first_broker_added() {
        let first = text(&[("MSG_REGION", "elsewhere"), ("TAGS", "a"), ("POP_CK", "x"), ("k", "v")]);
        let scan = Scan::of(&first);
        assert_eq!((scan.tags, scan.tags_code()), (Some("a"), 97));
        let mut out = String::new();
        copy_for_broker(&mut out, &first, &scan);
        assert_eq!(out, text(&[("TAGS", "a"), ("k", "v")]));
    }

    #[test]
    fn a_missing_last_separator_is_added() {
        let mut out = String::new();
        copy_for_broker(&mut out, "k\u{1}v", &Scan::of("k\u{1}v"));
        assert_eq!(out, "k\u{1}v\u{2}");
    }
}
