//! How values are written into a recording: little-endian, each type once.
//!
//! Structs are taken apart without `..`, so a new field doesn't compile until somebody has decided
//! whether it is recorded.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;

use smallvec::SmallVec;

use crate::time::{Instant, Timestamp};

/// What is wrong with a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a recording of this version: {what}")]
pub struct Malformed {
    pub(super) what: &'static str,
}

/// The bytes that are left.
pub(in crate::driver) struct Reader<'a> {
    pub(in crate::driver) left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) =
            self.left.split_at_checked(count).ok_or(Malformed { what: "it ends too early" })?;
        self.left = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.bytes(N)?;
        <[u8; N]>::try_from(bytes).map_err(|_| Malformed { what: "it ends too early" })
    }
}

/// A value that can be in a recording.
pub(super) trait Recorded: Sized {
    fn write(&self, out: &mut Vec<u8>);
    fn read(input: &mut Reader<'_>) -> Result<Self, Malformed>;
}

macro_rules! numbers {
    ($($type:ty)*) => {$(
        impl Recorded for $type {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, Malformed> {
                Ok(Self::from_le_bytes(input.array()?))
            }
        }
    )*};
}
numbers!(u8 u16 u32 i32 u64 i64 u128);

/// A type that is written as another one.
macro_rules! recorded_as {
    ($type:ty as $other:ty, $to:expr, $from:expr) => {
        impl $crate::driver::record::codec::Recorded for $type {
            fn write(&self, out: &mut alloc::vec::Vec<u8>) {
                let to: fn(&$type) -> $other = $to;
                $crate::driver::record::codec::Recorded::write(&to(self), out);
            }

            fn read(
                input: &mut $crate::driver::record::codec::Reader<'_>,
            ) -> Result<Self, $crate::driver::record::codec::Malformed> {
                let from: fn($other) -> Option<$type> = $from;
                let other = <$other as $crate::driver::record::codec::Recorded>::read(input)?;
                from(other).ok_or($crate::driver::record::codec::Malformed { what: stringify!($type) })
            }
        }
    };
}

/// A struct, field by field.
macro_rules! recorded_struct {
    ($type:ident { $($field:ident),* $(,)? }) => {
        impl $crate::driver::record::codec::Recorded for $type {
            fn write(&self, out: &mut alloc::vec::Vec<u8>) {
                let $type { $($field),* } = self;
                $($crate::driver::record::codec::Recorded::write($field, out);)*
            }

            fn read(
                input: &mut $crate::driver::record::codec::Reader<'_>,
            ) -> Result<Self, $crate::driver::record::codec::Malformed> {
                Ok($type { $($field: $crate::driver::record::codec::Recorded::read(input)?),* })
            }
        }
    };
}

/// An enum: a number for each variant, then its fields.
macro_rules! recorded_enum {
    ($type:ident { $($number:literal => $variant:ident $( { $($field:ident),* $(,)? } )? $( ( $($inner:ident),+ ) )?),* $(,)? }) => {
        impl $crate::driver::record::codec::Recorded for $type {
            fn write(&self, out: &mut alloc::vec::Vec<u8>) {
                match self {
                    $($type::$variant $( { $($field),* } )? $( ( $($inner),+ ) )? => {
                        out.push($number);
                        $($($crate::driver::record::codec::Recorded::write($field, out);)*)?
                        $($($crate::driver::record::codec::Recorded::write($inner, out);)+)?
                    })*
                }
            }

            fn read(
                input: &mut $crate::driver::record::codec::Reader<'_>,
            ) -> Result<Self, $crate::driver::record::codec::Malformed> {
                let number: u8 = $crate::driver::record::codec::Recorded::read(input)?;
                Ok(match number {
                    $($number => $type::$variant
                        $( { $($field: $crate::driver::record::codec::Recorded::read(input)?),* } )?
                        $( ($({ let $inner = $crate::driver::record::codec::Recorded::read(input)?; $inner }),+) )?,)*
                    _ => return Err($crate::driver::record::codec::Malformed { what: stringify!($type) }),
                })
            }
        }
    };
}

pub(super) use {recorded_as, recorded_enum, recorded_struct};

recorded_as!(bool as u8, |value| u8::from(*value), |value| (value < 2).then_some(value == 1));
recorded_as!(usize as u64, |value| *value as u64, |value| usize::try_from(value).ok());
recorded_as!(char as u32, |value| u32::from(*value), char::from_u32);
recorded_as!(Duration as u128, Duration::as_nanos, |nanos| {
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, u32::try_from(nanos % 1_000_000_000).ok()?))
});
recorded_as!(Instant as u64, |value| value.as_nanos(), |nanos| Some(Instant::from_nanos(nanos)));
recorded_as!(Timestamp as i64, |value| value.as_millis(), |millis| Some(Timestamp::from_millis(millis)));
recorded_as!(Box<str> as String, |value| String::from(&**value), |value| Some(value.into()));
recorded_as!(Arc<str> as String, |value| String::from(&**value), |value| Some(value.into()));

impl Recorded for String {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = usize::read(input)?;
        let text = core::str::from_utf8(input.bytes(count)?);
        text.map(Into::into).map_err(|_| Malformed { what: "a text is not UTF-8" })
    }
}

impl Recorded for IpAddr {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::V4(ip) => {
                out.push(4);
                out.extend_from_slice(&ip.octets());
            }
            Self::V6(ip) => {
                out.push(6);
                out.extend_from_slice(&ip.octets());
            }
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        match u8::read(input)? {
            4 => Ok(Self::V4(Ipv4Addr::from(input.array::<4>()?))),
            6 => Ok(Self::V6(Ipv6Addr::from(input.array::<16>()?))),
            _ => Err(Malformed { what: "an address" }),
        }
    }
}

impl Recorded for SocketAddr {
    fn write(&self, out: &mut Vec<u8>) {
        self.ip().write(out);
        self.port().write(out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self::new(IpAddr::read(input)?, u16::read(input)?))
    }
}

impl<T: Recorded> Recorded for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        if bool::read(input)? { T::read(input).map(Some) } else { Ok(None) }
    }
}

impl<T: Recorded, E: Recorded> Recorded for Result<T, E> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_ok().write(out);
        match self {
            Ok(value) => value.write(out),
            Err(error) => error.write(out),
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        if bool::read(input)? { T::read(input).map(Ok) } else { E::read(input).map(Err) }
    }
}

macro_rules! pointers {
    ($($pointer:ident)*) => {$(
        impl<T: Recorded> Recorded for $pointer<T> {
            fn write(&self, out: &mut Vec<u8>) {
                (**self).write(out);
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, Malformed> {
                T::read(input).map($pointer::new)
            }
        }
    )*};
}
pointers!(Arc Box);

/// Collections: a count, then the items. Nothing is allocated ahead of what is there.
macro_rules! collections {
    ($($type:ty, $item:ty, [$($generic:tt)*];)*) => {$(
        impl<$($generic)*> Recorded for $type {
            fn write(&self, out: &mut Vec<u8>) {
                self.len().write(out);
                for item in self {
                    item.write(out);
                }
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, Malformed> {
                let count = usize::read(input)?;
                (0..count).map(|_| <$item>::read(input)).collect()
            }
        }
    )*};
}
collections! {
    Vec<T>, T, [T: Recorded];
    BTreeSet<T>, T, [T: Recorded + Ord];
    SmallVec<[T; 4]>, T, [T: Recorded];
}

impl<A: Recorded, B: Recorded> Recorded for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok((A::read(input)?, B::read(input)?))
    }
}

impl<K: Recorded + Ord, V: Recorded> Recorded for BTreeMap<K, V> {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        for (key, value) in self {
            key.write(out);
            value.write(out);
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = usize::read(input)?;
        (0..count).map(|_| Ok((K::read(input)?, V::read(input)?))).collect()
    }
}
