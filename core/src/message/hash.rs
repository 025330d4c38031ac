//! Hashes and checksums that brokers and other clients compute too.

/// Java's `String#hashCode`: `h = 31 * h + c` over UTF-16 units, wrapping; 0 for an empty string.
#[must_use]
pub fn java_string_hash(s: &str) -> i32 {
    s.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// Java: `String#trim`, which takes away everything up to the blank and no other white space.
pub(crate) fn java_trim(text: &str) -> &str {
    text.trim_matches(|char: char| char <= ' ')
}

/// The code by which a broker filters a tag: the string hash widened to 64 bits.
///
/// Two tags can share a code, so whoever pulls compares the tag itself as well.
/// Java: `MessageExtBrokerInner#tagsString2tagsCode`.
#[must_use]
pub fn tags_code(tag: &str) -> i64 {
    i64::from(java_string_hash(tag))
}

/// The CRC-32 of a body as stored, without its top bit. Java: `UtilAll#crc32`.
#[must_use]
pub fn body_crc(body: &[u8]) -> i32 {
    (crc32fast::hash(body) & 0x7FFF_FFFF).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_crc_is_the_one_a_broker_stores() {
        assert_eq!(body_crc(b"hello"), 0x3610_A686);
    }
}
