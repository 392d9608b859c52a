//! Ctrl-C, SIGTERM and SIGHUP: the first asks for an orderly end, the second kills.

use std::process;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::workspace::complain;

/// The signals to this process, and the process groups that the second one kills.
#[derive(Clone)]
pub(crate) struct Interrupt {
    asked: watch::Sender<bool>,
    groups: Arc<Mutex<Vec<u32>>>,
}

impl Interrupt {
    /// Takes signals from now on. Once per process.
    pub(crate) fn listen() -> Result<Self> {
        let interrupt = Self { asked: watch::Sender::new(false), groups: Arc::default() };
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            let mut signals = signal(kind).context("cannot listen for signals")?;
            let interrupt = interrupt.clone();
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    if interrupt.asked.send_replace(true) {
                        interrupt.kill();
                        complain("interrupted twice; what was still ending is killed");
                        process::exit(130);
                    }
                }
            });
        }
        Ok(interrupt)
    }

    /// Adds a process group that the second signal kills.
    pub(crate) fn add_group(&self, group: u32) {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).push(group);
    }

    /// Acts as the first signal.
    pub(crate) fn ask(&self) {
        self.asked.send_replace(true);
    }

    /// Waits for the first signal.
    pub(crate) async fn asked(&self) {
        // The sender lives as long as this.
        let _ = self.asked.subscribe().wait_for(|asked| *asked).await;
    }

    fn kill(&self) {
        for group in self.groups.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // A group whose processes have all ended is no failure.
            let _ = i32::try_from(*group).map(|group| killpg(Pid::from_raw(group), Signal::SIGKILL));
        }
    }
}
