//! Run journal: timestamped lines during a run, and a summary at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};

/// Maximum time until the services are ready again after a fault.
const READY_TIMEOUT: Duration = Duration::from_secs(5);
const RED: Style = AnsiColor::Red.on_default();
const GREEN: Style = AnsiColor::Green.on_default();

#[derive(Default)]
pub(crate) struct Journal {
    begin: OnceLock<Instant>,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    faults: BTreeMap<&'static str, u32>,
    slowest: Option<(Duration, String)>,
    summary_lines: Vec<String>,
    violations: Vec<String>,
}

impl Journal {
    /// Starts the clock of the run.
    pub(crate) fn begin(&self) {
        self.elapsed();
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begin.get_or_init(Instant::now).elapsed()
    }

    /// Prints a line prefixed with the elapsed time.
    pub(crate) fn log(&self, line: impl fmt::Display) {
        let seconds = self.elapsed().as_secs();
        print(format_args!("{:02}:{:02} {line}", seconds / 60, seconds % 60));
    }

    /// Records and prints the start of a fault of the given kind.
    pub(crate) fn fault(&self, kind: &'static str, fault: impl fmt::Display) {
        *self.lock().faults.entry(kind).or_default() += 1;
        self.log(format_args!("fault: {fault}"));
    }

    pub(crate) fn faults(&self) -> u32 {
        self.lock().faults.values().sum()
    }

    /// Records the time from the end of these faults until the services were ready again.
    pub(crate) fn ready(&self, faults: &str, after: Duration) {
        let seconds = after.as_secs_f64();
        self.log(format_args!("ready {seconds:.1} s after the end of: {faults}"));
        if after > READY_TIMEOUT {
            self.violation(format_args!("the services were not ready until {seconds:.1} s after the end of: {faults}"));
        }
        let mut record = self.lock();
        if record.slowest.as_ref().is_none_or(|(slowest, _)| after > *slowest) {
            record.slowest = Some((after, faults.to_owned()));
        }
    }

    pub(crate) fn summary_line(&self, line: impl fmt::Display) {
        self.lock().summary_lines.push(line.to_string());
    }

    pub(crate) fn violation(&self, violation: impl fmt::Display) {
        self.log(format_args!("{RED}VIOLATION{RED:#}: {violation}"));
        self.lock().violations.push(violation.to_string());
    }

    /// Prints the summary. Returns whether the run found no violation.
    pub(crate) fn finish(&self) -> bool {
        let record = self.lock();
        let Record { faults, slowest, summary_lines, violations } = &*record;
        print(format_args!("length      {} s", self.elapsed().as_secs()));
        print(format_args!("faults      {}", faults.values().sum::<u32>()));
        for (kind, times) in faults {
            print(format_args!("  {times:>5}  {kind}"));
        }
        if let Some((after, faults)) = slowest {
            print(format_args!("ready again after at most {:.1} s ({faults})", after.as_secs_f64()));
        }
        summary_lines.iter().for_each(print);
        print(format_args!("violations  {}", violations.len()));
        for violation in violations {
            print(format_args!("  {violation}"));
        }
        let is_passed = violations.is_empty();
        print(if is_passed { format!("{GREEN}PASSED{GREEN:#}") } else { format!("{RED}FAILED{RED:#}") });
        is_passed
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prints a line. Unlike `println!`, it does not panic on a closed pipe.
pub(crate) fn print(line: impl fmt::Display) {
    let _ = writeln!(anstream::stdout(), "{line}");
}
