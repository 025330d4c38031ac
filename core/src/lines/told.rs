//! What a scene writes to the log, for tests.

extern crate std;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::LazyLock;

use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber, span};

/// Counts lines at `warn`.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Worlds in memory that answer no pull that finds nothing seem lost when it times out.
        *metadata.level() == Level::WARN && !metadata.target().ends_with("::peers")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// With a single subscriber alive, `tracing` takes a line that another thread reaches first for one that
/// nobody wants, on all threads: it asks that thread alone.
static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));

/// How many warnings `scene` causes on this thread.
pub(crate) fn warnings(scene: impl FnOnce()) -> usize {
    LazyLock::force(&ANOTHER);
    let warnings = Warnings::default();
    tracing::subscriber::with_default(warnings.clone(), scene);
    warnings.0.load(Ordering::Relaxed)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it is about two threads")]
fn a_warning_counts_that_another_thread_reached_first() {
    let line = || tracing::warn!("a line of two threads");
    let count = warnings(|| {
        std::thread::spawn(line).join().expect("it only warns");
        line();
    });
    assert_eq!(count, 1);
}
