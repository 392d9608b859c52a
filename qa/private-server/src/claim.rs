//! Exclusive ownership of a directory, including the wait for child processes of its previous owner.
//!
//! There are two lock files. Only the owner holds `owner.lock`, which shows whether the owner is alive. Every child
//! process inherits `children.lock` as a *lease*, so that the next owner can wait until the last child of a killed
//! owner has exited. The kernel releases a lock when its last holder exits, so a lock cannot become stale.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Exclusive claim on a directory. It is released on drop or when the process exits.
#[derive(Debug)]
pub struct Claim {
    owner: File,
    children: File,
}

impl Claim {
    /// Acquires `directory`, creating it if necessary. Returns `None` if a running process owns it.
    pub fn acquire(directory: &Path) -> io::Result<Option<Self>> {
        fs::create_dir_all(directory)?;
        let owner = lock_file(directory, "owner.lock")?;
        if !try_lock(&owner)? {
            return Ok(None);
        }
        let children = lock_file(directory, "children.lock")?;
        Ok(Some(Self { owner, children }))
    }

    /// Waits until no process owns `directory`.
    pub fn wait_until_free(directory: &Path) -> io::Result<()> {
        lock_file(directory, "owner.lock")?.lock()
    }

    /// Waits until the children of earlier owners have exited. Returns false if some are running after `max_wait`.
    pub fn wait_for_children(&self, max_wait: Duration) -> io::Result<bool> {
        let deadline = Instant::now() + max_wait;
        while !try_lock(&self.children)? {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(true)
    }

    /// Returns a file that a child process must keep open, so that the next owner can wait for the child's exit. Call
    /// this only after [`Self::wait_for_children`] has returned true.
    pub fn lease(&self) -> io::Result<File> {
        self.children.try_clone()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Unlock explicitly: a child that another thread is starting holds a copy of the descriptor until its exec.
        let _ = self.owner.unlock();
    }
}

fn lock_file(directory: &Path, name: &str) -> io::Result<File> {
    File::options().write(true).create(true).truncate(false).open(directory.join(name))
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn directory_has_one_owner_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = Claim::acquire(directory.path()).unwrap();
        assert!(first.is_some());
        assert!(Claim::acquire(directory.path()).unwrap().is_none());
        drop(first);
        assert!(Claim::acquire(directory.path()).unwrap().is_some());
    }

    #[test]
    fn next_owner_waits_for_children_of_the_previous_owner() {
        let directory = tempfile::tempdir().unwrap();
        let first = Claim::acquire(directory.path()).unwrap().unwrap();
        assert!(first.wait_for_children(Duration::ZERO).unwrap());
        let mut child = Command::new("cat").stdin(Stdio::piped()).stderr(first.lease().unwrap()).spawn().unwrap();
        drop(first);

        let second = Claim::acquire(directory.path()).unwrap().unwrap();
        let short = Duration::from_millis(50);
        assert!(!second.wait_for_children(short).unwrap());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(second.wait_for_children(Duration::from_secs(10)).unwrap());
    }
}
