//! The id that a producer gives a message.
//!
//! ```text
//! ip 4 or 16   pid 2   random 4   milliseconds of the month 4   counter 2
//! ```
//! Brokers and tools only compare the text; its parts keep it unique and tell a reader where a
//! message came from. Java counts the month in local time, which a core without a clock can't know;
//! here it is UTC, and any unique bytes would do.

use alloc::string::String;
use core::net::IpAddr;

use super::HexId;
use super::hex;
use crate::time::Timestamp;

const DAY_MS: i64 = 86_400_000;
/// A clock set back by less than this counts as standing still (Java: 1,000,000 ms).
const SET_BACK_MS_MAX: i64 = 1_000_000;

/// Makes ids for messages; one for a process or for a client. Java: `MessageClientIDSetter`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UniqKeyGenerator {
    id: HexId,
    /// The digits of all but the last six bytes, which stay.
    prefix: String,
    month_start_ms: i64,
    month_end_ms: i64,
    counter: u16,
}

impl UniqKeyGenerator {
    /// A generator for a process at `ip` with the id `pid`, of which the lower half is used.
    /// `random` tells apart generators in one process and processes whose numbers are equal, as
    /// they are in containers.
    #[must_use]
    pub fn new(ip: IpAddr, pid: u32, random: [u8; 4], now: Timestamp) -> Self {
        let [_, _, p0, p1] = pid.to_be_bytes();
        let [r0, r1, r2, r3] = random;
        let id = HexId::new(ip, [p0, p1, r0, r1, r2, r3, 0, 0, 0, 0, 0, 0]);
        let (month_start_ms, month_end_ms) = month_of(now.as_millis());
        let mut digits = [0; hex::LONG_CHARS];
        let prefix = hex::write_digits(id.split_tail().0, &mut digits).into();
        Self { id, prefix, month_start_ms, month_end_ms, counter: 0 }
    }

    /// The next id, made at `now`. Ids of one generator repeat only when the clock is set back to
    /// the very millisecond in which the counter had the same value.
    pub fn next_id(&mut self, now: Timestamp) -> HexId {
        let [t0, t1, t2, t3] = self.ms_of_month(now.as_millis()).to_be_bytes();
        let [c0, c1] = self.counter.to_be_bytes();
        self.counter = self.counter.wrapping_add(1);
        self.id.set_tail([t0, t1, t2, t3, c0, c1]);
        self.id
    }

    /// As [`next_id`](Self::next_id), and appends its digits to `text`.
    pub fn push_next(&mut self, now: Timestamp, text: &mut String) -> HexId {
        let id = self.next_id(now);
        let mut digits = [0; 12];
        text.push_str(&self.prefix);
        text.push_str(hex::write_digits(id.split_tail().1, &mut digits));
        id
    }

    fn ms_of_month(&mut self, now_ms: i64) -> u32 {
        let back = self.month_start_ms.saturating_sub(now_ms);
        if now_ms >= self.month_end_ms || back >= SET_BACK_MS_MAX {
            (self.month_start_ms, self.month_end_ms) = month_of(now_ms);
        }
        u32::try_from(now_ms.saturating_sub(self.month_start_ms)).unwrap_or(0)
    }
}

/// The parts of an id that a producer gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UniqKey {
    /// The producer's address.
    pub ip: IpAddr,
    /// The lower half of its process id.
    pub pid: u16,
    /// Random; a hash of the class loader in Java.
    pub random: i32,
    /// Milliseconds since the month began, by the producer's clock and time zone.
    pub ms_of_month: u32,
    /// A counter that wraps.
    pub counter: u16,
}

impl UniqKey {
    /// Reads an id as Java and we make it; `None` if `text` is no such id. Brokers take any text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (ip, [p0, p1, r0, r1, r2, r3, t0, t1, t2, t3, c0, c1]) = hex::parse(text)?;
        Some(Self {
            ip,
            pid: u16::from_be_bytes([p0, p1]),
            random: i32::from_be_bytes([r0, r1, r2, r3]),
            ms_of_month: u32::from_be_bytes([t0, t1, t2, t3]),
            counter: u16::from_be_bytes([c0, c1]),
        })
    }

    /// The id with these parts.
    #[must_use]
    pub fn to_id(self) -> HexId {
        let [p0, p1] = self.pid.to_be_bytes();
        let [r0, r1, r2, r3] = self.random.to_be_bytes();
        let [t0, t1, t2, t3] = self.ms_of_month.to_be_bytes();
        let [c0, c1] = self.counter.to_be_bytes();
        HexId::new(self.ip, [p0, p1, r0, r1, r2, r3, t0, t1, t2, t3, c0, c1])
    }
}

/// The first millisecond of the UTC month that `ms` lies in, and of the next.
fn month_of(ms: i64) -> (i64, i64) {
    let (year, month) = year_and_month(ms.div_euclid(DAY_MS));
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    let start = days_to_month(year, month).saturating_mul(DAY_MS);
    (start, days_to_month(next_year, next_month).saturating_mul(DAY_MS))
}

/// The Gregorian year and month (1 to 12) of a day counted from 1970-01-01.
///
/// Years begin in March here, so that a leap day is a year's last day; an era is 400 years.
fn year_and_month(day: i64) -> (i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let day_of_era = day.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month)
}

/// The day counted from 1970-01-01 on which a month begins.
fn days_to_month(year: i64, month: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::string::ToString;
    use core::net::Ipv6Addr;
    use proptest::prelude::*;

    fn generator(now_ms: i64) -> UniqKeyGenerator {
        UniqKeyGenerator::new(IpAddr::from([10, 1, 2, 3]), 0xABCD_1234, [1, 2, 3, 4], at(now_ms))
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn the_parts_lie_where_java_puts_them() {
        // 2023-11-14T22:13:20.123Z is 13 days, 22:13:20.123 into its month.
        let id = generator(1_700_000_000_123).next_id(at(1_700_000_000_123));
        assert_eq!(id, "0A01020312340102030447B7607B0000");
        let parts = UniqKey::parse(&id.to_string()).unwrap();
        assert_eq!(parts.ms_of_month, 13 * 86_400_000 + 80_000_123);
        assert_eq!((parts.pid, parts.counter), (0x1234, 0));
    }

    #[test]
    fn ids_have_56_characters_with_ipv6() {
        let ip = IpAddr::from(Ipv6Addr::LOCALHOST);
        let id = UniqKeyGenerator::new(ip, 1, [0; 4], at(0)).next_id(at(0));
        assert_eq!(id.char_count(), 56);
        assert_eq!(UniqKey::parse(&id.to_string()).unwrap().ip, ip);
    }

    #[test]
    fn an_id_is_appended_as_it_is_shown() {
        for ip in [IpAddr::from([10, 1, 2, 3]), IpAddr::from(Ipv6Addr::LOCALHOST)] {
            let mut generator = UniqKeyGenerator::new(ip, 7, [1, 2, 3, 0xFF], at(9));
            let mut text = String::from("before ");
            let id = generator.push_next(at(99), &mut text);
            assert_eq!(text, alloc::format!("before {id}"));
        }
    }

    #[test]
    fn following_ids_are_those_that_the_generator_gives() {
        for ip in [IpAddr::from([10, 1, 2, 3]), IpAddr::from(Ipv6Addr::LOCALHOST)] {
            let mut generator = UniqKeyGenerator::new(ip, 7, [1, 2, 3, 0xFF], at(9));
            generator.counter = 65_500;
            let first = generator.next_id(at(99));
            for count in 1..100 {
                assert_eq!(first.following(count), generator.next_id(at(99)));
            }
        }
    }

    #[test]
    fn ids_of_one_millisecond_differ_until_the_counter_wraps() {
        let mut generator = generator(0);
        let ids: BTreeSet<_> = (0..65_536).map(|_| generator.next_id(at(5)).to_string()).collect();
        assert_eq!(ids.len(), 65_536);
    }

    #[test]
    fn the_month_is_taken_anew_when_it_ends_and_when_the_clock_is_set_far_back() {
        let december_31 = 1_704_067_199_999;
        let mut generator = generator(december_31);
        for (now_ms, expected) in [
            (december_31, 31 * 86_400_000 - 1),
            (december_31 + 1, 0),
            (december_31 + 2, 1),
            (december_31, 0),
            (december_31 - 2_000_000, 31 * 86_400_000 - 2_000_001),
        ] {
            let parts = UniqKey::parse(&generator.next_id(at(now_ms)).to_string()).unwrap();
            assert_eq!(parts.ms_of_month, expected, "{now_ms}");
        }
    }

    #[test]
    fn leap_days_belong_to_february() {
        for (ms, start) in [
            (951_827_696_000, 949_363_200_000),     // 2000-02-29
            (951_868_800_000, 951_868_800_000),     // 2000-03-01
            (-1, -2_678_400_000),                   // 1969-12-31
            (4_107_542_399_999, 4_105_123_200_000), // 2100-02-28
            (4_107_542_400_000, 4_107_542_400_000), // 2100-03-01
        ] {
            assert_eq!(month_of(ms).0, start, "{ms}");
        }
    }

    proptest! {
        #[test]
        fn months_join_and_hold_their_milliseconds(ms in -60_000_000_000_000_i64..250_000_000_000_000) {
            let (start, end) = month_of(ms);
            prop_assert!(start <= ms && ms < end);
            prop_assert!((28..=31).contains(&((end - start) / DAY_MS)));
            prop_assert_eq!(month_of(end).0, end);
        }

        #[test]
        fn no_text_panics(text: alloc::string::String) {
            let _ = UniqKey::parse(&text);
        }
    }
}
