//! How a command fails: what standard error shows and what the shell sees.

use std::io;
use std::process::ExitCode;

use rocketmq_client_tokio as rmq;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The client's own words, which name the topic, the peer and what to do.
    #[error(transparent)]
    Client(#[from] rmq::Error),
    /// The command line can't work.
    #[error("{0}")]
    Usage(String),
    /// The command ran and did not reach its end.
    #[error("{0}")]
    Failed(String),
    /// Files, standard input and output.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl CliError {
    /// 2 for what the user has to write differently, as clap has it; 1 for every other failure.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) | Self::Client(rmq::Error::Usage(_)) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }

    /// Whether the reader of our output went away, as `head` does. That is no failure of ours.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<rmq::UsageError> for CliError {
    fn from(error: rmq::UsageError) -> Self {
        Self::Client(error.into())
    }
}
