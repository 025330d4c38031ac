//! The bits of a message's `sysFlag`, of a pull request's, and of a queue's permission.

use core::fmt;

/// The stored body is compressed; the type bits say how.
pub const COMPRESSED: i32 = 0x1;
/// The message carries several tags.
pub const MULTI_TAGS: i32 = 0x2;
/// The bits that hold the transaction type.
pub const TRANSACTION_MASK: i32 = 0xC;
/// Transaction type: none. As `commitOrRollback`: unknown.
pub const TRANSACTION_NOT: i32 = 0x0;
/// Transaction type: a half message.
pub const TRANSACTION_PREPARED: i32 = 0x4;
/// Transaction type: committed.
pub const TRANSACTION_COMMIT: i32 = 0x8;
/// Transaction type: rolled back.
pub const TRANSACTION_ROLLBACK: i32 = 0xC;
/// The born host has a 16-byte address.
pub const BORN_HOST_V6: i32 = 0x10;
/// The store host has a 16-byte address.
pub const STORE_HOST_V6: i32 = 0x20;
/// The body is a batch that the consumer must unwrap (only together with [`INNER_BATCH`]).
pub const NEED_UNWRAP: i32 = 0x40;
/// The record was stored as one batch.
pub const INNER_BATCH: i32 = 0x80;
/// The bits that hold the compression type.
pub const COMPRESSION_MASK: i32 = 0x700;
/// Compression type: an LZ4 frame.
pub const COMPRESSION_LZ4: i32 = 0x100;
/// Compression type: a zstd frame.
pub const COMPRESSION_ZSTD: i32 = 0x200;
/// Compression type: a zlib stream (RFC 1950).
pub const COMPRESSION_ZLIB: i32 = 0x300;

/// How a stored body is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CompressionType {
    /// A zlib stream (RFC 1950); what Java writes by default.
    #[default]
    Zlib,
    /// An LZ4 frame (not a bare block).
    Lz4,
    /// A zstd frame.
    Zstd,
}

impl CompressionType {
    /// The type bits, to be combined with [`COMPRESSED`].
    #[must_use]
    pub const fn bits(self) -> i32 {
        match self {
            Self::Zlib => COMPRESSION_ZLIB,
            Self::Lz4 => COMPRESSION_LZ4,
            Self::Zstd => COMPRESSION_ZSTD,
        }
    }
}

impl fmt::Display for CompressionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zlib => "zlib",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

/// Whether the body of a message with `sys_flag` is compressed.
#[must_use]
pub const fn is_compressed(sys_flag: i32) -> bool {
    sys_flag & COMPRESSED != 0
}

/// The compression type that `sys_flag` names, whether or not [`COMPRESSED`] is set; `None` for a
/// number nobody has defined. Old clients write no type bits and mean zlib.
#[must_use]
pub const fn compression_type(sys_flag: i32) -> Option<CompressionType> {
    match sys_flag & COMPRESSION_MASK {
        0 | COMPRESSION_ZLIB => Some(CompressionType::Zlib),
        COMPRESSION_LZ4 => Some(CompressionType::Lz4),
        COMPRESSION_ZSTD => Some(CompressionType::Zstd),
        _ => None,
    }
}

/// The transaction type of `sys_flag`: one of the `TRANSACTION_` constants.
#[must_use]
pub const fn transaction_type(sys_flag: i32) -> i32 {
    sys_flag & TRANSACTION_MASK
}

/// `sys_flag` with its transaction type replaced. Java: `MessageSysFlag#resetTransactionValue`.
#[must_use]
pub const fn with_transaction_type(sys_flag: i32, transaction_type: i32) -> i32 {
    (sys_flag & !TRANSACTION_MASK) | (transaction_type & TRANSACTION_MASK)
}

/// Whether the body is a batch that a consumer has to unwrap: both bits are needed.
#[must_use]
pub const fn is_inner_batch(sys_flag: i32) -> bool {
    let both = INNER_BATCH | NEED_UNWRAP;
    sys_flag & both == both
}

/// The bits of a pull request's `sysFlag`. Java: `PullSysFlag`.
pub mod pull {
    /// The request's commit offset is to be taken.
    pub const COMMIT_OFFSET: i32 = 0x1;
    /// The broker may hold the request until messages arrive.
    pub const SUSPEND: i32 = 0x2;
    /// The request carries the subscription's text.
    pub const SUBSCRIPTION: i32 = 0x4;
    /// Filtering by class (gone from brokers).
    pub const CLASS_FILTER: i32 = 0x8;
    /// The request comes from a lite pull consumer.
    pub const LITE_PULL: i32 = 0x10;
}

/// The bits of a topic's permission. Java: `PermName`.
pub mod perm {
    /// Queues may be created from this topic's template.
    pub const INHERIT: i32 = 0x1;
    /// Messages may be sent.
    pub const WRITE: i32 = 0x2;
    /// Messages may be read.
    pub const READ: i32 = 0x4;
    /// The topic has priorities.
    pub const PRIORITY: i32 = 0x8;

    /// Whether `perm` allows reading.
    #[must_use]
    pub const fn is_readable(perm: i32) -> bool {
        perm & READ != 0
    }

    /// Whether `perm` allows sending.
    #[must_use]
    pub const fn is_writeable(perm: i32) -> bool {
        perm & WRITE != 0
    }

    /// Whether `perm` lets new topics inherit.
    #[must_use]
    pub const fn is_inherited(perm: i32) -> bool {
        perm & INHERIT != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_types_round_trip_and_zero_means_zlib() {
        for kind in [CompressionType::Zlib, CompressionType::Lz4, CompressionType::Zstd] {
            assert_eq!(compression_type(kind.bits() | COMPRESSED), Some(kind));
        }
        assert_eq!(compression_type(COMPRESSED), Some(CompressionType::Zlib));
        assert_eq!(compression_type(0x400), None);
    }

    #[test]
    fn only_both_batch_bits_mean_unwrap() {
        assert!(is_inner_batch(0xC0));
        assert!(!is_inner_batch(0x80));
        assert!(!is_inner_batch(0x40));
    }

    #[test]
    fn transaction_type_is_replaced_and_nothing_else() {
        assert_eq!(with_transaction_type(0x331 | TRANSACTION_PREPARED, TRANSACTION_COMMIT), 0x331 | 0x8);
        assert_eq!(transaction_type(0x33D), TRANSACTION_ROLLBACK);
    }
}
