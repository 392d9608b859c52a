//! `state.json`: what a running command tells the commands that come after it.
//!
//! It only describes. Whether a command runs is decided by the lock of its directory, which cannot be stale.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process;

use anyhow::{Context, Result};
use private_server::supervisor::send_signal;
use serde::{Deserialize, Serialize};

const FILE: &str = "state.json";

/// A process that can be told from a later one with the same id.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// In clock ticks since the machine started; unknown where there is no /proc.
    started: Option<u64>,
}

impl Process {
    pub(crate) fn new(pid: u32) -> Self {
        let started = start_time(pid);
        Self { pid, started }
    }

    /// False when it is certain that this process has ended.
    pub(crate) fn may_be_running(&self) -> bool {
        self.started == start_time(self.pid)
    }

    /// Whether it is certain that this process still runs.
    fn is_running(&self) -> bool {
        self.started.is_some() && self.may_be_running()
    }
}

/// A child of the command.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Child {
    pub(crate) name: String,
    pub(crate) process: Process,
}

#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct State {
    /// The word after `cargo xtask`.
    pub(crate) command: String,
    pub(crate) owner: Process,
    /// Known once the database runs.
    pub(crate) database_url: Option<String>,
    pub(crate) children: Vec<Child>,
}

impl State {
    /// The state of this process, which has started nothing yet.
    pub(crate) fn new(command: &str) -> Self {
        let owner = Process::new(process::id());
        Self { command: command.to_owned(), owner, database_url: None, children: Vec::new() }
    }

    /// The state in `directory`, `None` when there is none that can be read.
    pub(crate) fn load(directory: &Path) -> Option<Self> {
        let text = fs::read(directory.join(FILE)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Replaces the state in `directory`. Only this user may read it, as the URL may have a password.
    pub(crate) fn save(&self, directory: &Path) -> Result<()> {
        let path = directory.join(FILE);
        let new = directory.join("state.json.new");
        let write = || -> Result<()> {
            let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            fs::rename(&new, &path)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    pub(crate) fn remove(directory: &Path) {
        // The next owner replaces a state that stays.
        let _ = fs::remove_file(directory.join(FILE));
    }

    /// Sends `signal` to the children that still run. Only for the children of an owner that is dead.
    pub(crate) fn signal_children(&self, signal: &str) {
        for child in self.children.iter().filter(|child| child.process.is_running()) {
            // It may end at this very moment.
            let _ = send_signal(signal, i64::from(child.process.pid));
        }
    }
}

/// Field 22 of /proc/PID/stat. The second field, the name, may have spaces and parentheses.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_saved_state_is_loaded_and_only_for_this_user() {
        let directory = tempfile::tempdir().unwrap();
        let mut state = State::new("up");
        state.database_url = Some("mysql://root:secret@127.0.0.1:1/x".to_owned());
        state.children.push(Child { name: "orders".to_owned(), process: Process::new(1) });
        state.save(directory.path()).unwrap();
        assert_eq!(State::load(directory.path()), Some(state));
        let mode = fs::metadata(directory.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        State::remove(directory.path());
        assert_eq!(State::load(directory.path()), None);
    }

    #[test]
    fn a_half_written_state_counts_as_none() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "{\"owner\": {").unwrap();
        assert_eq!(State::load(directory.path()), None);
    }

    #[test]
    fn a_process_is_told_from_a_later_one_with_its_id() {
        let mut this = Process::new(process::id());
        assert!(this.is_running() && this.may_be_running());
        this.started = this.started.map(|ticks| ticks + 1);
        assert!(!this.is_running() && !this.may_be_running());
    }
}
