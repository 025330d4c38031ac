//! What was compared, what differed, and whether that is allowed.

use std::collections::{BTreeMap, BTreeSet};

use rocketmq_client_core::remoting::RequestCode;

use crate::accepted::{ACCEPTED_MAX, Accepted};
use crate::arm::Outcome;
use crate::script::Step;

/// A place where the arms differ.
#[derive(Clone, Debug)]
struct Difference {
    step: String,
    code: i32,
    path: String,
    dev: String,
    other: String,
}

pub(crate) struct Report {
    other: &'static str,
    exchanges: usize,
    /// By request code: whether a success and an error were seen on the other arm.
    codes: BTreeMap<i32, (bool, bool)>,
    differences: Vec<Difference>,
    accepted: Vec<Accepted>,
    /// Values of the other arm, and how many of them the rules left nothing of.
    values: usize,
    left_out: usize,
}

fn came(too_late: bool) -> String {
    if too_late { "it never came" } else { "it came" }.to_owned()
}

/// Whether nothing is left of a value but its rule's name.
fn is_left_out(value: &str) -> bool {
    let value = value.trim_matches('"');
    value.starts_with('<') && value.ends_with('>') && value != "<none>"
}

const ABSENT: &str = "<absent>";

impl Report {
    pub(crate) fn new(other: &'static str, accepted: Vec<Accepted>) -> Self {
        Self {
            other,
            exchanges: 0,
            codes: BTreeMap::new(),
            differences: Vec::new(),
            accepted,
            values: 0,
            left_out: 0,
        }
    }

    pub(crate) fn add(&mut self, step: &Step, dev: &Outcome, other: &Outcome) {
        let (name, code) = match step {
            Step::Ask(ask) => (&ask.name, ask.code),
            Step::Push { name, code, .. } | Step::Await { name, code, .. } => (name, *code),
            _ => return,
        };
        if matches!(step, Step::Ask(_) | Step::Await { .. }) {
            self.exchanges += 1;
            let seen = self.codes.entry(code).or_default();
            match other.code {
                Some(0) => seen.0 = true,
                Some(_) => seen.1 = true,
                None => {}
            }
        }
        if std::env::var_os("RMQ_TWO_ARM_SHOW").is_some() {
            eprintln!("{name}: {:?}", other.leaves);
        }
        if other.too_late || dev.too_late {
            self.differences.push(Difference {
                step: name.clone(),
                code,
                path: "until".to_owned(),
                dev: came(dev.too_late),
                other: came(other.too_late),
            });
        }
        let ours = matches!(step, Step::Ask(ask) if ask.rules.iter().any(|rule| rule == "ours"));
        self.values += other.leaves.len();
        self.left_out += other.leaves.values().filter(|value| is_left_out(value)).count();
        let paths: BTreeSet<_> = dev.leaves.keys().chain(other.leaves.keys()).collect();
        for path in paths {
            let value =
                |outcome: &Outcome| outcome.leaves.get(path).cloned().unwrap_or_else(|| ABSENT.to_owned());
            let (dev, other) = (value(dev), value(other));
            let not_ours = ours && path.starts_with("body.") && dev == ABSENT;
            if dev != other && !not_ours {
                self.differences.push(Difference {
                    step: name.clone(),
                    code,
                    path: path.clone(),
                    dev,
                    other,
                });
            }
        }
    }

    fn reason(&self, difference: &Difference) -> Option<&Accepted> {
        self.accepted.iter().find(|accepted| accepted.covers(&difference.step, &difference.path))
    }

    /// Listed differences that were not seen.
    fn gone(&self) -> Vec<&Accepted> {
        let seen = |accepted: &&Accepted| {
            self.differences.iter().any(|seen| accepted.covers(&seen.step, &seen.path))
        };
        self.accepted.iter().filter(|accepted| !seen(accepted)).collect()
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.differences.iter().all(|difference| self.reason(difference).is_some())
            && self.gone().is_empty()
            && self.accepted.len() <= ACCEPTED_MAX
    }

    #[allow(clippy::print_stdout, reason = "the report is what this program is for")]
    pub(crate) fn print(&self) {
        for difference in &self.differences {
            let Difference { step, code, path, dev, other } = difference;
            println!("{step} ({}), {path}", RequestCode(*code));
            println!("    dev broker: {dev}\n    {}: {other}", self.other);
            if let Some(accepted) = self.reason(difference) {
                println!("    accepted: {}", accepted.reason);
            }
        }
        for accepted in self.gone() {
            println!("accepted, but no longer so: {} {}: take it off the list", accepted.step, accepted.path);
        }
        let one_sided = self.codes.iter().filter(|(_, (success, error))| !(*success && *error));
        let one_sided: Vec<_> = one_sided
            .map(|(code, (success, _))| {
                format!("{} ({})", RequestCode(*code), if *success { "no error" } else { "no success" })
            })
            .collect();
        if !one_sided.is_empty() {
            println!("not counted, for want of a success or an error: {}", one_sided.join(", "));
        }
        let accepted = self.differences.iter().filter(|difference| self.reason(difference).is_some()).count();
        println!("{} values compared, {} of them left out by the rules", self.values, self.left_out);
        println!("{accepted} of the differences are accepted, by {} entries", self.accepted.len());
        println!(
            "{} exchanges, {} codes, {} differences",
            self.exchanges,
            self.codes.len() - one_sided.len(),
            self.differences.len()
        );
    }
}
