//! The look-up of one route: the topic itself, where that has none and a producer asks, the
//! auto-creation topic; each at one name server after the other.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::error::Cause;

/// How a look-up ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteOutcome {
    /// There is a route.
    Known {
        /// Whether it differs from the one before.
        changed: bool,
    },
    /// The name servers know none: [`Cause::NoRoute`], with who said so.
    NoRoute(Cause),
    /// No name server answered.
    Failed(Cause),
}

/// A look-up under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Queues of the topic to be created, when a producer wants it created.
    pub default_queue_nums: Option<i32>,
    /// What is asked now.
    pub step: LookupStep,
    /// The server that is asked.
    pub server: Arc<str>,
    /// Servers that answered in this step that they know no such topic.
    pub denied: Vec<Arc<str>>,
    /// Servers that gave no usable answer in this step.
    pub unheard: Vec<Arc<str>>,
}

impl Lookup {
    /// Whether `server` has had its turn in this step.
    #[must_use]
    pub fn has_asked(&self, server: &Arc<str>) -> bool {
        self.denied.contains(server) || self.unheard.contains(server)
    }

    /// Goes on to the next step, in which every server may be asked again.
    pub(crate) fn go_on_to(&mut self, step: LookupStep) {
        self.step = step;
        self.denied.clear();
        self.unheard.clear();
    }
}

/// What a look-up asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LookupStep {
    /// The topic's own route.
    Topic,
    /// The route of [`AUTO_CREATE_TOPIC`](crate::message::names::AUTO_CREATE_TOPIC).
    Default,
}
