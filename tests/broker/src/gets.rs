//! How much groups got lately. Java: `BrokerStatsManager` with its samples, and `StoreStatsService` for the total.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_core::remoting::BrokerStatsItem;
use rocketmq_client_core::time::Timestamp;

/// Java takes a sample every ten seconds.
const SAMPLE_MS: i64 = 10_000;
/// Samples of a day, which is the longest that is asked for.
const SAMPLES_MAX: usize = 8_640;
/// Pairs of a topic and a group that are kept. Anybody can name new groups without end: the pair that got
/// nothing for the longest time makes room. Java keeps all until they are deleted.
const PAIRS_MAX: usize = 1_024;

/// What was got within ten seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    begun_ms: i64,
    messages: u64,
    bytes: u64,
    times: u64,
}

/// What groups got, by topic. It lives in memory and is gone after a restart, as Java's is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gets {
    total: u64,
    by_topic: BTreeMap<Arc<str>, BTreeMap<Arc<str>, VecDeque<Sample>>>,
}

impl Gets {
    /// A group got messages.
    pub(crate) fn count(
        &mut self,
        wall: Timestamp,
        (topic, group): (&Arc<str>, &Arc<str>),
        messages: u64,
        bytes: u64,
    ) {
        self.total += messages;
        if !self.has(topic, group) && self.pairs() >= PAIRS_MAX {
            self.forget_oldest();
        }
        let groups = match self.by_topic.get_mut(topic) {
            Some(groups) => groups,
            None => self.by_topic.entry(topic.clone()).or_default(),
        };
        let samples = match groups.get_mut(group) {
            Some(samples) => samples,
            None => groups.entry(group.clone()).or_default(),
        };
        let begun_ms = wall.as_millis().div_euclid(SAMPLE_MS) * SAMPLE_MS;
        if samples.back().is_none_or(|last| last.begun_ms < begun_ms) {
            if samples.len() >= SAMPLES_MAX {
                samples.pop_front();
            }
            samples.push_back(Sample { begun_ms, ..Sample::default() });
        }
        if let Some(last) = samples.back_mut() {
            last.messages += messages;
            last.bytes += bytes;
            last.times += 1;
        }
    }

    fn pairs(&self) -> usize {
        self.by_topic.values().map(BTreeMap::len).sum()
    }

    fn has(&self, topic: &str, group: &str) -> bool {
        self.by_topic.get(topic).is_some_and(|groups| groups.contains_key(group))
    }

    fn forget_oldest(&mut self) {
        let pairs = self.by_topic.iter().flat_map(|(topic, groups)| {
            let begun = |samples: &VecDeque<Sample>| samples.back().map(|last| last.begun_ms);
            groups.iter().map(move |(group, samples)| (begun(samples), topic, group))
        });
        let Some((_, topic, group)) = pairs.min() else { return };
        let (topic, group) = (topic.clone(), group.clone());
        if let Some(groups) = self.by_topic.get_mut(&topic) {
            groups.remove(&group);
            if groups.is_empty() {
                self.by_topic.remove(&topic);
            }
        }
    }

    /// Messages that were given to anybody since the start.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// What a group got of a topic within this period; `None` when it never got anything.
    pub(crate) fn over(
        &self,
        wall: Timestamp,
        topic: &str,
        group: &str,
        bytes: bool,
        period: Duration,
    ) -> Option<BrokerStatsItem> {
        let samples = self.by_topic.get(topic)?.get(group)?;
        let since = wall.as_millis().saturating_sub(i64::try_from(period.as_millis()).unwrap_or(i64::MAX));
        let (mut sum, mut times) = (0, 0);
        for sample in samples.iter().rev().take_while(|sample| sample.begun_ms + SAMPLE_MS > since) {
            sum += if bytes { sample.bytes } else { sample.messages };
            times += sample.times;
        }
        // Exact up to 2^53.
        let (sum_f, times_f) = (sum as f64, times as f64);
        Some(BrokerStatsItem {
            avgpt: if times == 0 { 0.0 } else { sum_f / times_f },
            sum: i64::try_from(sum).unwrap_or(i64::MAX),
            tps: sum_f / period.as_secs_f64(),
        })
    }

    /// Forgets a deleted topic.
    pub(crate) fn remove_topic(&mut self, topic: &str) {
        self.by_topic.remove(topic);
    }

    /// Forgets a deleted group.
    pub(crate) fn remove_group(&mut self, group: &str) {
        self.by_topic.values_mut().for_each(|groups| drop(groups.remove(group)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_got_counts_for_its_period_and_in_the_total_for_ever() {
        let mut gets = Gets::default();
        let (topic, group) = (Arc::from("T"), Arc::from("G"));
        let at = |seconds: i64| Timestamp::from_millis(1_700_000_000_000 + seconds * 1_000);
        gets.count(at(0), (&topic, &group), 3, 300);
        gets.count(at(1), (&topic, &group), 1, 100);
        let sum = |gets: &Gets, seconds, bytes| {
            gets.over(at(seconds), "T", "G", bytes, Duration::from_secs(60)).map(|item| item.sum)
        };
        assert_eq!((sum(&gets, 2, false), sum(&gets, 2, true)), (Some(4), Some(400)));
        assert_eq!(sum(&gets, 600, false), Some(0));
        assert_eq!(gets.total(), 4);
        assert!(gets.over(at(2), "T", "other", false, Duration::from_secs(60)).is_none());
        (0..20_000).for_each(|ten| gets.count(at(ten * 10), (&topic, &group), 1, 1));
        assert_eq!(gets.by_topic[&topic][&group].len(), SAMPLES_MAX);
        gets.remove_group("G");
        assert_eq!(sum(&gets, 2, false), None);
    }

    #[test]
    fn of_too_many_pairs_the_ones_that_got_nothing_for_the_longest_time_are_forgotten() {
        let mut gets = Gets::default();
        let at = |seconds: i64| Timestamp::from_millis(1_700_000_000_000 + seconds * 1_000);
        let topics = [Arc::from("T"), Arc::from("U")];
        for number in 0..4_000_i64 {
            let group = Arc::from(format!("G{number}"));
            gets.count(at(number * 10), (&topics[(number % 2) as usize], &group), 1, 1);
            gets.count(at(number * 10), (&topics[0], &Arc::from("busy")), 1, 1);
        }
        assert_eq!((gets.pairs(), gets.total()), (PAIRS_MAX, 8_000));
        let known =
            |topic, group| gets.over(at(39_990), topic, group, false, Duration::from_secs(60)).is_some();
        assert!(known("U", "G3999") && known("T", "G2998") && known("T", "busy"));
        assert!(!known("U", "G2975") && !known("T", "G0"));
        (0..4_000).for_each(|number| gets.remove_group(&format!("G{number}")));
        gets.count(at(40_000), (&topics[1], &Arc::from("new")), 1, 1);
        assert_eq!(gets.pairs(), 2);
    }
}
