//! Attributes of topics and groups: `+key` sets, `-key` removes. Java: `AttributeUtil`.

use std::collections::BTreeMap;
use std::sync::Arc;

use rocketmq_client_core::remoting::ResponseCode;

use crate::asker::Refusal;

/// Values by attribute.
pub(super) type Attributes = BTreeMap<Arc<str>, Arc<str>>;

/// What an attribute may hold.
#[derive(Clone, Copy, Debug)]
enum Values {
    /// One of these, and how Java's set of them prints.
    OneOf(&'static [&'static str], &'static str),
    /// A number, at least the first and at most the second.
    Number(i64, i64),
}

/// An attribute. Java: `Attribute`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute {
    name: &'static str,
    /// Whether it may change once the topic is there.
    changeable: bool,
    values: Values,
}

const MESSAGE_TYPES: &[&str] =
    &["UNSPECIFIED", "MIXED", "TRANSACTION", "PRIORITY", "FIFO", "DELAY", "NORMAL"];

/// Java: `TopicAttributes`.
pub(super) const OF_TOPICS: &[Attribute] = &[
    Attribute {
        name: "queue.type",
        changeable: false,
        values: Values::OneOf(&["BatchCQ", "SimpleCQ"], "SimpleCQ, BatchCQ"),
    },
    Attribute {
        name: "cleanup.policy",
        changeable: false,
        values: Values::OneOf(&["COMPACTION", "DELETE"], "DELETE, COMPACTION"),
    },
    Attribute {
        name: "message.type",
        changeable: true,
        values: Values::OneOf(
            MESSAGE_TYPES,
            "UNSPECIFIED, MIXED, TRANSACTION, PRIORITY, FIFO, DELAY, NORMAL",
        ),
    },
    Attribute { name: "reserve.time", changeable: true, values: Values::Number(-1, i64::MAX) },
];
/// Java: `SubscriptionGroupAttributes`.
pub(super) const OF_GROUPS: &[Attribute] =
    &[Attribute { name: "priority.factor", changeable: true, values: Values::Number(0, i64::MAX) }];

impl Attribute {
    /// Java: `Attribute#verify`.
    fn verify(&self, value: &str) -> Result<(), Refusal> {
        match self.values {
            Values::OneOf(known, printed) if !known.contains(&value) => {
                Err(refused(format!("value is not in set: [{printed}]")))
            }
            Values::OneOf(..) => Ok(()),
            Values::Number(min, max) => match value.parse::<i64>() {
                Ok(number) if number < min || number > max => {
                    Err(refused(format!("value is not in range(min: {min}, max: {max}): {number}")))
                }
                Ok(_) => Ok(()),
                Err(_) => Err(refused(format!("For input string: \"{value}\""))),
            },
        }
    }
}

/// Reads `+key=value,-key`. Java: `AttributeParser#parseToMap`.
pub(super) fn parse(text: &str) -> Result<Attributes, Refusal> {
    let mut changes = Attributes::new();
    for change in text.split(',').map(str::trim).filter(|change| !change.is_empty()) {
        let (key, value) = match change.split_once('=') {
            Some((key, _)) if !key.contains('+') => {
                return Err(refused(format!("add/alter attribute format is wrong: {key}")));
            }
            Some((key, value)) => (key, value),
            None if !change.contains('-') => {
                return Err(refused(format!("delete attribute format is wrong: {change}")));
            }
            None => (change, ""),
        };
        if changes.insert(key.into(), value.into()).is_some() {
            return Err(refused(format!("key duplication: {key}")));
        }
    }
    Ok(changes)
}

/// What `known` becomes by `changes`; `create` for a topic or group that is new.
/// Java: `AttributeUtil#alterCurrentAttributes`.
pub(super) fn alter(
    supported: &[Attribute],
    create: bool,
    mut known: Attributes,
    changes: &Attributes,
) -> Result<Attributes, Refusal> {
    for (change, value) in changes {
        let (set, removed) = (change.strip_prefix('+'), change.strip_prefix('-'));
        let Some(key) = set.or(removed) else {
            return Err(refused(format!("wrong format key: {change}")));
        };
        let Some(attribute) = supported.iter().find(|attribute| attribute.name == key) else {
            return Err(refused(format!("unsupported key: {key}")));
        };
        if create && set.is_none() {
            return Err(refused(format!("only add attribute is supported while creating topic. key: {key}")));
        }
        if set.is_some() {
            attribute.verify(value)?;
        } else if !known.contains_key(key) {
            return Err(refused(format!("attempt to delete a nonexistent key: {key}")));
        }
        if known.contains_key(key) && !attribute.changeable {
            return Err(refused(format!("attempt to update an unchangeable attribute. key: {key}")));
        }
        match set {
            Some(key) => drop(known.insert(key.into(), value.clone())),
            None => drop(known.remove(key)),
        }
    }
    Ok(known)
}

fn refused(remark: String) -> Refusal {
    Refusal::new(ResponseCode::SYSTEM_ERROR, remark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(known: &[(&str, &str)], text: &str) -> Result<Vec<(String, String)>, String> {
        let known = known.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let changes = parse(text).map_err(|refusal| refusal.remark)?;
        let known: Attributes = known;
        let after = alter(OF_TOPICS, known.is_empty(), known, &changes).map_err(|refusal| refusal.remark)?;
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
        let refusals = [
            ("message.type=FIFO", "add/alter attribute format is wrong: message.type"),
            ("+message.type", "delete attribute format is wrong: +message.type"),
            ("+foo=1", "unsupported key: foo"),
            ("+reserve.time=x", "For input string: \"x\""),
            ("+queue.type=x", "value is not in set: [SimpleCQ, BatchCQ]"),
            ("-message.type", "only add attribute is supported while creating topic. key: message.type"),
        ];
        for (text, remark) in refusals {
            assert_eq!(changed(&[], text), Err(remark.to_owned()));
        }
        let known = [("queue.type", "SimpleCQ")];
        let fixed = "attempt to update an unchangeable attribute. key: queue.type";
        assert_eq!(changed(&known, "+queue.type=BatchCQ"), Err(fixed.to_owned()));
        let absent = "attempt to delete a nonexistent key: reserve.time";
        assert_eq!(changed(&known, "-reserve.time"), Err(absent.to_owned()));
    }
}
