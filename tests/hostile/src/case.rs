//! A case: who does what when, and what must hold.

use std::net::SocketAddr;
use std::time::Duration;

use crate::script::Script;

/// Who is hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The only name server, or the first of two.
    NameServer,
    /// `broker-b`; `broker-a` is good all the time.
    Broker,
}

/// When it is hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// From before the client starts.
    Start,
    /// From a time when everything runs well.
    Live,
    /// As `Live`, and the client is told to stop meanwhile.
    Stop,
}

/// Where everybody is.
#[derive(Clone, Debug)]
pub struct Site {
    /// The name servers, the hostile one first.
    pub name_servers: Vec<SocketAddr>,
    /// `broker-a`.
    pub good: SocketAddr,
    /// `broker-b`.
    pub odd: SocketAddr,
    /// Where `broker-b` goes to if it moves.
    pub spare: SocketAddr,
    /// Addresses where nothing answers.
    pub lost: Vec<SocketAddr>,
    /// By how many times a flood is to be more than a trickle: what it costs shows in real memory only.
    pub weight: u64,
}

/// What a case is measured by besides what always holds: no panic, no hang, nothing of the good broker lost,
/// nothing committed that was not consumed, few lines in the log, and a close that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holds {
    /// Requests and connects a second that the hostile server may get after the first second.
    pub asked_max: usize,
    /// Messages of the good broker keep coming meanwhile.
    pub flows: bool,
    /// Everything of the hostile broker arrives, but for what the script spoils.
    pub whole: bool,
    /// Everything works again so soon after the end.
    pub recovers_within: Duration,
    /// Records that nobody put may come to the handler: they are well formed.
    pub foreign: bool,
}

/// At most ten requests a second where nothing can be learned.
pub(crate) const ASKED_MAX: usize = 10;
/// Where something is learned by every answer.
pub(crate) const ASKED_MAX_LEARNING: usize = 60;

impl Holds {
    /// Everything.
    pub const ALL: Self = Self {
        asked_max: ASKED_MAX,
        flows: true,
        whole: true,
        recovers_within: Duration::from_secs(2),
        foreign: false,
    };
    /// Everything, while messages come from the hostile broker as well.
    pub const LEARNING: Self = Self { asked_max: ASKED_MAX_LEARNING, ..Self::ALL };

    /// The hostile server decides who gets the good broker's messages, or where it is.
    #[must_use]
    pub const fn may_stop(mut self) -> Self {
        self.flows = false;
        self
    }

    /// The hostile broker says, in the protocol's own words, that messages are to be skipped.
    #[must_use]
    pub const fn may_skip(mut self) -> Self {
        self.whole = false;
        self
    }

    /// A connect that is under way when everything is well again fails first.
    #[must_use]
    pub const fn after_a_connect(mut self) -> Self {
        self.recovers_within = Duration::from_secs(3);
        self
    }

    /// What it sends are messages.
    #[must_use]
    pub const fn may_add(mut self) -> Self {
        self.foreign = true;
        self
    }
}

/// One case.
pub struct Case {
    /// `kind/what`.
    pub name: String,
    /// Who.
    pub role: Role,
    /// When.
    pub phase: Phase,
    /// What; made when the case is run.
    pub script: Box<dyn Fn(&Site) -> Script>,
    /// What must hold.
    pub holds: Holds,
    /// The consumer answers some messages of the hostile broker with "later".
    pub retries: bool,
    /// How long the consumer takes for a message of the hostile broker.
    pub slow: Duration,
    /// There is a second name server, a good one.
    pub two_name_servers: bool,
    /// `broker-b` comes back at another address.
    pub moves: bool,
    /// So many brokers where nothing answers.
    pub lost: usize,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A row of a table.
#[must_use]
pub(crate) fn case(
    name: impl Into<String>,
    role: Role,
    phase: Phase,
    holds: Holds,
    script: impl Fn(&Site) -> Script + 'static,
) -> Case {
    Case {
        name: name.into(),
        role,
        phase,
        script: Box::new(script),
        holds,
        retries: false,
        slow: Duration::ZERO,
        two_name_servers: false,
        moves: false,
        lost: 0,
    }
}
