//! The merged log: what every process says, each line marked with its name.
//!
//! While the system starts the lines are only kept. An error shows the last ones of the process it is about.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::services::SERVICES;

const KEPT_LINES: usize = 100;

/// ANSI colours that read well on light and dark: cyan, green, magenta, yellow.
const COLORS: [u8; 4] = [36, 32, 35, 33];

#[derive(Clone)]
pub(crate) struct Logs {
    state: Arc<Mutex<State>>,
    colored: bool,
}

#[derive(Default)]
struct State {
    following: bool,
    kept: BTreeMap<&'static str, VecDeque<String>>,
}

impl Logs {
    pub(crate) fn new() -> Self {
        Self { state: Arc::default(), colored: io::stdout().is_terminal() }
    }

    /// Takes a line; prints it once [`Self::follow`] was called.
    pub(crate) fn line(&self, source: &'static str, line: &str) {
        let mut state = self.lock();
        let kept = state.kept.entry(source).or_default();
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(line.to_owned());
        if state.following {
            self.print(source, line);
        }
    }

    /// Prints what the services have said so far. The database says too much while it starts.
    pub(crate) fn print_services(&self) {
        let state = self.lock();
        for service in &SERVICES {
            for line in state.kept.get(service.name).into_iter().flatten() {
                self.print(service.name, line);
            }
        }
    }

    /// Prints every line from now on.
    pub(crate) fn follow(&self) {
        self.lock().following = true;
    }

    /// The last lines of one source, oldest first.
    pub(crate) fn tail(&self, source: &str, lines: usize) -> String {
        let state = self.lock();
        let Some(kept) = state.kept.get(source) else {
            return "(it said nothing)".to_owned();
        };
        let skipped = kept.len().saturating_sub(lines);
        Vec::from_iter(kept.iter().skip(skipped).map(String::as_str)).join("\n")
    }

    fn print(&self, source: &'static str, line: &str) {
        // Nobody may be reading any more; the services go on all the same.
        let _ = writeln!(io::stdout(), "{}", marked(source, line, self.colored));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn marked(source: &str, line: &str, colored: bool) -> String {
    if !colored {
        return format!("{source:<12} | {line}");
    }
    let service = SERVICES.iter().position(|service| service.name == source);
    let color = COLORS[service.unwrap_or(COLORS.len() - 1)];
    format!("\x1b[{color}m{source:<12} |\x1b[0m {line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_has_the_last_lines_of_one_source() {
        let logs = Logs::new();
        for number in 0..250 {
            logs.line("orders", &format!("line {number}"));
        }
        logs.line("customers", "other");
        assert_eq!(logs.tail("orders", 2), "line 248\nline 249");
        assert_eq!(logs.tail("orders", 1000).lines().count(), KEPT_LINES);
        assert_eq!(logs.tail("database", 5), "(it said nothing)");
    }

    #[test]
    fn lines_are_aligned_and_coloured_by_source() {
        assert_eq!(marked("orders", "hello", false), "orders       | hello");
        assert_eq!(marked("orders", "hello", true), "\x1b[32morders       |\x1b[0m hello");
        assert!(marked("database", "hello", true).starts_with("\x1b[33m"));
    }
}
