//! The log of a server while it runs: its last lines, and the moment it says it is ready.

use std::collections::VecDeque;
use std::io::BufRead;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::supervisor::Output;

/// Takes the server's log line by line, from a thread.
pub(crate) type Sink = Arc<dyn Fn(&str) + Send + Sync>;

/// Called when the log has ended.
pub(crate) type EndHook = Arc<dyn Fn() + Send + Sync>;

const KEPT_LINES: usize = 15;

/// Said by every MySQL and MariaDB server once it accepts connections.
const READY: &str = "ready for connections";

pub(crate) struct Log {
    kept: Arc<Mutex<VecDeque<String>>>,
    ready: Receiver<()>,
}

impl Log {
    /// Reads `output` to its end in a thread.
    pub(crate) fn read(mut output: Output, sink: Sink, on_end: EndHook) -> Self {
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let (sender, ready) = channel();
        let shared = Arc::clone(&kept);
        thread::spawn(move || {
            let mut bytes = Vec::new();
            while matches!(output.read_until(b'\n', &mut bytes), Ok(1..)) {
                let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                bytes.clear();
                sink(&line);
                let is_ready = line.contains(READY);
                keep(&shared, line);
                if is_ready {
                    // Only the first one is waited for.
                    let _ = sender.send(());
                }
            }
            on_end();
        });
        Self { kept, ready }
    }

    /// Waits until the server is ready, or its log has ended.
    pub(crate) fn wait_until_ready(&self, patience: Duration) -> bool {
        self.ready.recv_timeout(patience).is_ok()
    }

    /// The last lines, oldest first.
    pub(crate) fn tail(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Vec::from_iter(kept.iter().map(String::as_str)).join("\n")
    }
}

fn keep(kept: &Mutex<VecDeque<String>>, line: String) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() == KEPT_LINES {
        kept.pop_front();
    }
    kept.push_back(line);
}
