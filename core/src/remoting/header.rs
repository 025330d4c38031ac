//! Typed headers: what a command's ext fields mean, declared once for both encodings.

use super::{ExtFields, RawText, RequestCode};
use alloc::borrow::Cow;
use core::fmt;

/// A command's typed header, written to and read from its ext fields.
pub trait Header<'a>: Sized {
    /// Hands every field that is present to `sink`.
    fn write_fields(&self, sink: &mut impl FieldSink);

    /// Reads the header; fields it doesn't know are left alone.
    ///
    /// # Errors
    /// [`HeaderError`] when a required field is absent or a value doesn't fit its field.
    fn read_fields(ext: &'a ExtFields) -> Result<Self, HeaderError>;
}

/// The header of a request, which names the code it goes with.
pub trait RequestHeader<'a>: Header<'a> {
    /// The request's code; where several codes share a header, the one that is used most.
    const CODE: RequestCode;
}

/// Takes the fields of a header.
pub trait FieldSink {
    /// Takes one field. A key is plain ASCII without quotes.
    fn field(&mut self, key: &'static str, value: FieldValue<'_>);
}

/// A field's value before it becomes text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldValue<'a> {
    /// Text.
    Str(&'a str),
    /// A Java `int`.
    I32(i32),
    /// A Java `long`.
    I64(i64),
    /// `true` or `false`.
    Bool(bool),
}

impl FieldValue<'_> {
    /// Calls `write` with the value's text.
    pub fn with_text<R>(self, write: impl FnOnce(&str) -> R) -> R {
        match self {
            Self::Str(text) => write(text),
            Self::I32(number) => write(itoa::Buffer::new().format(number)),
            Self::I64(number) => write(itoa::Buffer::new().format(number)),
            Self::Bool(true) => write("true"),
            Self::Bool(false) => write("false"),
        }
    }
}

/// A header that lacks a field or holds a value that doesn't fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{header}: {problem} `{field}`")]
#[non_exhaustive]
pub struct HeaderError {
    /// The header's name.
    pub header: &'static str,
    /// The field's name on the wire.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: HeaderProblem,
}

/// What is wrong with a header's field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderProblem {
    /// The field is required and absent.
    Missing,
    /// The value is not of the field's type.
    Invalid,
}

impl fmt::Display for HeaderProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the peer left out the required field",
            Self::Invalid => "the peer sent a value that doesn't fit the field",
        })
    }
}

/// The header of commands without fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoHeader;

impl<'a> Header<'a> for NoHeader {
    fn write_fields(&self, _sink: &mut impl FieldSink) {}

    fn read_fields(_ext: &'a ExtFields) -> Result<Self, HeaderError> {
        Ok(Self)
    }
}

/// A type that a header's field can have.
pub trait FieldType<'a>: Sized {
    /// The value of a field's text, or `None` when it doesn't fit.
    fn from_text(text: RawText<'a>) -> Option<Self>;

    /// The value to write.
    fn value(&self) -> FieldValue<'_>;

    /// Text that stands for an absent value: Java parses `""` as no number.
    fn is_absent(text: RawText<'_>) -> bool {
        text.is_empty()
    }
}

impl<'a> FieldType<'a> for Cow<'a, str> {
    fn from_text(text: RawText<'a>) -> Option<Self> {
        Some(text.text())
    }

    fn value(&self) -> FieldValue<'_> {
        FieldValue::Str(self)
    }

    fn is_absent(_text: RawText<'_>) -> bool {
        false
    }
}

impl<'a> FieldType<'a> for i32 {
    fn from_text(text: RawText<'a>) -> Option<Self> {
        text.integer()?.try_into().ok()
    }

    fn value(&self) -> FieldValue<'_> {
        FieldValue::I32(*self)
    }
}

impl<'a> FieldType<'a> for i64 {
    fn from_text(text: RawText<'a>) -> Option<Self> {
        text.integer()
    }

    fn value(&self) -> FieldValue<'_> {
        FieldValue::I64(*self)
    }
}

/// As Java, only `true` in any case is true.
impl<'a> FieldType<'a> for bool {
    fn from_text(text: RawText<'a>) -> Option<Self> {
        Some(text.text().eq_ignore_ascii_case("true"))
    }

    fn value(&self) -> FieldValue<'_> {
        FieldValue::Bool(*self)
    }
}

pub(super) fn optional<'a, T: FieldType<'a>>(
    value: Option<RawText<'a>>,
    header: &'static str,
    field: &'static str,
) -> Result<Option<T>, HeaderError> {
    match value {
        Some(text) if !T::is_absent(text) => match T::from_text(text) {
            Some(value) => Ok(Some(value)),
            None => Err(HeaderError { header, field, problem: HeaderProblem::Invalid }),
        },
        _ => Ok(None),
    }
}

pub(super) fn required<'a, T: FieldType<'a>>(
    value: Option<RawText<'a>>,
    header: &'static str,
    field: &'static str,
) -> Result<T, HeaderError> {
    optional(value, header, field)?.ok_or(HeaderError { header, field, problem: HeaderProblem::Missing })
}

/// The fields a header inherits; read in the same pass as its own.
pub(super) trait SuperHeader<'a>: Default {
    /// Takes a field that the header itself doesn't know.
    fn set_field(&mut self, key: &[u8], value: RawText<'a>);

    fn write_super_fields(&self, sink: &mut impl FieldSink);
}

macro_rules! super_header {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $wire:literal $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name<'a> {
            $(
                $(#[$field_doc])*
                #[doc = concat!("\n\nOptional `", $wire, "` on the wire.")]
                pub $field: Option<$type>,
            )*
        }

        impl<'a> SuperHeader<'a> for $name<'a> {
            fn set_field(&mut self, key: &[u8], value: RawText<'a>) {
                $(
                    if key == $wire.as_bytes() {
                        self.$field = FieldType::from_text(value);
                    }
                )*
            }

            fn write_super_fields(&self, sink: &mut impl FieldSink) {
                $(
                    if let Some(value) = &self.$field {
                        sink.field($wire, value.value());
                    }
                )*
            }
        }

        impl super::fuzz::Generate for $name<'_> {
            fn generate(source: &mut super::fuzz::Source<'_>) -> Self {
                Self { $($field: super::fuzz::Generate::generate(source),)* }
            }
        }
    };
}

super_header! {
    /// What most requests inherit. Java: `RpcRequestHeader`.
    RpcRequestHeader {
        /// The server-side namespace.
        ns: "ns" Cow<'a, str>,
        /// Whether names in the request already carry the namespace.
        nsd: "nsd" bool,
        /// The logical broker name of the request's queue.
        bname: "bname" Cow<'a, str>,
        /// Whether the request is one-way.
        oway: "oway" bool,
    }
}

super_header! {
    /// What requests about a topic inherit. Java: `TopicRequestHeader`.
    TopicRequestHeader {
        /// Whether the queue id is that of a logical queue (static topics).
        lo: "lo" bool,
        /// The server-side namespace.
        ns: "ns" Cow<'a, str>,
        /// Whether names in the request already carry the namespace.
        nsd: "nsd" bool,
        /// The logical broker name of the request's queue.
        bname: "bname" Cow<'a, str>,
        /// Whether the request is one-way.
        oway: "oway" bool,
    }
}

/// Declares headers: one declaration gives the struct, its defaults, both encodings and round-trip tests.
///
/// ```text
/// headers! {
///     /// What it is for.
///     ViewMessageRequestHeader<'a> = VIEW_MESSAGE_BY_ID + TopicRequestHeader {
///         optional topic: "topic" Cow<'a, str>,      // Option<Cow<'a, str>>
///         required offset: "offset" i64,             // absent is an error
///         default(true) committed: "committed" bool, // absent reads as `true`, always written
///     }
/// }
/// ```
macro_rules! headers {
    ($(
        $(#[$doc:meta])*
        $name:ident $(<$life:lifetime>)? $(= $code:ident)? $(+ $super:ident)? {
            $($(#[$field_doc:meta])* $mode:ident $(($default:expr))? $field:ident: $wire:literal $type:ty,)*
        }
    )*) => {
        $(
            $(#[$doc])*
            $(#[doc = concat!("\n\nThe header of [`RequestCode::", stringify!($code), "`](crate::remoting::RequestCode::", stringify!($code), ").")])?
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $name $(<$life>)? {
                $(
                    $(#[$field_doc])*
                    #[doc = concat!("\n\n`", $wire, "` on the wire.")]
                    pub $field: $crate::remoting::header::header_field!(@type $mode $type),
                )*
                $(
                    /// The fields it inherits.
                    pub rpc: $crate::remoting::header::$super<'a>,
                )?
            }

            impl $(<$life>)? Default for $name $(<$life>)? {
                fn default() -> Self {
                    Self {
                        $($field: $crate::remoting::header::header_field!(@default $mode $(($default))?),)*
                        $(rpc: $crate::remoting::header::$super::default(),)?
                    }
                }
            }

            impl<'a> $crate::remoting::Header<'a> for $name $(<$life>)? {
                #[inline]
                #[allow(unused_variables, reason = "some headers have no fields of their own")]
                fn write_fields(&self, sink: &mut impl $crate::remoting::FieldSink) {
                    $($crate::remoting::header::header_field!(@write $mode $wire (&self.$field) sink);)*
                    $($crate::remoting::header::header_field!(@super $super self.rpc.write_super_fields(sink));)?
                }

                #[inline]
                fn read_fields(ext: &'a $crate::remoting::ExtFields) -> Result<Self, $crate::remoting::HeaderError> {
                    $(let mut $field = None;)*
                    $(let mut rpc = $crate::remoting::header::$super::default();)?
                    ext.for_each_raw(|key, value| {
                        $(
                            if key == $wire.as_bytes() {
                                $field = Some(value);
                                return;
                            }
                        )*
                        $($crate::remoting::header::header_field!(@super $super rpc.set_field(key, value));)?
                    });
                    Ok(Self {
                        $($field: $crate::remoting::header::header_field!(
                            @read $mode $(($default))? $field, stringify!($name), $wire
                        ),)*
                        $(rpc: { let rpc: $crate::remoting::header::$super<'a> = rpc; rpc },)?
                    })
                }
            }

            $crate::remoting::header::header_field!(@code [$name $(<$life>)?] $($code)?);

            impl $(<$life>)? $crate::remoting::fuzz::Generate for $name $(<$life>)? {
                #[allow(unused_variables, reason = "some headers have no fields of their own")]
                fn generate(source: &mut $crate::remoting::fuzz::Source<'_>) -> Self {
                    Self {
                        $($field: $crate::remoting::fuzz::Generate::generate(source),)*
                        $(rpc: <$crate::remoting::header::$super<'_> as $crate::remoting::fuzz::Generate>::generate(source),)?
                    }
                }
            }
        )*

        /// How the headers declared here are written and read again.
        pub(super) const PROBES: &[$crate::remoting::fuzz::HeaderProbe] = &[$(
            $crate::remoting::fuzz::HeaderProbe {
                code: $crate::remoting::header::header_field!(@probe $($code)?),
                rewrite: |ext| {
                    let header = <$name as $crate::remoting::Header>::read_fields(ext);
                    if let Ok(header) = &header {
                        let header = header.clone();
                        $crate::remoting::header::header_field!(@check header $name);
                    }
                    header.is_ok()
                },
                generate: |source| {
                    let header: $name = $crate::remoting::fuzz::Generate::generate(source);
                    $crate::remoting::header::header_field!(@check header $name);
                },
            },
        )*];

        #[cfg(test)]
        mod declared {
            use super::*;
            $(
                #[test]
                #[allow(non_snake_case, reason = "the header's name")]
                fn $name() {
                    use $crate::remoting::{generate::generate, headers::checks};
                    const FIELDS: &[checks::Field] =
                        &[$((stringify!($mode), $wire, stringify!($type))),*];
                    checks::each_seed(|seed| {
                        let header: $name = generate(seed);
                        for serialize in checks::BOTH {
                            let command = checks::through_the_wire(&header, serialize);
                            assert_eq!(command.header::<$name>(), Ok(generate(seed)));
                        }
                        checks::check_absent_and_wrong(stringify!($name), FIELDS, &header, |ext| {
                            <$name as $crate::remoting::Header<'_>>::read_fields(ext).map(|_| ())
                        });
                    });
                }
            )*
        }
    };
}

macro_rules! header_field {
    (@probe) => { None };
    (@probe $code:ident) => { Some($crate::remoting::RequestCode::$code) };
    (@check $header:ident $name:ident) => {
        for serialize in [$crate::remoting::SerializeType::Json, $crate::remoting::SerializeType::Rocketmq] {
            if let Some(command) = $crate::remoting::fuzz::through_the_wire(&$header, serialize) {
                assert_eq!(command.header::<$name>().as_ref(), Ok(&$header), "{serialize:?}: what was written reads back");
            }
        }
    };
    (@code [$($target:tt)*]) => {};
    (@code [$($target:tt)*] $code:ident) => {
        impl<'a> $crate::remoting::RequestHeader<'a> for $($target)* {
            const CODE: $crate::remoting::RequestCode = $crate::remoting::RequestCode::$code;
        }
    };
    (@type required $type:ty) => { $type };
    (@type default $type:ty) => { $type };
    (@type optional $type:ty) => { Option<$type> };
    (@default default ($default:expr)) => { $default };
    (@default $mode:ident) => { Default::default() };
    (@write optional $wire:literal ($field:expr) $sink:ident) => {
        if let Some(value) = $field {
            $sink.field($wire, $crate::remoting::header::FieldType::value(value));
        }
    };
    (@write $mode:ident $wire:literal ($field:expr) $sink:ident) => { $sink.field($wire, $crate::remoting::header::FieldType::value($field)) };
    (@read required $slot:ident, $header:expr, $wire:literal) => {
        $crate::remoting::header::required($slot, $header, $wire)?
    };
    (@read optional $slot:ident, $header:expr, $wire:literal) => {
        $crate::remoting::header::optional($slot, $header, $wire)?
    };
    (@read default ($default:expr) $slot:ident, $header:expr, $wire:literal) => {
        $crate::remoting::header::optional($slot, $header, $wire)?.unwrap_or($default)
    };
    (@super $super:ident $call:expr) => {{
        use $crate::remoting::header::SuperHeader as _;
        $call
    }};
}

pub(super) use {header_field, headers};
