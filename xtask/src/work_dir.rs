//! Exclusive directory of a command in `.local`. It starts only after the previous owner's processes have exited.
//!
//! `state.json` describes the owner. Whether it is running is determined by the lock, which cannot become stale.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use private_server::claim::Claim;
use private_server::supervisor::GRACE_PERIOD;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::workspace::{self, eprint_line};

const FILE: &str = "state.json";

/// Maximum wait for the child processes of a killed owner. Their supervisors stop them within [`GRACE_PERIOD`].
const CLEANUP_TIMEOUT: Duration = GRACE_PERIOD.saturating_add(Duration::from_secs(10));

/// Description of the process that owns a directory.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct State {
    /// Name of the `cargo xtask` command.
    pub(crate) command: String,
    pub(crate) pid: u32,
    /// URL of the database, set once it is running.
    pub(crate) database_url: Option<String>,
}

impl State {
    /// Returns the state stored in `directory`, or `None` if it is missing or unreadable.
    pub(crate) fn load(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(directory.join(FILE)).ok()?).ok()
    }

    /// Atomically replaces the state. Only this user can read the file, because the URL may contain a password.
    fn save(&self, directory: &Path) -> Result<()> {
        let path = directory.join(FILE);
        let write = || -> Result<()> {
            let mut file = NamedTempFile::new_in(directory)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.persist(&path)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Working directory that this process owns until the value is dropped.
pub(crate) struct WorkDir {
    directory: PathBuf,
    state: State,
    claim: Claim,
}

impl WorkDir {
    /// Acquires the directory `.local/COMMAND`. If it is in use, returns an error that names its owner.
    pub(crate) fn acquire(command: &str) -> Result<Self> {
        let directory = workspace::local(command);
        Self::acquire_at(&directory, command)?.with_context(|| owner_message(&directory))
    }

    /// Acquires a directory once an earlier owner's processes have exited. `None` if another command owns it.
    pub(crate) fn acquire_at(directory: &Path, command: &str) -> Result<Option<Self>> {
        let claim = Claim::acquire(directory).with_context(|| format!("cannot lock {}", directory.display()))?;
        let Some(claim) = claim else { return Ok(None) };
        let state = State { command: command.to_owned(), pid: process::id(), database_url: None };
        state.save(directory)?;
        let work_dir = Self { directory: directory.to_owned(), state, claim };
        if !work_dir.claim.wait_for_children(Duration::ZERO)? {
            eprint_line("waiting for processes of an earlier run to exit");
            if !work_dir.claim.wait_for_children(CLEANUP_TIMEOUT)? {
                let lock = directory.join("children.lock");
                bail!(
                    "processes of an earlier run are still running: find them with `fuser -v {}` and kill them",
                    lock.display()
                );
            }
        }
        Ok(Some(work_dir))
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Returns a handle that a child process holds until it exits, so that the next owner can wait for it.
    pub(crate) fn lease(&self) -> Result<Stdio> {
        Ok(self.claim.lease().context("cannot duplicate the lock of the working directory")?.into())
    }

    /// Publishes the database URL to other commands.
    pub(crate) fn set_database_url(&mut self, url: &str) -> Result<()> {
        self.state.database_url = Some(url.to_owned());
        self.state.save(&self.directory)
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        // Before releasing the lock: afterwards the file may be that of the next owner, who overwrites any leftover.
        let _ = fs::remove_file(self.directory.join(FILE));
    }
}

/// Returns a message that names the owner of a directory and the next action for the user.
pub(crate) fn owner_message(directory: &Path) -> String {
    match State::load(directory) {
        Some(State { command, pid, .. }) if command == "up" => {
            format!("`cargo xtask up` is running (process {pid}): stop it with `cargo xtask down`")
        }
        Some(State { command, pid, .. }) => {
            format!("`cargo xtask {command}` is running (process {pid}): try again when it has finished")
        }
        None => "another `cargo xtask` command is starting or stopping: try again".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn message_names_the_owner_and_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let refused = |command: &str| {
            let _first = WorkDir::acquire_at(directory.path(), command).unwrap().unwrap();
            assert!(WorkDir::acquire_at(directory.path(), "test").unwrap().is_none());
            owner_message(directory.path())
        };
        let pid = process::id();
        let up = refused("up");
        assert_eq!(up, format!("`cargo xtask up` is running (process {pid}): stop it with `cargo xtask down`"));
        let seed = refused("seed");
        assert_eq!(seed, format!("`cargo xtask seed` is running (process {pid}): try again when it has finished"));
    }

    #[test]
    fn state_of_a_killed_owner_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let url = Some("mysql://root@127.0.0.1:1/x".to_owned());
        State { command: "up".to_owned(), pid: 1, database_url: url }.save(directory.path()).unwrap();
        let work_dir = WorkDir::acquire_at(directory.path(), "seed").unwrap().unwrap();
        let state = State::load(directory.path()).unwrap();
        assert_eq!((&*state.command, state.pid, state.database_url), ("seed", process::id(), None));
        drop(work_dir);
        assert_eq!(State::load(directory.path()), None);
    }

    #[test]
    fn state_file_is_readable_only_by_this_user() {
        let directory = tempfile::tempdir().unwrap();
        let mut work_dir = WorkDir::acquire_at(directory.path(), "up").unwrap().unwrap();
        work_dir.set_database_url("mysql://root:secret@127.0.0.1:1/x").unwrap();
        assert!(State::load(directory.path()).unwrap().database_url.unwrap().contains("secret"));
        let mode = fs::metadata(directory.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn truncated_state_is_ignored() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "{\"command\": ").unwrap();
        assert_eq!(State::load(directory.path()), None);
    }
}
