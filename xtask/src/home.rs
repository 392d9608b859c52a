//! The directory below `.local` in which a command works: one command at a time, and nothing left of the one before.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use private_server::claim::Claim;
use private_server::supervisor::PATIENCE;

use crate::process;
use crate::state::{Child, Process, State};

/// A killed owner's children are killed after this long. With a living supervisor they end within [`PATIENCE`].
const LEFTOVERS_END_WITHIN: Duration = PATIENCE.saturating_add(Duration::from_secs(10));

/// A directory that this process owns, until it is dropped.
pub(crate) struct Home {
    directory: PathBuf,
    state: State,
    /// Shared with what is started in the background.
    pub(crate) claim: Arc<Claim>,
}

impl Home {
    /// Takes a directory for the command of this name, after the end of what an earlier owner left behind. `None` when
    /// another command has it.
    pub(crate) fn take(directory: &Path, command: &str) -> Result<Option<Self>> {
        let taken = Claim::take(directory).with_context(|| format!("cannot use {}", directory.display()))?;
        let Some(claim) = taken else {
            return Ok(None);
        };
        end_leftovers(directory, &claim)?;
        let state = State::new(command);
        // What is there describes processes that have ended.
        state.save(directory)?;
        Ok(Some(Self { directory: directory.to_owned(), state, claim: Arc::new(claim) }))
    }

    /// As [`Self::take`], but it is an error when another command has the directory. It says which.
    pub(crate) fn take_or_say_who(directory: &Path, command: &str) -> Result<Self> {
        match Self::take(directory, command)? {
            Some(home) => Ok(home),
            None => bail!(holder(directory)),
        }
    }

    /// Where a private server has its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Tells later commands the URL of the database.
    pub(crate) fn set_database_url(&mut self, url: &str) -> Result<()> {
        self.state.database_url = Some(url.to_owned());
        self.state.save(&self.directory)
    }

    /// Tells later commands of a child, which they end if this process is killed.
    pub(crate) fn remember(&mut self, name: &str, pid: u32) -> Result<()> {
        self.state.children.push(Child { name: name.to_owned(), process: Process::new(pid) });
        self.state.save(&self.directory)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Before the claim ends: from then on the file may be that of the next owner.
        State::remove(&self.directory);
    }
}

/// Who has a directory, and what to do about it.
pub(crate) fn holder(directory: &Path) -> String {
    match State::load(directory).filter(|state| state.owner.may_be_running()) {
        Some(State { command, owner, .. }) if command == "up" => {
            format!("`cargo xtask up` is running (process {}): end it with `cargo xtask down`", owner.pid)
        }
        Some(State { command, owner, .. }) => {
            format!("`cargo xtask {command}` is running (process {}): try again when it has ended", owner.pid)
        }
        None => "another `cargo xtask` command is starting or ending: try again".to_owned(),
    }
}

fn end_leftovers(directory: &Path, claim: &Claim) -> Result<()> {
    if claim.wait_for_leftovers(Duration::ZERO)? {
        return Ok(());
    }
    process::complain("waiting for the processes of an earlier run to end");
    let state = State::load(directory);
    // They are ending already, unless their supervisors were killed as well.
    if let Some(state) = &state {
        state.signal_children("TERM");
    }
    if claim.wait_for_leftovers(LEFTOVERS_END_WITHIN)? {
        return Ok(());
    }
    if let Some(state) = &state {
        state.signal_children("KILL");
    }
    if !claim.wait_for_leftovers(PATIENCE)? {
        bail!("processes of an earlier run do not end: they hold {}", directory.join("children.lock").display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_told_who_the_first_is_and_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let refused = |command: &str| {
            let _first = Home::take_or_say_who(directory.path(), command).unwrap();
            Home::take_or_say_who(directory.path(), "test").err().unwrap().to_string()
        };
        let pid = std::process::id();
        let up = refused("up");
        assert_eq!(up, format!("`cargo xtask up` is running (process {pid}): end it with `cargo xtask down`"));
        let seed = refused("seed");
        assert_eq!(seed, format!("`cargo xtask seed` is running (process {pid}): try again when it has ended"));
    }

    #[test]
    fn the_state_of_a_killed_owner_goes_when_the_next_one_comes() {
        let directory = tempfile::tempdir().unwrap();
        let mut stale = State::new("up");
        stale.database_url = Some("mysql://root@127.0.0.1:1/x".to_owned());
        stale.save(directory.path()).unwrap();
        let home = Home::take_or_say_who(directory.path(), "seed").unwrap();
        assert_eq!(State::load(directory.path()), Some(State::new("seed")));
        drop(home);
        assert_eq!(State::load(directory.path()), None);
    }
}
