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
        /// A broker refuses pulls with some code: of one queue, of the topic, or all.
        PullRefused = "pull refused",
        /// A broker refuses heartbeats.
        HeartbeatRefused = "heartbeat refused",
        /// A broker refuses commits.
        CommitRefused = "commit refused",
        /// A broker refuses what a group's members ask it: who they are, where to begin.
        QuestionRefused = "group question refused",
        /// A broker refuses to take messages back.
        SendBackRefused = "send-back refused",
        /// A broker that is about to go answers so, once or twice, whatever it is asked.
        GoAway = "GO_AWAY",
        /// A client's user makes producers one after the other, and closes them.
        ProducersCome = "producers come and go",
        /// An administrator deletes a topic on a broker and makes it anew.
        TopicMadeAnew = "topic made anew",
        /// A broker says once that an offset has moved, with numbers that can't be.
        OffsetMovedOddly = "odd offset-moved answer",
        /// A broker answers one pull with a record or a number that can't be.
        OddPullAnswer = "odd pull answer",
        /// A broker's process starts again at another port.
        BrokerMoved = "broker moved",
        /// A connection takes everything and brings nothing.
        ConnectionSwallows = "connection swallows",
        /// A name server starts again and knows nothing, beside one that does; a new client comes.
        NameServerForgets = "name server forgets",
        /// A client is closed right behind its sends.
        ClosedBehindSends = "closed behind sends",
    }
}

impl FaultKind {
    /// What peers refuse, forget and get wrong; and what users do that few do. They are drawn beside the others, which
    /// they leave as they are.
    pub(crate) const ODDITIES: &'static [Self] = &[
        Self::PullRefused,
        Self::HeartbeatRefused,
        Self::CommitRefused,
        Self::QuestionRefused,
        Self::SendBackRefused,
        Self::GoAway,
        Self::ProducersCome,
        Self::TopicMadeAnew,
        Self::OffsetMovedOddly,
        Self::OddPullAnswer,
        Self::BrokerMoved,
        Self::ConnectionSwallows,
        Self::NameServerForgets,
        Self::ClosedBehindSends,
    ];
}

/// How often each kind changed something.
pub type Effects = Counts<FaultKind>;
