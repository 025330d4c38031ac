//! Bounds for lines in the log that a peer, or whoever sends messages, can cause: so many a second, and so
//! many characters of a text that is not ours.

use core::fmt::{self, Write};

use crate::time::Instant;

/// Such lines of a client a second, with the ones that tell how many were left out, are ten: so many are those of
/// the machines.
const MACHINES_LINES_MAX: u32 = 6;
/// So many of the ten are those of handlers, which run on other threads.
const HANDLERS_LINES_MAX: u32 = 4;
/// Characters that are shown of a text that came from elsewhere.
const TEXT_CHARS_MAX: usize = 512;

/// Counts a client's lines. Only what others can cause without end needs to ask; what happens once in a
/// while by its nature does not.
#[derive(Clone, Debug)]
pub struct LogLines {
    max: u32,
    second: u64,
    written: u32,
    left_out: u64,
}

impl LogLines {
    /// For what a client's machines have to tell.
    pub const fn of_machines() -> Self {
        Self::new(MACHINES_LINES_MAX)
    }

    /// For what there is to tell of a client's handlers and what they are given.
    pub const fn of_handlers() -> Self {
        Self::new(HANDLERS_LINES_MAX)
    }

    const fn new(max: u32) -> Self {
        Self { max, second: 0, written: 0, left_out: 0 }
    }

    /// Whether one more line may be written now. Of a second with too many the ones beyond are left out, and a
    /// line in a later second tells how many.
    pub fn may(&mut self, now: Instant) -> bool {
        let second = now.as_millis() / 1_000;
        if second != self.second {
            self.second = second;
            self.written = 0;
            let left_out = core::mem::take(&mut self.left_out);
            if left_out > 0 {
                self.written = 1;
                tracing::warn!(left_out, "more lines like the last ones were left out");
            }
        }
        let may = self.written < self.max;
        if may {
            self.written += 1;
        } else {
            self.left_out += 1;
        }
        may
    }
}

/// A text that came from elsewhere, for people to read: control characters are escaped, and what is too long
/// ends with how long it was.
#[derive(Clone, Copy, Debug)]
pub struct Brief<'a>(pub &'a str);

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        for char in chars.by_ref().take(TEXT_CHARS_MAX) {
            // As `str::escape_debug` does, but for quotes, which need none here.
            match char {
                '\'' | '"' => f.write_char(char)?,
                _ => write!(f, "{}", char.escape_debug())?,
            }
        }
        if chars.as_str().is_empty() { Ok(()) } else { write!(f, "… ({} bytes)", self.0.len()) }
    }
}

#[cfg(test)]
pub(crate) mod told;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_flood_leaves_few_lines_a_second_and_says_how_many_are_missing() {
        let mut lines = LogLines::new(10);
        let at = |millis| Instant::from_millis(millis);
        let first = (0..1_000).filter(|millis| lines.may(at(*millis))).count();
        assert_eq!((first, lines.left_out), (10, 990));
        let second = (1_000..2_000).filter(|millis| lines.may(at(*millis))).count();
        assert_eq!((second, lines.left_out), (9, 991), "one of ten told of the first second");
        assert!(lines.may(at(60_000)));
        assert_eq!((lines.left_out, lines.written), (0, 2));
    }

    #[test]
    fn machines_and_handlers_of_a_client_have_ten_lines_a_second_together() {
        let count = |mut lines: LogLines| (0..100).filter(|ms| lines.may(Instant::from_millis(*ms))).count();
        assert_eq!(count(LogLines::of_machines()) + count(LogLines::of_handlers()), 10);
    }

    #[test]
    fn what_others_write_is_short_and_can_t_forge_a_line() {
        assert_eq!(Brief("it's \"full\"").to_string(), "it's \"full\"");
        assert_eq!(Brief("a\nWARN b\u{1b}[2J").to_string(), "a\\nWARN b\\u{1b}[2J");
        let long = Brief(&"ä".repeat(10_000)).to_string();
        assert!(long.ends_with("… (20000 bytes)") && long.chars().count() < 540, "{long}");
        assert_eq!(Brief(&"x".repeat(512)).to_string(), "x".repeat(512));
    }
}
