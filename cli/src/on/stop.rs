//! Ctrl-C: the first asks for an end in order, the second does not wait for it.
//!
//! Sections: RFC 9293 3.10.4 (CLOSE), 3.10.5 (ABORT).
//! In: SIGINT and SIGTERM.
//! Out: a future that ends with the first; connections that are closed, or reset.

use std::io;
use std::time::Duration;

use tidegate::Host;
use tidegate::dev::CaptureStatus;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Who wants an end.
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Listens for both signals from now on, within a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Stop { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The next signal.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Ends the host in order; a signal, or `patience` at an end, resets what is left. `transit` is how long our own link
/// holds the last word.
pub(crate) async fn finish(host: &Host, stop: &mut Stop, patience: Duration, transit: Duration) {
    tokio::select! {
        _ = host.shutdown(patience) => {}
        () = stop.asked() => abort(host).await,
    }
    if !transit.is_zero() {
        tokio::time::sleep(transit).await;
    }
}

/// Resets every connection.
pub(crate) async fn abort(host: &Host) {
    host.shutdown(Duration::ZERO).await;
}

/// Says so if a capture is not whole.
pub(crate) fn report(capture: Option<&CaptureStatus>) {
    if let Some(failure) = capture.and_then(CaptureStatus::failure) {
        eprintln!("tidegate: the capture ends early: {}", super::plain(&failure));
    }
}
