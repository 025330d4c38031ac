//! What is logged, to standard error.

use std::env;
use std::io;

use tracing_subscriber::EnvFilter;

use crate::args::LOG_VARIABLE;
use crate::error::CliError;
use crate::output;

/// Starts logging. `verbose` is the number of `-v`; without any, `ROCKETMQ_LOG` says what.
///
/// # Errors
/// The variable is not a filter.
pub(crate) fn start(verbose: u8) -> Result<(), CliError> {
    let wanted = env::var(LOG_VARIABLE).ok().filter(|value| !value.is_empty());
    let wanted = match (verbose, &wanted) {
        (0, Some(wanted)) => wanted,
        (0, None) => "warn",
        (1, _) => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_new(wanted).map_err(|error| {
        CliError::Usage(format!("{LOG_VARIABLE} is {wanted:?}: {error}; write e.g. warn, debug or trace"))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(output::colours())
        .init();
    Ok(())
}
