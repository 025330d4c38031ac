//! Any value of a header or a body, for fuzz targets and for the tests that `headers!` and `bodies!` declare.

use super::BoundaryType;
pub(super) use crate::message::fuzz::Source;
use alloc::borrow::Cow;

#[cfg(test)]
pub(crate) use bodies::{generate, pick};

/// A value made of a fuzzer's bytes.
pub(crate) trait Generate: Sized {
    fn generate(source: &mut Source<'_>) -> Self;
}

/// Never empty: the binary form has no empty values.
impl Generate for Cow<'_, str> {
    fn generate(source: &mut Source<'_>) -> Self {
        let mut text = source.text();
        if text.is_empty() {
            text.push('-');
        }
        Cow::Owned(text)
    }
}

impl Generate for i32 {
    fn generate(source: &mut Source<'_>) -> Self {
        source.i32()
    }
}

impl Generate for i64 {
    fn generate(source: &mut Source<'_>) -> Self {
        source.i64()
    }
}

impl Generate for bool {
    fn generate(source: &mut Source<'_>) -> Self {
        source.bool()
    }
}

impl Generate for BoundaryType {
    fn generate(source: &mut Source<'_>) -> Self {
        if source.bool() { Self::Lower } else { Self::Upper }
    }
}

impl<T: Generate> Generate for Option<T> {
    fn generate(source: &mut Source<'_>) -> Self {
        source.bool().then(|| T::generate(source))
    }
}

/// What only bodies have.
#[cfg(test)]
mod bodies {
    use super::super::{BitSet, LanguageCode, Secret};
    use super::*;
    use crate::message::MessageQueue;
    use crate::rng::Rng;
    use alloc::{
        collections::{BTreeMap, BTreeSet},
        sync::Arc,
        vec::Vec,
    };

    /// The same value for the same seed.
    pub(crate) fn generate<T: Generate>(seed: u64) -> T {
        let mut rng = Rng::new(seed);
        let bytes: Vec<u8> = (0..128).flat_map(|_| rng.next_u64().to_be_bytes()).collect();
        T::generate(&mut Source::new(&bytes))
    }

    pub(crate) fn pick<T: Copy>(source: &mut Source<'_>, from: &[T]) -> T {
        from[source.below(from.len())]
    }

    /// Items of a list or a map.
    fn items<T: Generate, C: FromIterator<T>>(source: &mut Source<'_>) -> C {
        (0..source.below(3)).map(|_| T::generate(source)).collect()
    }

    impl Generate for Arc<str> {
        fn generate(source: &mut Source<'_>) -> Self {
            source.text().into()
        }
    }

    /// Finite: JSON has nothing else.
    impl Generate for f64 {
        fn generate(source: &mut Source<'_>) -> Self {
            let any = Self::from_le_bytes(source.array());
            let any = if any.is_finite() { any } else { 0.033 };
            pick(source, &[0.0, 1.0, -0.5, Self::MAX, Self::MIN_POSITIVE, any])
        }
    }

    impl Generate for LanguageCode {
        fn generate(source: &mut Source<'_>) -> Self {
            pick(source, &[Self::Java, Self::Cpp, Self::Go, Self::Rust])
        }
    }

    impl Generate for Secret {
        fn generate(source: &mut Source<'_>) -> Self {
            Self(Generate::generate(source))
        }
    }

    impl Generate for BitSet {
        fn generate(source: &mut Source<'_>) -> Self {
            (0..source.below(4)).map(|_| u32::from(source.byte() % 70)).collect()
        }
    }

    impl Generate for MessageQueue {
        fn generate(source: &mut Source<'_>) -> Self {
            Self {
                topic: Generate::generate(source),
                broker_name: Generate::generate(source),
                queue_id: Generate::generate(source),
            }
        }
    }

    impl<A: Generate, B: Generate> Generate for (A, B) {
        fn generate(source: &mut Source<'_>) -> Self {
            (A::generate(source), B::generate(source))
        }
    }

    impl<T: Generate> Generate for Vec<T> {
        fn generate(source: &mut Source<'_>) -> Self {
            items(source)
        }
    }

    impl<T: Generate + Ord> Generate for BTreeSet<T> {
        fn generate(source: &mut Source<'_>) -> Self {
            items(source)
        }
    }

    impl<K: Generate + Ord, V: Generate> Generate for BTreeMap<K, V> {
        fn generate(source: &mut Source<'_>) -> Self {
            items(source)
        }
    }
}
