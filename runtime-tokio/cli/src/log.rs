//! What is logged, to standard error.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::args::{LOG_VARIABLE, LOG_VARIABLE_RUST, variable};
use crate::error::CliError;
use crate::output;

/// Starts logging. `verbose` is the number of `-v`; without any, `ROCKETMQ_LOG` says what, or else `RUST_LOG`.
///
/// # Errors
/// The variable is not a filter.
pub(crate) fn start(verbose: u8) -> Result<(), CliError> {
    let set = |name| variable(name).map(|value| (name, value));
    let (name, wanted) = match verbose {
        0 => set(LOG_VARIABLE).or_else(|| set(LOG_VARIABLE_RUST)).unwrap_or(("", "warn".to_owned())),
        1 => ("", "debug".to_owned()),
        _ => ("", "trace".to_owned()),
    };
    let filter = EnvFilter::try_new(&wanted).map_err(|error| {
        CliError::Usage(format!("{name} is {wanted:?}: {error}; write e.g. warn, debug or trace"))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(output::colours())
        .init();
    Ok(())
}
