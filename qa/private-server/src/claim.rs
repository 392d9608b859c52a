//! Who owns a directory, and what is left of the owner before.
//!
//! Two lock files tell the two questions apart. `owner.lock` is held by the owner alone, so a live owner is told from a
//! dead one. `children.lock` is handed on to every child (a *lease*), so that the next owner can wait until
//! the last child of a killed owner has ended. The kernel drops a lock with its last holder: no lock is ever stale.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The right to use a directory. It ends when it is dropped or its process ends.
#[derive(Debug)]
pub struct Claim {
    owner: File,
    children: File,
}

impl Claim {
    /// Claims `directory`, which is created when missing; `None` when a live process owns it.
    pub fn take(directory: &Path) -> io::Result<Option<Self>> {
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

    /// Waits until the children of earlier owners have ended; false when some are left after `patience`.
    pub fn wait_for_leftovers(&self, patience: Duration) -> io::Result<bool> {
        let deadline = Instant::now() + patience;
        while !try_lock(&self.children)? {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(true)
    }

    /// What a child holds so that the next owner can wait for its end. Only after [`Self::wait_for_leftovers`].
    pub fn lease(&self) -> io::Result<File> {
        self.children.try_clone()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread starts right now has a copy until it becomes its program.
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
    fn a_directory_has_one_owner_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = Claim::take(directory.path()).unwrap();
        assert!(first.is_some());
        assert!(Claim::take(directory.path()).unwrap().is_none());
        drop(first);
        assert!(Claim::take(directory.path()).unwrap().is_some());
    }

    #[test]
    fn the_next_owner_waits_for_the_children_of_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let first = Claim::take(directory.path()).unwrap().unwrap();
        assert!(first.wait_for_leftovers(Duration::ZERO).unwrap());
        let mut child = Command::new("cat").stdin(Stdio::piped()).stderr(first.lease().unwrap()).spawn().unwrap();
        drop(first);

        let second = Claim::take(directory.path()).unwrap().unwrap();
        let short = Duration::from_millis(50);
        assert!(!second.wait_for_leftovers(short).unwrap());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(second.wait_for_leftovers(Duration::from_secs(10)).unwrap());
    }
}
