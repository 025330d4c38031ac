//! Signs requests for brokers that check who asks.

use super::{FieldSink, FieldValue, Header, SerializeType};
use alloc::{borrow::Cow, string::String, sync::Arc, vec::Vec};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use core::{cmp::Ordering, fmt};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// The ext field that carries the access key.
pub const ACCESS_KEY: &str = "AccessKey";
/// The ext field that carries the security token.
pub const SECURITY_TOKEN: &str = "SecurityToken";
/// The ext field that carries the signature.
pub const SIGNATURE: &str = "Signature";

/// Signs requests with one pair of keys. Java: `AclClientRPCHook` and `AclUtils`.
///
/// The signature is HMAC-SHA1 over the values of all ext fields, in the order of their keys, and the body.
/// `Debug` shows no secret.
#[derive(Clone)]
pub struct Signer {
    access_key: Arc<str>,
    security_token: Option<Arc<str>>,
    /// The secret key's first block is already hashed.
    mac: Hmac<Sha1>,
}

impl Signer {
    /// A signer for `access_key`; a security token goes with temporary keys.
    #[must_use]
    pub fn new(access_key: &str, secret_key: &str, security_token: Option<&str>) -> Self {
        let mac = Hmac::new_from_slice(secret_key.as_bytes()).expect("HMAC takes keys of any length");
        Self { access_key: access_key.into(), security_token: security_token.map(Into::into), mac }
    }

    /// The ext fields of a signed request, [`SIGNATURE`] included: those of `header`, then `extra`, of which
    /// later ones replace earlier ones. The binary form has no empty fields, so they are left out there.
    pub(super) fn sign<'f, 'h, H: Header<'h>>(
        &'f self,
        header: &H,
        extra: &'f [(&'f str, &'f str)],
        body: &[u8],
        serialize: SerializeType,
    ) -> Vec<(&'f str, Cow<'f, str>)> {
        let mut fields = Collected(Vec::with_capacity(extra.len() + 24));
        header.write_fields(&mut fields);
        let mut fields = fields.0;
        fields.extend(extra.iter().map(|&(key, value)| (key, Cow::Borrowed(value))));
        fields.push((ACCESS_KEY, Cow::Borrowed(&*self.access_key)));
        if let Some(token) = &self.security_token {
            fields.push((SECURITY_TOKEN, Cow::Borrowed(&**token)));
        }
        fields.retain(|(key, _)| *key != SIGNATURE);
        keep_last_of_each(&mut fields);
        if serialize == SerializeType::Rocketmq {
            fields.retain(|(_, value)| !value.is_empty());
        }
        let signature = self.signature(fields.iter().map(|(_, value)| &**value), body);
        fields.push((SIGNATURE, Cow::Owned(signature)));
        fields
    }

    /// The signature over `values` in the order of their keys, and `body`.
    #[must_use]
    pub fn signature<'v>(&self, values: impl Iterator<Item = &'v str>, body: &[u8]) -> String {
        let mut mac = self.mac.clone();
        values.for_each(|value| mac.update(value.as_bytes()));
        mac.update(body);
        BASE64_STANDARD.encode(mac.finalize().into_bytes())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(<hidden>)")
    }
}

/// Sorts as Java's `TreeMap<String, _>` does; a stable sort keeps the last of equal keys last.
fn keep_last_of_each(fields: &mut Vec<(&str, Cow<'_, str>)>) {
    fields.sort_by(|(a, _), (b, _)| java_order(a, b));
    // `dedup_by` drops its first argument, which is the later of the two.
    fields.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            core::mem::swap(&mut later.1, &mut kept.1);
        }
        same
    });
}

/// Java: `String#compareTo`, by UTF-16 units.
fn java_order(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

struct Collected<'f>(Vec<(&'f str, Cow<'f, str>)>);

impl FieldSink for Collected<'_> {
    fn field(&mut self, key: &'static str, value: FieldValue<'_>) {
        self.0.push((key, Cow::Owned(value.with_text(|text| String::from(text)))));
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::{Encoder, ExtFields, FRAME_BYTES_MAX, FrameDecoder, Head, NoHeader, tests::unhex};
    use super::*;
    use crate::golden::each_vector;

    #[test]
    fn signatures_are_javas() {
        each_vector!("acl_signatures.jsonl", |line| {
            let text = |key: &str| line[key].as_str().unwrap();
            let signer = Signer::new(text("access_key"), text("secret_key"), line["security_token"].as_str());
            let extra: Vec<(&str, &str)> = line["ext_fields_signed"]
                .as_object()
                .unwrap()
                .iter()
                .filter(|(key, _)| ![ACCESS_KEY, SECURITY_TOKEN, SIGNATURE].contains(&key.as_str()))
                .map(|(key, value)| (key.as_str(), value.as_str().unwrap()))
                .collect();
            let body = line["body_hex"].as_str().map(unhex).unwrap_or_default();
            let fields = signer.sign(&NoHeader, &extra, &body, SerializeType::Json);
            let (signature, fields) = fields.split_last().unwrap();
            assert_eq!(*signature, (SIGNATURE, Cow::Borrowed(text("signature"))), "{line}");
            let order: Vec<&str> = line["fields_in_java_order"]
                .as_array()
                .unwrap()
                .iter()
                .map(|key| key.as_str().unwrap())
                .collect();
            assert_eq!(fields.iter().map(|(key, _)| *key).collect::<Vec<_>>(), order);
        });
    }

    #[test]
    fn a_signed_frame_carries_what_was_signed() {
        for serialize in [SerializeType::Json, SerializeType::Rocketmq] {
            let signer = Signer::new("key", "secret", Some("token"));
            let header = super::super::GetRouteInfoRequestHeader { topic: "T".into(), ..Default::default() };
            let extra = [("empty", ""), (SIGNATURE, "old"), ("a", "1"), ("a", "2")];
            let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
            let encoder = Encoder { serialize, ..Encoder::default() };
            let head = Head { code: 105, ..Head::default() };
            encoder.encode_signed(decoder.buffer_mut(), &head, &header, &extra, &signer, b"body");
            decoder.buffer_mut().extend_from_slice(b"body");
            let command = decoder.next_frame().unwrap().unwrap();
            let mut received: Vec<_> = command.ext.iter().filter(|(key, _)| key != SIGNATURE).collect();
            received.sort_by(|(a, _), (b, _)| java_order(a, b));
            let expected = signer.signature(received.iter().map(|(_, value)| &**value), &command.body);
            assert_eq!(command.ext.get(SIGNATURE).as_deref(), Some(&*expected));
            assert_eq!(command.ext.get("a").as_deref(), Some("2"));
            assert_eq!(command.header(), Ok(header));
            assert_eq!(received.len(), if serialize == SerializeType::Json { 5 } else { 4 });
        }
    }

    #[test]
    fn keys_sort_by_utf_16_units() {
        assert_eq!(java_order("\u{1F600}", "\u{FF5E}"), Ordering::Less);
        assert_eq!("\u{1F600}".cmp("\u{FF5E}"), Ordering::Greater);
    }

    #[test]
    fn no_secret_is_in_debug() {
        let shown = std::format!("{:?}", Signer::new("acc3ss", "s3cret", Some("t0ken")));
        assert!(!["acc3ss", "s3cret", "t0ken"].iter().any(|secret| shown.contains(secret)));
        assert!(ExtFields::from_iter([(ACCESS_KEY, "k")]).get(ACCESS_KEY).is_some());
    }
}
