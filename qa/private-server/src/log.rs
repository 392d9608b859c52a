//! Process output: forwards each line, and retains the last lines for error messages.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::supervisor::Output;

const KEPT_LINES: usize = 500;

/// Log that successive processes can share.
#[derive(Clone)]
pub struct Log {
    sink: Arc<dyn Fn(&str) + Send + Sync>,
    kept: Arc<Mutex<VecDeque<String>>>,
}

impl Log {
    /// Creates a log that passes each line to `sink`, which several threads may call.
    #[must_use]
    pub fn new(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { sink: Arc::new(sink), kept: Arc::default() }
    }

    /// Creates a log that writes to a new file `NAME.log`.
    pub fn create(directory: &Path, name: &str) -> io::Result<Self> {
        let file = File::create(directory.join(format!("{name}.log")))?;
        // A full disk must not abort a run, so lines that cannot be written are dropped.
        Ok(Self::new(move |line| drop(writeln!(&file, "{line}"))))
    }

    /// Appends the lines of `output` on a new thread, and calls `on_end` after the last line.
    pub fn read(self, mut output: Output, on_end: impl FnOnce() + Send + 'static) {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            while matches!(output.read_until(b'\n', &mut bytes), Ok(1..)) {
                self.line(String::from_utf8_lossy(&bytes).trim_end());
                bytes.clear();
            }
            drop(self);
            on_end();
        });
    }

    /// Appends a line.
    pub fn line(&self, line: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(line.to_owned());
        (self.sink)(line);
    }

    /// Returns the last lines, oldest first: at most `lines` of them, and at most 500.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_empty() {
            return "(no output)".to_owned();
        }
        let skipped = kept.len().saturating_sub(lines);
        Vec::from_iter(kept.iter().skip(skipped).map(String::as_str)).join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_returns_the_last_lines() {
        let log = Log::new(|_| ());
        assert_eq!(log.tail(5), "(no output)");
        for number in 0..2 * KEPT_LINES {
            log.line(&format!("line {number}"));
        }
        assert_eq!(log.tail(2), "line 998\nline 999");
        assert_eq!(log.tail(usize::MAX).lines().count(), KEPT_LINES);
    }
}
