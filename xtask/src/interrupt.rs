//! Ctrl-C, SIGTERM and SIGHUP: the first asks for an orderly end, the second kills.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use private_server::supervisor::send_signal;

use crate::process::complain;

/// The end of a command that was interrupted before it had done its work.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Set by the first signal.
static ASKED: AtomicBool = AtomicBool::new(false);
/// Set by the second signal.
static KILLED: AtomicBool = AtomicBool::new(false);

/// Whether a second signal has killed what was still ending.
pub(crate) fn has_killed() -> bool {
    KILLED.load(Ordering::Relaxed)
}

/// The process groups that the second signal kills.
#[derive(Clone, Default)]
pub(crate) struct Groups(Arc<Mutex<Vec<u32>>>);

impl Groups {
    pub(crate) fn add(&self, group: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(group);
    }

    fn send(&self, signal: &str) {
        for group in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // A group whose processes have all ended is no failure.
            let _ = send_signal(signal, -i64::from(*group));
        }
    }
}

/// Calls `on_first` at the first signal; kills `groups` and ends this process at the second. Once per process.
pub(crate) fn install(groups: Groups, on_first: impl Fn() + Send + 'static) -> Result<()> {
    ctrlc::set_handler(move || {
        if ASKED.swap(true, Ordering::Relaxed) {
            KILLED.store(true, Ordering::Relaxed);
            groups.send("KILL");
            complain("interrupted twice; what was still ending is killed");
            process::exit(130);
        }
        on_first();
    })
    .context("cannot listen for Ctrl-C")
}
