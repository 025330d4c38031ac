//! What may differ between two runs of the same script, by narrow rules with names.
//!
//! Always:
//! - `address`: the addresses of the arm's servers and of the script's own connections, by name.
//! - `time`: a number of milliseconds that lies between the run's begin, less a minute, and three hours later.
//! - `id`: the message ids that name the broker's address and an offset in its log.
//! - `version`: counter and time of a data version.
//! - `log`: offsets in the commit log, where they are not zero. Logs hold what services wrote in between.
//! - `set`: the order in lists that Java makes of sets and maps, see [`SETS`].
//!
//! Where a step says so:
//! - `exception`: a remark that is a Java exception's text, with the place in Java's sources where it was thrown;
//!   the other side may say it in its own words.
//! - `figures`: of a table of figures the names are compared, and the values without their numbers and units; the
//!   disk's ratio carries the store's path in its name.
//! - `ours`: of settings, those that the development broker has are compared. It has fewer, and shows no others.
//! - `place`: settings that say where a server lives.
//! - `page`: how many topics a page holds, not which: Java's order is that of a hash map.
//! - `delay`: what a step measured in milliseconds up to the moment of the answer.
//! - `pop`: the queue that keeps a pop in mind, which is any of eight, and the pop's time inside handles.
//! - `recall`: the time in the handle of a message for a time, which is Base64.
//! - `orderchange`: an invisible time that is counted from the pop on.
//! - `uniq`: an id that the broker made up, and the size of the record that holds it.
//! - `tps`: rates that depend on how fast the script runs.

use std::collections::BTreeMap;
use std::ops::Range;

use rocketmq_client_core::message::id::RecallHandle;

use crate::json::Json;

/// Lists whose order says nothing.
const SETS: [&str; 13] = [
    "messageQueueAssignments",
    "topicList",
    "groupList",
    "consumerIdList",
    "connectionSet",
    "lockOKMQSet",
    "tagsSet",
    "codeSet",
    "consumeTimeSpanSet",
    "subscriptionDataSet",
    "brokerDatas",
    "queueDatas",
    "consumeStatsList",
];

/// What an answer says, path by path.
pub(crate) type Leaves = BTreeMap<String, String>;

/// What the rules need to know of an arm.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// The texts that stand for addresses, and what takes their place.
    pub(crate) addresses: Vec<(String, String)>,
    /// The begin of offset message ids: the broker's address in hexadecimal digits. Empty: ids stay.
    pub(crate) id_prefix: String,
    /// Milliseconds that count as a time of this run. Empty: no rule is applied to values.
    pub(crate) run: Range<i64>,
}

impl Rules {
    /// Applies all rules to a value and writes it as leaves below `path`.
    pub(crate) fn flatten(&self, path: &str, value: &Json, own: &[String], out: &mut Leaves) {
        match value {
            Json::Bare(text) => {
                out.insert(path.to_owned(), self.leaf(path, text, own));
            }
            Json::Text(text) => {
                out.insert(path.to_owned(), format!("{:?}", self.leaf(path, text, own)));
            }
            Json::List(values) if values.is_empty() => {
                out.insert(path.to_owned(), "[]".to_owned());
            }
            Json::List(values)
                if is_set(path) && values.iter().all(|value| !matches!(value, Json::Map(_))) =>
            {
                for value in values {
                    let mut leaf = Leaves::new();
                    self.flatten("", value, own, &mut leaf);
                    out.insert(
                        format!("{path}[{}]", leaf.into_values().collect::<String>()),
                        "in".to_owned(),
                    );
                }
            }
            Json::List(values) => {
                let mut parts: Vec<_> = values.iter().map(|value| self.part(path, value, own)).collect();
                if is_set(path) {
                    parts.sort();
                }
                for (index, leaves) in parts.into_iter().enumerate() {
                    out.extend(leaves.into_iter().map(|(sub, text)| (format!("{path}[{index}]{sub}"), text)));
                }
            }
            Json::Map(values) if values.is_empty() => {
                out.insert(path.to_owned(), "{}".to_owned());
            }
            Json::Map(values) => {
                for (key, value) in values {
                    let key = match own.iter().any(|rule| rule == "figures") && key.contains("_/") {
                        true => "commitLogDiskRatio_memory".to_owned(),
                        false => self.text(key),
                    };
                    self.flatten(&format!("{path}.{key}"), value, own, out);
                }
            }
        }
    }

    /// An element's leaves, by paths below it.
    fn part(&self, path: &str, value: &Json, own: &[String]) -> Vec<(String, String)> {
        let mut leaves = Leaves::new();
        self.flatten(path, value, own, &mut leaves);
        leaves.into_iter().map(|(full, text)| (full[path.len()..].to_owned(), text)).collect()
    }

    /// Addresses and ids inside a text.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (address, name) in &self.addresses {
            text = text.replace(address, name);
        }
        while let Some(at) = text.find(&self.id_prefix).filter(|_| !self.id_prefix.is_empty()) {
            let end =
                text.char_indices().nth(text[..at].chars().count() + 32).map_or(text.len(), |(end, _)| end);
            text.replace_range(at..end, "<id>");
        }
        text
    }

    fn leaf(&self, path: &str, text: &str, own: &[String]) -> String {
        if self.run.is_empty() {
            return text.to_owned();
        }
        let has = |rule: &str| own.iter().any(|own| own == rule);
        let number: Option<i64> = text.parse().ok();
        let last = path.rsplit('.').next().unwrap_or(path);
        if is_date(text) {
            return "<date>".to_owned();
        }
        if has("figures") && (path.starts_with("body.table.") || path.starts_with("body.stats")) {
            // Java says `null` until it has looked for the first time.
            return if text == "null" { figures(DISTRIBUTION) } else { figures(text) };
        }
        if has("place") && ["body.listenPort", "body.brokerIP1"].contains(&path) {
            return "<place>".to_owned();
        }
        if has("pop") && last == "reviveQid" {
            return "<revive>".to_owned();
        }
        if has("pop") && last == "POP_CK" {
            return handle(text);
        }
        if has("recall")
            && last == "recallHandle"
            && let Ok(handle) = RecallHandle::parse(text)
            && self.run.contains(&handle.deliver_at.as_millis())
        {
            return format!("{} {} <time> {}", handle.topic, handle.broker_name, handle.uniq_key);
        }
        if has("orderchange") && last == "invisibleTime" && number.is_some() {
            return "<since the pop>".to_owned();
        }
        if has("delay") && last == "delayTime" && number.is_some() {
            return "<delay>".to_owned();
        }
        let made_up =
            ["transactionId", "UNIQ_KEY"].contains(&last) && text.bytes().all(|b| b.is_ascii_hexdigit());
        if has("uniq") && (made_up || last == "size") {
            return "<uniq>".to_owned();
        }
        if has("tps") && ["tps", "consumeTps", "topicPutTps"].contains(&last) {
            return "<tps>".to_owned();
        }
        if path.to_lowercase().contains("version.") && ["counter", "timestamp"].contains(&last) {
            return "<version>".to_owned();
        }
        if number.is_some_and(|number| self.run.contains(&number)) {
            return "<time>".to_owned();
        }
        let in_log = [
            "masterCommitLogMaxOffset",
            "indexLastUpdatePhyoffset",
            "commitLogOffset",
            "physicOffset",
            "preparedTransactionOffset",
            "PREPARED_OFFSET",
        ];
        if in_log.contains(&last) && number.is_some_and(|offset| offset > 0) {
            return "<log>".to_owned();
        }
        self.text(text)
    }
}

/// A pop's handle without its time and its revive queue.
fn handle(text: &str) -> String {
    let part = |(index, word): (usize, &str)| match index {
        1 => "<time>".to_owned(),
        3 => "<revive>".to_owned(),
        _ => word.to_owned(),
    };
    text.split(' ').enumerate().map(part).collect::<Vec<_>>().join(" ")
}

fn is_set(path: &str) -> bool {
    SETS.iter().any(|name| path.ends_with(name))
}

/// What is left of figures without their numbers and units.
fn figures(text: &str) -> String {
    let mut out = String::new();
    for next in text.chars() {
        match next {
            '0'..='9' | '.' | '-' | 'E' | 'e' if out.ends_with('#') => {}
            '0'..='9' | '-' => out.push('#'),
            other => out.push(other),
        }
    }
    let out = [" KiB", " MiB", " GiB", " B"].iter().fold(out, |out, unit| out.replace(unit, ""));
    out.split(' ').filter(|word| *word != "#").collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// How long appends took.
const DISTRIBUTION: &str = "[<=0ms]:0 [0~10ms]:0 [10~50ms]:0 [50~100ms]:0 [100~200ms]:0 [200~500ms]:0 \
    [500ms~1s]:0 [1~2s]:0 [2~3s]:0 [3~4s]:0 [4~5s]:0 [5~10s]:0 [10s~]:0";

/// `2026-11-21#07:44:01:315`, as Java's tools show times.
fn is_date(text: &str) -> bool {
    text.len() == 23
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            10 => byte == b'#',
            13 | 16 | 19 => byte == b':',
            _ => byte.is_ascii_digit(),
        })
}

/// Whether a remark is an exception's text as `RemotingHelper#exceptionSimpleDesc` writes it.
pub(crate) fn is_exception(remark: &str) -> bool {
    let class = remark.split([':', ',', ' ']).next().unwrap_or_default();
    let null_pointer = remark.starts_with("Cannot invoke \"");
    null_pointer || (class.contains('.') && (class.ends_with("Exception") || class.ends_with("Error")))
}
