//! Standard output and standard error: plain lines, tables and JSON.
//!
//! Nothing here panics when the reader is gone, as `println!` does: that comes back as an error, which
//! ends the command quietly.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{Cell, Table};

/// Prints a line to standard output.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Prints one JSON object, or any value, on a line.
pub(crate) fn json(value: &serde_json::Value) -> io::Result<()> {
    line(&value.to_string())
}

/// Prints a table. Without headers it is a list of names and values.
pub(crate) fn table<const N: usize>(headers: Option<[&str; N]>, rows: &[[String; N]]) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    if let Some(headers) = headers {
        table.set_header(headers);
    }
    for row in rows {
        table.add_row(row.iter().map(Cell::new));
    }
    line(&table.to_string())
}

/// Says a word to the user beside the output. Nobody may be there to hear it.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Says why the command failed.
pub(crate) fn error(text: &str) {
    let (red, reset) = if colours() { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
    note(&format!("{red}error:{reset} {text}"));
}

/// Whether standard error is a terminal that may be coloured.
pub(crate) fn colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Milliseconds with two decimals.
pub(crate) fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e5).round() / 100.0
}

/// A number with its thousands apart: `12,345`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")];
        for (number, shown) in cases {
            assert_eq!(grouped(number), shown);
        }
    }

    #[test]
    fn milliseconds_are_rounded_to_two_decimals() {
        assert_eq!(ms(Duration::from_micros(1_237)), 1.24);
    }
}
