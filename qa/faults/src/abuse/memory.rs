//! How much memory each process has, as the kernel counts it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::interval;

use crate::replicas::System;

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The most that each process had at once, in KiB, by its name.
#[derive(Default)]
pub(super) struct Memory(BTreeMap<String, u64>);

impl Memory {
    /// Looks again and again, for as long as it is not dropped.
    pub(super) async fn watch(&mut self, system: &System) -> std::convert::Infallible {
        let mut ticks = interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            self.look(system);
        }
    }

    /// Looks once.
    pub(super) fn look(&mut self, system: &System) {
        for (name, process) in system.processes() {
            let most = self.0.entry(name.to_owned()).or_default();
            *most = resident(process.pid()).max(*most);
        }
    }

    /// The most, in MiB, by name.
    pub(super) fn mebibytes(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, kibibytes)| (&**name, kibibytes / 1024))
    }

    /// The most of one process, in MiB.
    pub(super) fn of(&self, name: &str) -> u64 {
        self.0.get(name).map_or(0, |kibibytes| kibibytes / 1024)
    }
}

/// In KiB; 0 where the process has ended.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_some_memory_and_one_that_ended_has_none() {
        assert!(resident(std::process::id()) > 1024);
        assert_eq!(resident(u32::MAX), 0);
    }
}
