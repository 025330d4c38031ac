//! Why a command did not succeed, and the exit code that says so.

use std::io;

use rocketmq_client_tokio as rmq;

use crate::admin::AdminError;

/// Why a command did not succeed. Shown as one line, lower case, with what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The client says so.
    #[error(transparent)]
    Client(#[from] rmq::Error),
    /// A request of the command line's own failed.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// It worked, and the outcome is bad.
    #[error("{0}")]
    Outcome(String),
    /// The system refused something.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        error: io::Error,
    },
    /// Whoever read our output has gone. Nobody is left to be told.
    #[error("standard output was closed")]
    BrokenPipe,
}

impl Failure {
    pub(crate) fn io(what: impl Into<String>, error: io::Error) -> Self {
        Self::Io { what: what.into(), error }
    }

    /// 2 for a call that can't work as it was made, 1 for what went wrong on the way.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Client(rmq::Error::Usage(_)) => 2,
            Self::BrokenPipe => 0,
            _ => 1,
        }
    }
}

impl From<rmq::UsageError> for Failure {
    fn from(error: rmq::UsageError) -> Self {
        Self::Client(error.into())
    }
}
