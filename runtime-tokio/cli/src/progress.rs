//! A progress bar on standard error, where somebody sees it.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::output;

/// A bar towards `total`, or a counter where the end is not known. Hidden when `quiet` is set or
/// standard error is no terminal. It is gone when it is dropped.
pub(crate) fn bar(total: Option<u64>, what: &'static str, quiet: bool) -> Bar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(10) };
    let bar = ProgressBar::with_draw_target(total, target).with_message(what);
    let template = match total {
        Some(_) => "{msg} [{bar:30}] {human_pos}/{human_len} {rate} eta {eta}",
        None => "{msg} {spinner} {human_pos} {rate}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> ").with_key("rate", rate));
    }
    if total.is_none() && !bar.is_hidden() {
        bar.enable_steady_tick(Duration::from_millis(200));
    }
    Bar(bar)
}

/// How many a second, without the digits that nobody reads.
fn rate(state: &ProgressState, out: &mut dyn Write) {
    // Rounded to whole ones, and saturating as `as` does.
    let _ = write!(out, "{}/s", output::grouped(state.per_sec().round() as u64));
}

/// A progress bar that clears itself.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// So many more are done.
    pub(crate) fn add(&self, count: u64) {
        self.0.inc(count);
    }

    /// So many are done.
    pub(crate) fn set(&self, count: u64) {
        self.0.set_position(count);
    }

    /// Prints to standard output without tearing the bar.
    pub(crate) fn suspend<R>(&self, print: impl FnOnce() -> R) -> R {
        self.0.suspend(print)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
