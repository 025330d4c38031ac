//! Named kinds of things, and how often each happened.

use std::collections::BTreeMap;

/// An enumeration whose members have names for reports, in the order of their first mention.
macro_rules! kinds {
    ($(#[$enum_doc:meta])* $kind:ident { $($(#[$doc:meta])* $name:ident = $text:literal,)* }) => {
        $(#[$enum_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $kind {
            $($(#[$doc])* $name,)*
        }

        impl $kind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }

        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

pub(crate) use kinds;

/// How often each kind happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts<K>(BTreeMap<K, u64>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Copy + Ord> Counts<K> {
    /// It did once more.
    pub fn count(&mut self, kind: K) {
        *self.0.entry(kind).or_default() += 1;
    }

    /// How often it did.
    #[must_use]
    pub fn of(&self, kind: K) -> u64 {
        self.0.get(&kind).copied().unwrap_or(0)
    }

    /// Adds those of another run.
    pub fn join(&mut self, other: &Self) {
        for (kind, count) in &other.0 {
            *self.0.entry(*kind).or_default() += count;
        }
    }
}
