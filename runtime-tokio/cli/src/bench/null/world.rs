//! [`World`]: what the null server makes up, and who has come to it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// What all connections know.
pub(super) struct World {
    pub(super) address: SocketAddr,
    pub(super) queues: u16,
    /// Messages in each queue.
    pub(super) messages: u64,
    /// Bytes of their bodies.
    pub(super) size: u32,
    /// Client ids by group, from heartbeats.
    pub(super) members: Mutex<BTreeMap<Arc<str>, BTreeSet<Arc<str>>>>,
}

impl World {
    pub(super) fn join(&self, group: &Arc<str>, client_id: &Arc<str>) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.entry(group.clone()).or_default().insert(client_id.clone());
    }

    pub(super) fn leave(&self, client_id: &str) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|_, members| {
            members.remove(client_id);
            !members.is_empty()
        });
    }

    pub(super) fn members(&self, group: &str) -> Vec<Arc<str>> {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.get(group).map(|members| members.iter().cloned().collect()).unwrap_or_default()
    }
}
