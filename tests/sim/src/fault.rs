//! What can go wrong, and how often it really changed something.

use crate::counts::{Counts, kinds};

kinds! {
    /// A kind of fault.
    FaultKind {
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
        /// A broker's machine loses its power and starts again: what was not flushed is lost.
        PowerLoss = "power loss losing records",
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
        /// A handler has a message for long: longer than `consume_timeout`, where that is short.
        HandlerHangs = "handler hangs",
        /// A user suspends a consumer and resumes it.
        ConsumerSuspended = "consumer suspended",
    }
}

/// How often each kind changed something.
pub type Effects = Counts<FaultKind>;
