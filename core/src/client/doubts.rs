//! Which routes are asked for again before the next poll: those that are used, and that may be wrong.

use alloc::sync::Arc;

use crate::config::split_address;
use crate::route::{MASTER_ID, RouteOutcome};
use crate::time::Instant;

use super::Client;

impl Client {
    /// The connection to a name server was lost.
    pub(super) fn doubt_all_routes(&mut self, now: Instant) {
        let Self { shared, producers, consumers, .. } = self;
        shared.doubt_all_routes(now, |topic| producers.uses(topic) || consumers.uses(topic));
    }

    /// It is time to ask for a doubted route.
    pub(super) fn ask_doubted(&mut self, now: Instant) {
        let Self { shared, producers, consumers, .. } = self;
        shared.ask_doubted(now, |topic| producers.uses(topic) || consumers.uses(topic));
    }

    /// A look-up has ended; what it brought may be of no use.
    pub(super) fn weigh_route(&mut self, now: Instant, topic: &Arc<str>, outcome: &RouteOutcome) {
        if matches!(outcome, RouteOutcome::Known { changed: true }) {
            self.shared.look_for_left_out(now, topic);
        }
        if self.closed {
            return;
        }
        let unheard = matches!(outcome, RouteOutcome::Failed(cause) if cause.is_of_transport());
        let failed = matches!(outcome, RouteOutcome::Failed(_));
        let unusable = failed || self.is_unusable(topic);
        self.shared.doubt_weighed(now, topic, unusable, unheard);
    }

    /// Whether there is a route with which those who want it can't do anything.
    fn is_unusable(&self, topic: &Arc<str>) -> bool {
        let routes = &self.shared.routes;
        let Some(route) = routes.get(topic) else { return false };
        let nowhere = |name: &str| {
            let address = routes.address(name, MASTER_ID);
            address.is_none_or(|(address, _)| split_address(address).is_none())
        };
        (route.publish_queues().is_empty() && self.producers.uses(topic))
            || (route.subscribe_queues().is_empty() && self.consumers.uses(topic))
            || route.data.queue_datas.iter().any(|entry| nowhere(&entry.broker_name))
    }
}
