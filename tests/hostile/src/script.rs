//! What a hostile server does: acts upon requests, floods, and what becomes of connections.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use rocketmq_client_core::remoting::{RemotingCommand, RequestCode};
use rocketmq_sim::Door;

/// Makes bytes for a request.
pub(crate) type Make = Box<dyn FnMut(&RemotingCommand) -> Bytes + Send>;
/// Changes the honest answer to a request; the offsets of messages that are spoilt by it.
pub(crate) type Change = Box<dyn FnMut(&RemotingCommand, &mut RemotingCommand) -> Vec<i64> + Send>;
/// Makes the next bytes of a flood.
pub(crate) type Pour = Box<dyn FnMut(u64) -> Bytes + Send>;

/// What an act is upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// A new connection.
    Connect,
    /// Every request.
    Any,
    /// Requests of this code.
    Code(RequestCode),
}

/// What is done.
pub enum Does {
    /// These bytes are written instead of an answer.
    Write(Make),
    /// The honest answer is written, changed.
    Change(Change),
    /// The honest answer is written in pieces of so many bytes, with pauses.
    Drip(usize, Duration),
    /// The honest answer is written twice.
    Twice,
    /// The honest answer is written after a while.
    Late(Duration),
    /// The honest answer goes to another connection, if there is one.
    Elsewhere,
    /// Half of the honest answer is written, then nothing more.
    Half,
    /// Half of the honest answer is written, then the connection is closed.
    HalfThenClose,
    /// Nothing.
    Silence,
    /// The connection is closed.
    Close,
    /// The connection is reset.
    Reset,
}

impl fmt::Debug for Does {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Write(_) => "Write",
            Self::Change(_) => "Change",
            Self::Drip(..) => "Drip",
            Self::Twice => "Twice",
            Self::Late(_) => "Late",
            Self::Elsewhere => "Elsewhere",
            Self::Half => "Half",
            Self::HalfThenClose => "HalfThenClose",
            Self::Silence => "Silence",
            Self::Close => "Close",
            Self::Reset => "Reset",
        })
    }
}

/// One line of a script. The first that fits a request is done.
#[derive(Debug)]
pub struct Act {
    /// Upon what.
    pub on: On,
    /// What.
    pub does: Does,
    /// How often at most.
    pub times: u32,
}

/// Bytes that are poured into every connection.
pub struct Flood {
    /// The bytes.
    pub pour: Pour,
    /// How many pieces every [`FLOOD_PERIOD`].
    pub pieces: u32,
    /// Whether nothing is read any more.
    pub deaf: bool,
}

/// How often a flood pours.
pub(crate) const FLOOD_PERIOD: Duration = Duration::from_millis(10);

impl fmt::Debug for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flood")
            .field("pieces", &self.pieces)
            .field("deaf", &self.deaf)
            .finish_non_exhaustive()
    }
}

/// Everything that a hostile server does while it is hostile.
#[derive(Debug, Default)]
pub struct Script {
    /// Upon requests and connections.
    pub acts: Vec<Act>,
    /// Into connections.
    pub flood: Option<Flood>,
    /// With new connections, if not serve them. Those that are up are closed.
    pub door: Option<Door>,
    /// Whether it never comes back: another one does, elsewhere.
    pub gone: bool,
}

impl Script {
    /// One act, for ever.
    #[must_use]
    pub fn one(on: On, does: Does) -> Self {
        Self::default().and(on, does)
    }

    /// One act more, for ever.
    #[must_use]
    pub fn and(mut self, on: On, does: Does) -> Self {
        self.acts.push(Act { on, does, times: u32::MAX });
        self
    }

    /// The last act is done so often at most.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        if let Some(act) = self.acts.last_mut() {
            act.times = times;
        }
        self
    }

    /// These bytes upon this.
    #[must_use]
    pub fn write(on: On, make: impl FnMut(&RemotingCommand) -> Bytes + Send + 'static) -> Self {
        Self::one(on, Does::Write(Box::new(make)))
    }

    /// This change upon this.
    #[must_use]
    pub fn change(
        on: On,
        change: impl FnMut(&RemotingCommand, &mut RemotingCommand) -> Vec<i64> + Send + 'static,
    ) -> Self {
        Self::one(on, Does::Change(Box::new(change)))
    }

    /// A flood.
    #[must_use]
    pub fn pour(pieces: u32, pour: impl FnMut(u64) -> Bytes + Send + 'static) -> Self {
        Self { flood: Some(Flood { pour: Box::new(pour), pieces, deaf: false }), ..Self::default() }
    }

    /// The flood's source reads nothing.
    #[must_use]
    pub fn deaf(mut self) -> Self {
        if let Some(flood) = &mut self.flood {
            flood.deaf = true;
        }
        self
    }

    /// A door.
    #[must_use]
    pub fn door(door: Door) -> Self {
        Self { door: Some(door), ..Self::default() }
    }
}
