//! SIGINT, SIGTERM and SIGHUP: the first requests a graceful shutdown, the second kills registered process groups.

use std::process;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::workspace::eprint_line;

#[derive(Clone)]
pub(crate) struct Interrupt {
    is_requested: watch::Sender<bool>,
    groups: Arc<Mutex<Vec<u32>>>,
}

impl Interrupt {
    /// Installs the signal handlers. Call once per process.
    pub(crate) fn listen() -> Result<Self> {
        let interrupt = Self { is_requested: watch::Sender::new(false), groups: Arc::default() };
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            let mut signals = signal(kind).context("cannot listen for signals")?;
            let interrupt = interrupt.clone();
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    if interrupt.is_requested.send_replace(true) {
                        interrupt.kill();
                        eprint_line("interrupted twice: killing the remaining processes");
                        process::exit(130);
                    }
                }
            });
        }
        Ok(interrupt)
    }

    /// Registers a process group for the second signal to kill.
    pub(crate) fn add_group(&self, group: u32) {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).push(group);
    }

    /// Requests a shutdown, as the first signal does.
    pub(crate) fn request(&self) {
        self.is_requested.send_replace(true);
    }

    /// Waits until a signal or a call to [`Self::request`] requests a shutdown.
    pub(crate) async fn requested(&self) {
        // `Err` only if all senders are dropped, but `self` holds one.
        let _ = self.is_requested.subscribe().wait_for(|is_requested| *is_requested).await;
    }

    fn kill(&self) {
        for group in self.groups.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // Fails if all processes of the group have already exited.
            let _ = i32::try_from(*group).map(|group| killpg(Pid::from_raw(group), Signal::SIGKILL));
        }
    }
}
