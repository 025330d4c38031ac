//! Who speaks and how: language, version and header encoding of a command.

use core::fmt;

/// The protocol version this client states and whose behaviour it implements: `V5_4_0`.
///
/// Lower numbers turn the brokers' old paths on. Java: `MQVersion`, the ordinal of a release.
pub const VERSION: i32 = 493;

macro_rules! languages {
    ($($variant:ident $name:literal = $byte:literal,)*) => {
        /// The language of a command's sender. Java: `LanguageCode`.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum LanguageCode {
            $(
                #[doc = concat!("`", $name, "`, byte ", $byte, " in the binary header.")]
                $variant,
            )*
            /// A language this client has no name for; Java reads it as null.
            #[default]
            Unknown,
        }

        impl LanguageCode {
            /// The name as JSON headers carry it; an unknown language is written as `OTHER`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Unknown => "OTHER",
                }
            }

            /// The byte as binary headers carry it; an unknown language is written as `OTHER`.
            #[must_use]
            pub const fn byte(self) -> u8 {
                match self {
                    $(Self::$variant => $byte,)*
                    Self::Unknown => 7,
                }
            }

            /// The language of a JSON header's name; [`LanguageCode::Unknown`] for names nobody listed.
            #[must_use]
            pub fn from_name(name: &str) -> Self {
                match name {
                    $($name => Self::$variant,)*
                    _ => Self::Unknown,
                }
            }

            /// The language of a binary header's byte; [`LanguageCode::Unknown`] for bytes nobody listed.
            #[must_use]
            pub const fn from_byte(byte: u8) -> Self {
                match byte {
                    $($byte => Self::$variant,)*
                    _ => Self::Unknown,
                }
            }
        }
    };
}

languages! {
    Java "JAVA" = 0,
    Cpp "CPP" = 1,
    Dotnet "DOTNET" = 2,
    Python "PYTHON" = 3,
    Delphi "DELPHI" = 4,
    Erlang "ERLANG" = 5,
    Ruby "RUBY" = 6,
    Other "OTHER" = 7,
    Http "HTTP" = 8,
    Go "GO" = 9,
    Php "PHP" = 10,
    Oms "OMS" = 11,
    Rust "RUST" = 12,
    NodeJs "NODE_JS" = 13,
}

impl fmt::Display for LanguageCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a command's header is written; brokers answer in their own, whatever the request used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SerializeType {
    /// A JSON object, the default everywhere.
    #[default]
    Json,
    /// The binary form; its codes have 16 bits, so requests above 32767 go as JSON all the same.
    Rocketmq,
}

impl SerializeType {
    /// The byte in front of the header's length.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Json => 0,
            Self::Rocketmq => 1,
        }
    }

    /// The form a byte names, or `None`.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Json),
            1 => Some(Self::Rocketmq),
            _ => None,
        }
    }
}
