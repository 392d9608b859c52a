//! The directory below `.local` in which a command works: one command at a time, and nothing left of the one before.
//!
//! `state.json` describes the owner to later commands. Whether an owner runs is decided by the lock, which cannot be stale.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use private_server::claim::Claim;
use private_server::supervisor::PATIENCE;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::workspace::{self, complain};

const FILE: &str = "state.json";

/// The children of a killed owner end within [`PATIENCE`], as their supervisors live.
const LEFTOVERS_END_WITHIN: Duration = PATIENCE.saturating_add(Duration::from_secs(10));

/// The owner of a directory.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct State {
    /// The word after `cargo xtask`.
    pub(crate) command: String,
    pub(crate) pid: u32,
    /// Known once the database runs.
    pub(crate) database_url: Option<String>,
}

impl State {
    /// The state in `directory`; `None` where there is none that can be read.
    pub(crate) fn load(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(directory.join(FILE)).ok()?).ok()
    }

    /// Replaces the state in `directory`. Only this user may read it, as the URL may have a password.
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

/// A directory that this process owns, until it is dropped.
pub(crate) struct Home {
    directory: PathBuf,
    state: State,
    claim: Claim,
}

impl Home {
    /// Takes the directory of a command, which others may share; an error names the command that has it.
    pub(crate) fn take(command: &str) -> Result<Self> {
        let directory = workspace::local(command);
        Self::take_directory(&directory, command)?.with_context(|| holder(&directory))
    }

    /// Takes a directory for a command, after the end of what an earlier owner left behind. `None` when another command
    /// has it.
    pub(crate) fn take_directory(directory: &Path, command: &str) -> Result<Option<Self>> {
        let claim = Claim::take(directory).with_context(|| format!("cannot use {}", directory.display()))?;
        let Some(claim) = claim else { return Ok(None) };
        let state = State { command: command.to_owned(), pid: process::id(), database_url: None };
        state.save(directory)?;
        let home = Self { directory: directory.to_owned(), state, claim };
        if !home.claim.wait_for_leftovers(Duration::ZERO)? {
            complain("waiting for the processes of an earlier run to end");
            if !home.claim.wait_for_leftovers(LEFTOVERS_END_WITHIN)? {
                let lock = directory.join("children.lock");
                bail!("processes of an earlier run do not end: kill those that `fuser -v {}` lists", lock.display());
            }
        }
        Ok(Some(home))
    }

    /// Where a private server has its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// A stream for a child, so that the next owner waits for the child's end.
    pub(crate) fn lease(&self) -> Result<Stdio> {
        Ok(self.claim.lease().context("too many open files")?.into())
    }

    /// Publishes the URL of the database to later commands.
    pub(crate) fn set_database_url(&mut self, url: &str) -> Result<()> {
        self.state.database_url = Some(url.to_owned());
        self.state.save(&self.directory)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Before the claim ends: from then on the file may be that of the next owner, who replaces one that stays.
        let _ = fs::remove_file(self.directory.join(FILE));
    }
}

/// Who has a directory, and what to do about it.
pub(crate) fn holder(directory: &Path) -> String {
    match State::load(directory) {
        Some(State { command, pid, .. }) if command == "up" => {
            format!("`cargo xtask up` is running (process {pid}): end it with `cargo xtask down`")
        }
        Some(State { command, pid, .. }) => {
            format!("`cargo xtask {command}` is running (process {pid}): try again when it has ended")
        }
        None => "another `cargo xtask` command is starting or ending: try again".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_second_owner_learns_who_the_first_is_and_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let refused = |command: &str| {
            let _first = Home::take_directory(directory.path(), command).unwrap().unwrap();
            assert!(Home::take_directory(directory.path(), "test").unwrap().is_none());
            holder(directory.path())
        };
        let pid = process::id();
        let up = refused("up");
        assert_eq!(up, format!("`cargo xtask up` is running (process {pid}): end it with `cargo xtask down`"));
        let seed = refused("seed");
        assert_eq!(seed, format!("`cargo xtask seed` is running (process {pid}): try again when it has ended"));
    }

    #[test]
    fn the_state_of_a_killed_owner_goes_when_the_next_one_comes() {
        let directory = tempfile::tempdir().unwrap();
        let url = Some("mysql://root@127.0.0.1:1/x".to_owned());
        State { command: "up".to_owned(), pid: 1, database_url: url }.save(directory.path()).unwrap();
        let home = Home::take_directory(directory.path(), "seed").unwrap().unwrap();
        let state = State::load(directory.path()).unwrap();
        assert_eq!((&*state.command, state.pid, state.database_url), ("seed", process::id(), None));
        drop(home);
        assert_eq!(State::load(directory.path()), None);
    }

    #[test]
    fn a_published_url_is_only_for_this_user() {
        let directory = tempfile::tempdir().unwrap();
        let mut home = Home::take_directory(directory.path(), "up").unwrap().unwrap();
        home.set_database_url("mysql://root:secret@127.0.0.1:1/x").unwrap();
        assert!(State::load(directory.path()).unwrap().database_url.unwrap().contains("secret"));
        let mode = fs::metadata(directory.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_half_written_state_counts_as_none() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "{\"command\": ").unwrap();
        assert_eq!(State::load(directory.path()), None);
    }
}
