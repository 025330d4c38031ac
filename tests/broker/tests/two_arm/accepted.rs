//! The differences that are meant, with their reasons: `accepted.txt`.

/// So many may be listed.
pub(crate) const ACCEPTED_MAX: usize = 10;

/// A difference that is meant: `step | path | reason`.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) step: String,
    pub(crate) path: String,
    pub(crate) reason: String,
}

impl Accepted {
    pub(crate) fn new(step: &str, path: &str, reason: &str) -> Self {
        Self { step: step.to_owned(), path: path.to_owned(), reason: reason.to_owned() }
    }

    pub(crate) fn list() -> Vec<Self> {
        let lines = include_str!("accepted.txt").lines();
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let read = |line: &str| {
            let parts: Vec<_> = line.split(" | ").collect();
            let [step, path, reason] = parts[..] else { panic!("not `step | path | reason`: {line}") };
            Self::new(step, path, reason)
        };
        lines.map(read).collect()
    }

    /// Whether the difference at this path of this step is meant.
    pub(crate) fn covers(&self, step: &str, path: &str) -> bool {
        self.step == step && self.path == path
    }
}
