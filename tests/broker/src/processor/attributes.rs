//! Attributes of topics and groups: `+key` sets, `-key` removes. Java: `AttributeUtil`.

use std::collections::BTreeMap;
use std::sync::Arc;

use rocketmq_client_core::remoting::ResponseCode;

use crate::asker::Refusal;

/// Values by attribute.
pub(super) type Attributes = BTreeMap<Arc<str>, Arc<str>>;

/// Java: `TopicAttributes`.
pub(super) const OF_TOPICS: &[&str] = &["queue.type", "cleanup.policy", "message.type", "reserve.time"];
/// Java: `SubscriptionGroupAttributes`.
pub(super) const OF_GROUPS: &[&str] = &["priority.factor"];

/// Reads `+key=value,-key`. Java: `AttributeParser#parseToMap`.
pub(super) fn parse(text: &str) -> Result<Attributes, Refusal> {
    let changes = text.split(',').map(str::trim).filter(|change| !change.is_empty());
    changes
        .map(|change| match change.split_once('=') {
            Some((key, value)) if key.starts_with('+') => Ok((key.into(), value.into())),
            None if change.starts_with('-') => Ok((change.into(), "".into())),
            _ => Err(wrong_format(change)),
        })
        .collect()
}

/// What `known` becomes by `changes`. Java: `AttributeUtil#alterCurrentAttributes`.
pub(super) fn alter(
    supported: &[&str],
    mut known: Attributes,
    changes: &Attributes,
) -> Result<Attributes, Refusal> {
    for (change, value) in changes {
        let (set, removed) = (change.strip_prefix('+'), change.strip_prefix('-'));
        let Some(key) = set.or(removed) else { return Err(wrong_format(change)) };
        if !supported.contains(&key) {
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, format!("unsupported key: {key}")));
        }
        match set {
            Some(key) => drop(known.insert(key.into(), value.clone())),
            None => drop(known.remove(key)),
        }
    }
    Ok(known)
}

fn wrong_format(change: &str) -> Refusal {
    Refusal::new(ResponseCode::SYSTEM_ERROR, format!("attribute format is wrong: {change}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(known: &[(&str, &str)], text: &str) -> Result<Vec<(String, String)>, String> {
        let known = known.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let changes = parse(text).map_err(|refusal| refusal.remark)?;
        let after = alter(OF_TOPICS, known, &changes).map_err(|refusal| refusal.remark)?;
        Ok(after.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
    }

    #[test]
    fn attributes_are_set_replaced_and_removed() {
        let fifo = ("message.type".to_owned(), "FIFO".to_owned());
        assert_eq!(changed(&[], " +message.type=FIFO, "), Ok(vec![fifo.clone()]));
        assert_eq!(changed(&[("message.type", "DELAY")], "+message.type=FIFO"), Ok(vec![fifo.clone()]));
        assert_eq!(
            changed(&[("reserve.time", "1"), ("message.type", "FIFO")], "-reserve.time"),
            Ok(vec![fifo])
        );
        assert_eq!(changed(&[], ""), Ok(vec![]));
    }

    #[test]
    fn a_change_that_is_none_is_refused_with_its_text() {
        for text in ["message.type=FIFO", "+message.type", "-message.type=FIFO", "x"] {
            assert_eq!(changed(&[], text), Err(format!("attribute format is wrong: {text}")));
        }
        assert_eq!(changed(&[], "+foo=1"), Err("unsupported key: foo".to_owned()));
    }
}
