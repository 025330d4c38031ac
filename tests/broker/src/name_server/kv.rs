//! Configuration values by namespace. Java: `KVConfigManager`.

use std::collections::BTreeMap;

use rocketmq_client_core::remoting::{
    DeleteKVConfigRequestHeader, GetKVConfigRequestHeader, GetKVConfigResponseHeader,
    GetKVListByNamespaceRequestHeader, PutKVConfigRequestHeader, RemotingCommand, ResponseCode,
};
use rocketmq_client_core::time::Instant;

use super::NameServer;
use crate::asker::{Asker, Refusal};
use crate::json::Object;
use crate::processor::Handled;

/// The namespace that holds the order configuration of topics.
pub(super) const ORDER_NAMESPACE: &str = "ORDER_TOPIC_CONFIG";

/// The values. A namespace stays when its last key goes.
#[derive(Clone, Debug, Default)]
pub(super) struct KvTable(BTreeMap<String, BTreeMap<String, String>>);

impl KvTable {
    pub(super) fn get(&self, namespace: &str, key: &str) -> Option<&str> {
        self.0.get(namespace)?.get(key).map(String::as_str)
    }

    /// All values of a namespace as a `KVTable` body.
    pub(super) fn json(&self, namespace: &str) -> Option<String> {
        let mut table = Object::new();
        for (key, value) in self.0.get(namespace)? {
            table.key(key).string(value);
        }
        let mut body = Object::new();
        body.key("table").raw(&table.end());
        Some(body.end())
    }
}

impl NameServer {
    pub(super) fn put_kv(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: PutKVConfigRequestHeader<'_> = command
            .header()
            .map_err(|_| Refusal::new(ResponseCode::SYSTEM_ERROR, "namespace or key is null"))?;
        let values = self.kv.0.entry(header.namespace.into_owned()).or_default();
        values.insert(header.key.into_owned(), header.value.into_owned());
        self.replier.ok(now, asker);
        Ok(())
    }

    pub(super) fn get_kv(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: GetKVConfigRequestHeader<'_> = command.header()?;
        let Some(value) = self.kv.get(&header.namespace, &header.key) else {
            let remark = format!("No config item, Namespace: {} Key: {}", header.namespace, header.key);
            return Err(Refusal::new(ResponseCode::QUERY_NOT_FOUND, remark));
        };
        let answer = GetKVConfigResponseHeader { value: Some(value.into()) };
        self.replier.header(now, asker, &answer);
        Ok(())
    }

    pub(super) fn delete_kv(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: DeleteKVConfigRequestHeader<'_> = command.header()?;
        if let Some(values) = self.kv.0.get_mut(&*header.namespace) {
            values.remove(&*header.key);
        }
        self.replier.ok(now, asker);
        Ok(())
    }

    pub(super) fn list_kv(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: GetKVListByNamespaceRequestHeader<'_> = command.header()?;
        let Some(body) = self.kv.json(&header.namespace) else {
            let remark = format!("No config item, Namespace: {}", header.namespace);
            return Err(Refusal::new(ResponseCode::QUERY_NOT_FOUND, remark));
        };
        self.replier.body(now, asker, body);
        Ok(())
    }
}
