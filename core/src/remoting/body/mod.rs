//! The JSON bodies of requests and responses, in files by what they are about.
//!
//! Every body reads fastjson's dialect and writes what Java writes: keys in alphabetical order, nulls left
//! out, map keys as they are. Unknown fields are skipped, missing ones have their defaults.

mod admin;
mod config_text;
mod consumer;
mod ha;
mod heartbeat;
mod lock;
mod offset;
mod route;
mod stats;
mod subscription;
mod timer;
mod topic;

pub use admin::*;
pub use config_text::*;
pub use consumer::*;
pub use ha::*;
pub use heartbeat::*;
pub use lock::*;
pub use offset::*;
pub use route::*;
pub use stats::*;
pub use subscription::*;
pub use timer::*;
pub use topic::*;

/// How every body is tried on any bytes.
pub(super) const PROBES: [&[fn(&[u8])]; 10] = [
    admin::PROBES,
    consumer::PROBES,
    ha::PROBES,
    heartbeat::PROBES,
    lock::PROBES,
    offset::PROBES,
    route::PROBES,
    stats::PROBES,
    subscription::PROBES,
    topic::PROBES,
];

/// Declares bodies: one declaration gives the struct, both directions and their tests. Fields stand in alphabetical order
/// of their wire names, which is the order Java writes them in; `= value` is a default other than the type's,
/// `| "name"` another name under which the field is read.
macro_rules! bodies {
    ($(
        $(#[$doc:meta])*
        $name:ident $([$($derive:ident),*])? {
            $($(#[$field_doc:meta])* $field:ident: $wire:literal $(| $alias:literal)? $type:ty $(= $default:expr)?,)*
        }
    )*) => {
    #[cfg(test)]
    mod declared {
        use super::*;
        $(
            #[test]
            #[allow(non_snake_case, reason = "the body's name")]
            fn $name() {
                $crate::remoting::body::checks::check::<$name>(&[$(($wire, &[$($alias)?])),*]);
            }
        )*
    }

    $(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq $($(, $derive)*)?)]
        pub struct $name {
            $(
                $(#[$field_doc])*
                #[doc = concat!("\n\n`", $wire, "` on the wire.")]
                pub $field: $type,
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $crate::remoting::body::default_of!($($default)?),)* }
            }
        }

        impl $name {
            /// Reads the body.
            ///
            /// # Errors
            /// [`JsonError`](crate::remoting::JsonError) when it is no JSON or a value doesn't fit its field.
            pub fn decode(body: &[u8]) -> Result<Self, $crate::remoting::JsonError> {
                $crate::remoting::json::JsonReader::whole(body)
            }

            /// Writes the body as Java does; integer keys of maps are bare.
            #[must_use]
            pub fn encode(&self) -> bytes::Bytes {
                let mut writer = $crate::remoting::json::JsonWriter::default();
                $crate::remoting::json::ToJson::to_json(self, &mut writer);
                writer.into_bytes().freeze()
            }

            /// Writes the body as standard JSON where it can be: integer keys of maps are in quotes.
            #[must_use]
            pub fn encode_standard(&self) -> bytes::Bytes {
                let mut writer = $crate::remoting::json::JsonWriter::new(true);
                $crate::remoting::json::ToJson::to_json(self, &mut writer);
                writer.into_bytes().freeze()
            }
        }

        impl $crate::remoting::json::FromJson for $name {
            fn from_json(
                reader: &mut $crate::remoting::json::JsonReader<'_>,
            ) -> Result<Self, $crate::remoting::JsonError> {
                let mut value = Self::default();
                reader.object(|reader, key| {
                    match key {
                        $($wire $(| $alias)? => {
                            // A null leaves the default.
                            if !reader.null() {
                                value.$field = $crate::remoting::json::FromJson::from_json(reader)?;
                            }
                        })*
                        _ => reader.skip()?,
                    }
                    Ok(())
                })?;
                Ok(value)
            }
        }

        impl $crate::remoting::json::ToJson for $name {
            fn to_json(&self, writer: &mut $crate::remoting::json::JsonWriter) {
                writer.object(|writer| {
                    $(writer.field($wire, &self.$field);)*
                });
            }
        }

        #[cfg(test)]
        impl $crate::remoting::generate::Generate for $name {
            fn generate(source: &mut $crate::remoting::generate::Source<'_>) -> Self {
                Self { $($field: $crate::remoting::generate::Generate::generate(source),)* }
            }
        }

        #[cfg(test)]
        impl $crate::remoting::body::checks::Body for $name {
            fn read(body: &[u8]) -> Result<Self, $crate::remoting::JsonError> {
                Self::decode(body)
            }

            fn written(&self, standard: bool) -> bytes::Bytes {
                if standard { self.encode_standard() } else { self.encode() }
            }
        }
    )*

        /// How the bodies declared here are tried on any bytes.
        pub(super) const PROBES: &[fn(&[u8])] = &[$($crate::remoting::fuzz::check_body::<$name>),*];
    };
}

macro_rules! default_of {
    () => {
        Default::default()
    };
    ($default:expr) => {
        $default
    };
}

/// Declares enums that are written by their Java names. The first is what an unknown name reads as.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// A name nobody listed; Java reads it as null.
            #[default]
            Unknown,
        }

        impl $name {
            /// The name in Java; empty for [`Self::Unknown`].
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unknown => "",
                }
            }

            /// The value of a Java name; [`Self::Unknown`] for names nobody listed.
            #[must_use]
            pub fn from_name(name: &str) -> Self {
                match name {
                    $($text => Self::$variant,)*
                    _ => Self::Unknown,
                }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl $crate::remoting::json::FromJson for $name {
            fn from_json(
                reader: &mut $crate::remoting::json::JsonReader<'_>,
            ) -> Result<Self, $crate::remoting::JsonError> {
                Ok(Self::from_name(&reader.text()?))
            }
        }

        impl $crate::remoting::json::ToJson for $name {
            fn to_json(&self, writer: &mut $crate::remoting::json::JsonWriter) {
                writer.text(self.name());
            }

            fn is_null(&self) -> bool {
                *self == Self::Unknown
            }
        }

        #[cfg(test)]
        impl $crate::remoting::generate::Generate for $name {
            /// Never unknown: what nobody listed is left out and reads as the default.
            fn generate(source: &mut $crate::remoting::generate::Source<'_>) -> Self {
                $crate::remoting::generate::pick(source, &[$(Self::$variant),*])
            }
        }
    )*};
}

pub(in crate::remoting) use {bodies, default_of, names};

#[cfg(test)]
mod checks;
#[cfg(test)]
mod golden;
