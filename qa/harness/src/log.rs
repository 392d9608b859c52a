//! Where the processes write: one file for each in the directory of the run.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A log file, shared by all processes that write to it one after the other.
#[derive(Clone)]
pub struct Log(Arc<Mutex<File>>);

impl Log {
    /// An empty file of this name.
    ///
    /// # Errors
    ///
    /// Where it cannot be made.
    pub fn create(directory: &Path, name: &str) -> io::Result<Self> {
        let file = File::create(directory.join(format!("{name}.log")))?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    /// Appends a line. A full disk must not end a run, so what cannot be written is lost.
    pub fn line(&self, line: &str) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(file, "{line}");
    }
}
