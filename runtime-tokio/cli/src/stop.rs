//! Ctrl-C, and the signal by which services are ended.

use std::io;

/// Ends when the user or the system asks the process to stop.
pub(crate) async fn asked() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// From now on a second request ends the process at once, whatever still goes on.
pub(crate) fn hurry_on_second() {
    tokio::spawn(async {
        if asked().await.is_ok() {
            std::process::exit(130);
        }
    });
}
