//! Texts that travel beside messages: properties, traces, pop handles, ids, names.

use alloc::string::{String, ToString};

use crate::message::pop::{
    PopHandle, format_msg_offset_info, format_order_count_info, format_start_offset_info,
    parse_msg_offset_info, parse_order_count_info, parse_start_offset_info,
};
use crate::message::{
    Properties, RecallHandle, UniqKey, check_client_group, check_group, check_topic, names, offset_msg_id,
    parse_offset_msg_id, properties, trace,
};

pub(super) fn check_texts(text: &str) {
    check_properties(text);
    check_trace(text);
    check_pop(text);
    check_ids(text);
    check_names(text);
}

fn check_properties(text: &str) {
    let parsed = Properties::parse(text);
    assert_eq!(Properties::parse(parsed.as_str()), parsed);
    assert_eq!(parsed.iter().count(), parsed.len());
    let mut built = Properties::new();
    for (name, value) in &parsed {
        assert_eq!(properties::find(text, name), Some(value), "{name:?}");
        built.set(name, value).expect("what was read can be written");
    }
    assert_eq!(built, parsed);
    if let Some((name, _)) = parsed.iter().next() {
        assert!(built.remove(name) && !built.contains(name));
        assert_eq!(built.len() + 1, parsed.len());
    }
}

fn check_trace(text: &str) {
    for record in trace::decode_trace(text).flatten() {
        let mut out = String::new();
        record.encode_into(&mut out);
        let again = only(trace::decode_trace(&out)).expect("what was written can be read");
        let mut rewritten = String::new();
        again.encode_into(&mut rewritten);
        assert_eq!(rewritten, out, "what was read says what was written");
        assert!(record.keys().eq(again.keys()));
    }
}

fn only<T>(mut items: impl Iterator<Item = T>) -> T {
    let item = items.next().expect("one was written");
    assert!(items.next().is_none(), "one was written");
    item
}

fn check_pop(text: &str) {
    if let Ok(handle) = text.parse::<PopHandle>() {
        assert_eq!(handle.to_string().parse(), Ok(handle.clone()));
        let _ = handle.visible_at();
    }
    if let Ok(offsets) = parse_start_offset_info(text) {
        assert_eq!(parse_start_offset_info(&format_start_offset_info(&offsets)), Ok(offsets));
    }
    if let Ok(offsets) = parse_msg_offset_info(text) {
        assert_eq!(parse_msg_offset_info(&format_msg_offset_info(&offsets)), Ok(offsets));
    }
    if let Ok(counts) = parse_order_count_info(text) {
        assert_eq!(parse_order_count_info(&format_order_count_info(&counts)), Ok(counts));
    }
}

fn check_ids(text: &str) {
    if let Some(id) = parse_offset_msg_id(text) {
        let again = offset_msg_id(id.store_host, id.commit_log_offset);
        assert!(again.to_string().eq_ignore_ascii_case(text));
    }
    if let Some(key) = UniqKey::parse(text) {
        assert!(key.to_id().to_string().eq_ignore_ascii_case(text));
    }
    let _ = RecallHandle::parse(text);
}

fn check_names(text: &str) {
    let _ = (check_topic(text), check_group(text), check_client_group(text), names::vip_channel(text));
    let stripped = names::strip_namespace(text);
    assert!(stripped.len() <= text.len());
    // Namespaces come from the user's configuration; one that looks like a prefix or a system topic is none.
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let (namespace, resource) = text.split_once('\n').filter(|(name, _)| plain(name)).unwrap_or(("NS", text));
    let wrapped = names::wrap_namespace(namespace, resource);
    if wrapped != resource {
        assert!(names::is_in_namespace(namespace, &wrapped));
        assert_eq!(names::unwrap_namespace(namespace, &wrapped), resource);
        assert_eq!(names::wrap_namespace(namespace, &wrapped), wrapped, "wrapped once");
    }
}
