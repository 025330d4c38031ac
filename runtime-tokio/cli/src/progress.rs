//! Bars for long work, on a terminal only.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// A group of bars; it draws nothing when nobody watches.
#[derive(Debug)]
pub(crate) struct Progress {
    bars: MultiProgress,
}

impl Progress {
    pub(crate) fn new(output: Output) -> Self {
        let target = match output.is_watched() {
            true => ProgressDrawTarget::stderr_with_hz(8),
            false => ProgressDrawTarget::hidden(),
        };
        Self { bars: MultiProgress::with_draw_target(target) }
    }

    /// A bar to `length`, or a count without an end.
    pub(crate) fn bar(&self, name: &'static str, length: Option<u64>) -> ProgressBar {
        let template = match length {
            Some(_) => "{prefix:>10} {bar:32} {human_pos:>9} of {human_len}  {per_sec}",
            None => "{prefix:>10} {spinner} {human_pos:>9}  {per_sec}",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
        self.bars.add(bar.with_style(style).with_prefix(name))
    }

    /// Takes all bars off the screen.
    pub(crate) fn clear(&self) {
        // A terminal that can't be cleared keeps its bars; nothing else depends on it.
        drop(self.bars.clear());
    }
}
