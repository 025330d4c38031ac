//! What can go wrong, and how often it really changed something.

use std::collections::BTreeMap;
use std::fmt;

macro_rules! fault_kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum FaultKind {
            $($(#[$doc])* $name,)*
        }

        impl FaultKind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

fault_kinds! {
    /// A connection is reset.
    KillConnection = "connection killed",
    /// A connection is reset inside of what is being transmitted.
    ResetMidFrame = "reset mid-frame",
    /// A server ends its direction of a connection.
    HalfClose = "half-close",
    /// Packets between two nodes take longer, some much longer.
    Delay = "delay",
    /// One direction between two nodes holds everything back.
    OneWayPartition = "one-way partition",
    /// Both directions between two nodes do.
    Partition = "partition",
    /// A broker reaches nobody.
    IsolateBroker = "broker isolated",
    /// A name server reaches nobody.
    IsolateNameServer = "name server isolated",
    /// A client reaches nobody.
    IsolateClient = "client isolated",
    /// A server's machine refuses connections.
    ConnectRefused = "connect refused",
    /// A server's machine accepts connections that nobody serves.
    AcceptThenSilent = "accepts then silent",
    /// A broker's process is killed and started again; the disk kept everything.
    BrokerCrash = "broker crash",
    /// As before, and the newest records are lost.
    BrokerCrashLosing = "broker crash losing records",
    /// A broker stands still.
    BrokerFreeze = "broker freeze",
    /// A broker sheds load.
    SystemBusy = "SYSTEM_BUSY",
    /// A broker carries requests out and loses the answers.
    ResponseLost = "response lost",
    /// A broker answers late.
    SlowResponses = "slow responses",
    /// A name server's process is killed and started again, knowing nothing.
    NameServerDown = "name server down",
    /// Another member joins a group.
    ConsumerJoins = "consumer joins",
    /// A member closes.
    ConsumerLeaves = "consumer leaves",
    /// A member's process is killed; its machine says so.
    ConsumerDies = "consumer dies",
    /// A member's machine is gone, and nobody says so.
    ConsumerVanishes = "consumer vanishes",
    /// A handler takes long.
    HandlerSlow = "handler slow",
    /// A handler wants the message again.
    HandlerRetries = "handler retries",
    /// A handler panics.
    HandlerPanics = "handler panics",
    /// A client's wall clock is set.
    WallClockJump = "wall clock jump",
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How often each kind changed something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects(BTreeMap<FaultKind, u64>);

impl Effects {
    /// It did once more.
    pub fn count(&mut self, kind: FaultKind) {
        *self.0.entry(kind).or_default() += 1;
    }

    /// How often it did.
    #[must_use]
    pub fn of(&self, kind: FaultKind) -> u64 {
        self.0.get(&kind).copied().unwrap_or(0)
    }

    /// Adds those of another run.
    pub fn join(&mut self, other: &Self) {
        for (kind, count) in &other.0 {
            *self.0.entry(*kind).or_default() += count;
        }
    }
}
