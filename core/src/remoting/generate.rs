//! Any value of a header or a body, for the tests that `headers!` and `bodies!` declare.

use super::*;
use crate::message::MessageQueue;
use crate::rng::Rng;
use alloc::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    string::String,
    sync::Arc,
    vec::Vec,
};

/// A value drawn at random, edges of its type included.
pub(crate) trait Generate: Sized {
    fn generate(rng: &mut Rng) -> Self;
}

pub(crate) fn generate<T: Generate>(seed: u64) -> T {
    T::generate(&mut Rng::new(seed))
}

pub(crate) fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.below(from.len() as u64) as usize]
}

/// Items of a list or a map.
fn items<T: Generate, C: FromIterator<T>>(rng: &mut Rng) -> C {
    (0..rng.below(3)).map(|_| T::generate(rng)).collect()
}

fn text(rng: &mut Rng, len: u64) -> String {
    const CHARS: [char; 16] = [
        'a',
        'Z',
        '%',
        ' ',
        '"',
        '\\',
        '\'',
        '\u{0}',
        '\u{1}',
        '\u{2}',
        '\n',
        '{',
        ',',
        'é',
        '中',
        '\u{1F600}',
    ];
    (0..len).map(|_| pick(rng, &CHARS)).collect()
}

/// Never empty: the binary form has no empty values.
impl Generate for Cow<'_, str> {
    fn generate(rng: &mut Rng) -> Self {
        let len = 1 + rng.below(12);
        text(rng, len).into()
    }
}

impl Generate for Arc<str> {
    fn generate(rng: &mut Rng) -> Self {
        let len = rng.below(6);
        text(rng, len).into()
    }
}

impl Generate for i32 {
    fn generate(rng: &mut Rng) -> Self {
        let any = rng.next_u32().cast_signed();
        pick(rng, &[0, 1, -1, Self::MAX, Self::MIN, any])
    }
}

impl Generate for i64 {
    fn generate(rng: &mut Rng) -> Self {
        let any = rng.next_u64().cast_signed();
        pick(rng, &[0, 1, -1, Self::MAX, Self::MIN, any])
    }
}

/// Finite: JSON has nothing else.
impl Generate for f64 {
    fn generate(rng: &mut Rng) -> Self {
        let any = Some(Self::from_bits(rng.next_u64())).filter(|any| any.is_finite()).unwrap_or(0.033);
        pick(rng, &[0.0, 1.0, -0.5, Self::MAX, Self::MIN_POSITIVE, any])
    }
}

impl Generate for bool {
    fn generate(rng: &mut Rng) -> Self {
        rng.chance(1, 2)
    }
}

impl Generate for BoundaryType {
    fn generate(rng: &mut Rng) -> Self {
        pick(rng, &[Self::Lower, Self::Upper])
    }
}

impl Generate for LanguageCode {
    fn generate(rng: &mut Rng) -> Self {
        pick(rng, &[Self::Java, Self::Cpp, Self::Go, Self::Rust])
    }
}

impl Generate for Secret {
    fn generate(rng: &mut Rng) -> Self {
        Self(Generate::generate(rng))
    }
}

impl Generate for BitSet {
    fn generate(rng: &mut Rng) -> Self {
        (0..rng.below(4)).map(|_| rng.next_u32() % 70).collect()
    }
}

impl Generate for MessageQueue {
    fn generate(rng: &mut Rng) -> Self {
        Self {
            topic: Generate::generate(rng),
            broker_name: Generate::generate(rng),
            queue_id: Generate::generate(rng),
        }
    }
}

impl<A: Generate, B: Generate> Generate for (A, B) {
    fn generate(rng: &mut Rng) -> Self {
        (A::generate(rng), B::generate(rng))
    }
}

impl<T: Generate> Generate for Option<T> {
    fn generate(rng: &mut Rng) -> Self {
        rng.chance(1, 2).then(|| T::generate(rng))
    }
}

impl<T: Generate> Generate for Vec<T> {
    fn generate(rng: &mut Rng) -> Self {
        items(rng)
    }
}

impl<T: Generate + Ord> Generate for BTreeSet<T> {
    fn generate(rng: &mut Rng) -> Self {
        items(rng)
    }
}

impl<K: Generate + Ord, V: Generate> Generate for BTreeMap<K, V> {
    fn generate(rng: &mut Rng) -> Self {
        items(rng)
    }
}
