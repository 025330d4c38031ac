//! What an operator hears of brokers and name servers that are lost: one warning, and one line when they are
//! back. Tries in between, connections that this client closes and those that are closed while nothing is
//! awaited on them are no news. Java logs each failure of its own accord.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use core::time::Duration;

use crate::channel::Lost;
use crate::lines::Brief;
use crate::time::Instant;

use super::Shared;

/// A peer that comes and goes is warned of once in this time.
const WARNING_PAUSE: Duration = Duration::from_secs(30);
/// Peers that are remembered for having been lost.
const PEERS_MAX: usize = 1_024;

/// The peers that are lost, or were a short while ago.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers {
    table: BTreeMap<Arc<str>, Peer>,
    /// Whether anybody has ever answered; until then one warning says all there is to say.
    heard: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Peer {
    /// Since when it has been lost, if it is.
    lost: Option<Instant>,
    /// Whether that was told.
    told: bool,
    /// The last warning.
    warned: Option<Instant>,
    /// How often it was lost since then.
    times: u32,
}

impl Peer {
    fn is_quiet(&self, now: Instant) -> bool {
        self.warned.is_some_and(|warned| now < warned + WARNING_PAUSE)
    }
}

impl Peers {
    /// A connection to `address` was lost, or could not be made. True when that was told.
    pub(super) fn lost(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        address: &Arc<str>,
        lost: &Lost,
    ) -> bool {
        if self.table.len() >= PEERS_MAX && !self.table.contains_key(address) {
            self.table.retain(|_, peer| peer.told || peer.is_quiet(now));
            if self.table.len() >= PEERS_MAX {
                return false;
            }
        }
        let name_server = shared.name_servers.contains(address);
        let known = name_server || shared.routes.is_broker(address);
        let first_of_all = self.heard || !self.table.values().any(|peer| peer.told);
        let peer = self.table.entry(address.clone()).or_default();
        if peer.lost.is_none() {
            peer.lost = Some(now);
            peer.times = peer.times.saturating_add(1);
        }
        // Of brokers that have left the routes nobody wants to hear more.
        let news = known && !lost.idle && !peer.told && !peer.is_quiet(now) && first_of_all;
        if !news || !shared.lines.may(now) {
            return false;
        }
        let since = shared.clock.timestamp(peer.lost.unwrap_or(now));
        let cause = format!("{}", lost.cause);
        let (address, cause, times) = (Brief(address), Brief(&cause), peer.times);
        if name_server {
            tracing::warn!(%address, %since, times, %cause, "a name server is lost; trying on");
        } else {
            tracing::warn!(%address, %since, times, %cause, "a broker is lost; trying on");
        }
        *peer = Peer { told: true, warned: Some(now), times: 0, ..*peer };
        true
    }

    /// A new connection to `address` has brought an answer. True when that was told.
    pub(super) fn heard(&mut self, now: Instant, address: &Arc<str>) -> bool {
        self.heard = true;
        let Some(peer) = self.table.get_mut(address) else { return false };
        let (lost, told) = (peer.lost.take(), core::mem::take(&mut peer.told));
        if let Some(lost) = lost.filter(|_| told) {
            let away_ms = now.saturating_since(lost).as_millis();
            tracing::info!(address = %Brief(address), away_ms, "back again");
        }
        if !peer.is_quiet(now) {
            self.table.remove(address);
        }
        told
    }
}
