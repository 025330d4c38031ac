//! The look-up of one route: the topic itself, where that has none and a producer asks, the
//! auto-creation topic; each at one name server after the other.

use crate::error::Cause;

/// How a look-up ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteOutcome {
    /// There is a route.
    Known {
        /// Whether it differs from the one before.
        changed: bool,
    },
    /// The name servers know none.
    NoRoute,
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
    /// Servers that failed in this step.
    pub failures: usize,
}

/// What a look-up asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LookupStep {
    /// The topic's own route.
    Topic,
    /// The route of [`AUTO_CREATE_TOPIC`](crate::message::names::AUTO_CREATE_TOPIC).
    Default,
}
