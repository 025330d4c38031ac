//! Users and permissions.

use super::bodies;
use crate::remoting::json::{FromJson, JsonReader, ToJson};
use crate::remoting::{JsonError, json::JsonWriter};
use alloc::{sync::Arc, vec::Vec};
use bytes::Bytes;
use core::fmt;

bodies! {
    /// What a subject may do.
    AclInfo [Eq] {
        /// Policies by type.
        policies: "policies" Vec<AclPolicyInfo>,
        /// Who, as `User:name`.
        subject: "subject" Arc<str>,
    }

    /// Entries of one type.
    AclPolicyInfo [Eq] {
        /// What is allowed and denied.
        entries: "entries" Vec<AclPolicyEntryInfo>,
        /// `Custom` or `Default`.
        policy_type: "policyType" Option<Arc<str>>,
    }

    /// What is allowed or denied on a resource.
    AclPolicyEntryInfo [Eq] {
        /// Which actions, such as `Pub` and `Sub`.
        actions: "actions" Vec<Arc<str>>,
        /// `Allow` or `Deny`.
        decision: "decision" Option<Arc<str>>,
        /// The resource, such as `Topic:T` or `Group:prefix*`.
        resource: "resource" Option<Arc<str>>,
        /// From which addresses; absent for any.
        source_ips: "sourceIps" Option<Vec<Arc<str>>>,
    }

    /// A user; absent fields are left as they are.
    UserInfo [Eq] {
        /// The password, in clear.
        password: "password" Option<Secret>,
        /// `enable` or `disable`.
        user_status: "userStatus" Option<Arc<str>>,
        /// `Super` or `Normal`.
        user_type: "userType" Option<Arc<str>>,
        /// The name.
        username: "username" Option<Arc<str>>,
    }
}

impl UserInfo {
    /// Reads a list of users.
    ///
    /// # Errors
    /// [`JsonError`] when it is none.
    pub fn decode_list(body: &[u8]) -> Result<Vec<Self>, JsonError> {
        JsonReader::whole(body)
    }

    /// Writes a list of users.
    #[must_use]
    pub fn encode_list(list: &[Self]) -> Bytes {
        encode_list(list)
    }
}

impl AclInfo {
    /// Reads a list of permissions.
    ///
    /// # Errors
    /// [`JsonError`] when it is none.
    pub fn decode_list(body: &[u8]) -> Result<Vec<Self>, JsonError> {
        JsonReader::whole(body)
    }

    /// Writes a list of permissions.
    #[must_use]
    pub fn encode_list(list: &[Self]) -> Bytes {
        encode_list(list)
    }
}

fn encode_list<T: ToJson>(list: &[T]) -> Bytes {
    let mut writer = JsonWriter::default();
    writer.array(|writer| list.iter().for_each(|item| writer.item(item)));
    writer.into_bytes().freeze()
}

/// Text that `Debug` doesn't show.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub Arc<str>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

impl FromJson for Secret {
    fn from_json(reader: &mut JsonReader<'_>) -> Result<Self, JsonError> {
        FromJson::from_json(reader).map(Self)
    }
}

impl ToJson for Secret {
    fn to_json(&self, writer: &mut JsonWriter) {
        self.0.to_json(writer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remoting::generate::generate;

    #[test]
    fn lists_come_back() {
        for seed in 0..50 {
            let users: Vec<UserInfo> = generate(seed);
            assert_eq!(UserInfo::decode_list(&UserInfo::encode_list(&users)), Ok(users));
            let acls: Vec<AclInfo> = generate(seed);
            assert_eq!(AclInfo::decode_list(&AclInfo::encode_list(&acls)), Ok(acls));
        }
    }
}
