//! Configuration values by namespace. Java: `KVConfigManager`.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use rocketmq_client_core::remoting::{
    DeleteKVConfigRequestHeader, GetKVConfigResponseHeader, KVTable, PutKVConfigRequestHeader,
    RemotingCommand, ResponseCode,
};
use rocketmq_client_core::time::Instant;

use super::NameServer;
use crate::asker::{Asker, Refusal, nullable, or_null};
use crate::processor::Handled;

/// The namespace that holds the order configuration of topics.
pub(super) const ORDER_NAMESPACE: &str = "ORDER_TOPIC_CONFIG";

/// The values. A namespace stays when its last key goes.
#[derive(Clone, Debug, Default)]
pub(super) struct KvTable(BTreeMap<Arc<str>, KVTable>);

impl KvTable {
    pub(super) fn get(&self, namespace: &str, key: &str) -> Option<&str> {
        self.0.get(namespace)?.table.get(key).map(|value| &**value)
    }

    /// All values of a namespace as a body.
    pub(super) fn encode(&self, namespace: &str) -> Option<Bytes> {
        self.0.get(namespace).map(KVTable::encode)
    }
}

impl NameServer {
    pub(super) fn put_kv(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: PutKVConfigRequestHeader<'_> = command
            .header()
            .map_err(|_| Refusal::new(ResponseCode::SYSTEM_ERROR, "namespace or key is null"))?;
        let values = self.kv.0.entry(header.namespace.into()).or_default();
        values.table.insert(header.key.into(), header.value.into());
        self.replier.ok(now, asker);
        Ok(())
    }

    pub(super) fn get_kv(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let (namespace, key) = (nullable(command, "namespace"), nullable(command, "key"));
        let value = namespace.as_deref().zip(key.as_deref()).and_then(|(space, key)| self.kv.get(space, key));
        let Some(value) = value else {
            let remark = format!("No config item, Namespace: {} Key: {}", or_null(&namespace), or_null(&key));
            return Err(Refusal::new(ResponseCode::QUERY_NOT_FOUND, remark));
        };
        let answer = GetKVConfigResponseHeader { value: Some(value.into()) };
        self.replier.header(now, asker, &answer);
        Ok(())
    }

    pub(super) fn delete_kv(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        // Without names nothing is deleted, and that is a success too.
        if let Ok(header) = command.header::<DeleteKVConfigRequestHeader<'_>>()
            && let Some(values) = self.kv.0.get_mut(&*header.namespace)
        {
            values.table.remove(&*header.key);
        }
        self.replier.ok(now, asker);
        Ok(())
    }

    pub(super) fn list_kv(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let namespace = nullable(command, "namespace");
        let Some(body) = namespace.as_deref().and_then(|namespace| self.kv.encode(namespace)) else {
            let remark = format!("No config item, Namespace: {}", or_null(&namespace));
            return Err(Refusal::new(ResponseCode::QUERY_NOT_FOUND, remark));
        };
        self.replier.body(now, asker, body);
        Ok(())
    }
}
