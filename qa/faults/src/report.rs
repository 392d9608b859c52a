//! The journal of a run: lines with their time while it lasts, and the summary at its end.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};

/// The longest time until the services are ready again.
const READY_WITHIN: Duration = Duration::from_secs(5);
const RED: Style = AnsiColor::Red.on_default();
const GREEN: Style = AnsiColor::Green.on_default();

/// What happened so far.
#[derive(Default)]
pub(crate) struct Journal {
    begin: OnceLock<Instant>,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    faults: BTreeMap<&'static str, u32>,
    slowest: Option<(Duration, String)>,
    figures: Vec<String>,
    violations: Vec<String>,
}

impl Journal {
    /// Time counts from now.
    pub(crate) fn begin(&self) {
        self.elapsed();
    }

    /// Since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begin.get_or_init(Instant::now).elapsed()
    }

    /// Prints a line with its time.
    pub(crate) fn log(&self, line: impl fmt::Display) {
        let seconds = self.elapsed().as_secs();
        print(format_args!("{:02}:{:02} {line}", seconds / 60, seconds % 60));
    }

    /// A fault of this kind begins.
    pub(crate) fn fault(&self, kind: &'static str, fault: impl fmt::Display) {
        *self.lock().faults.entry(kind).or_default() += 1;
        self.log(format_args!("fault: {fault}"));
    }

    /// Faults so far.
    pub(crate) fn faults(&self) -> u32 {
        self.lock().faults.values().sum()
    }

    /// The services were ready again so long after these faults.
    pub(crate) fn ready(&self, faults: &str, after: Duration) {
        let seconds = after.as_secs_f64();
        self.log(format_args!("ready again {seconds:.1} s after the end of: {faults}"));
        if after > READY_WITHIN {
            self.violation(format_args!("the services were ready only {seconds:.1} s after the end of: {faults}"));
        }
        let mut record = self.lock();
        if record.slowest.as_ref().is_none_or(|(slowest, _)| after > *slowest) {
            record.slowest = Some((after, faults.to_owned()));
        }
    }

    /// A line of the summary.
    pub(crate) fn figure(&self, line: impl fmt::Display) {
        self.lock().figures.push(line.to_string());
    }

    /// Something that must not be.
    pub(crate) fn violation(&self, violation: impl fmt::Display) {
        self.log(format_args!("{RED}VIOLATION{RED:#}: {violation}"));
        self.lock().violations.push(violation.to_string());
    }

    /// Prints the summary. Whether there was no violation.
    pub(crate) fn finish(&self) -> bool {
        let record = self.lock();
        let Record { faults, slowest, figures, violations } = &*record;
        print(format_args!("lasted      {} s", self.elapsed().as_secs()));
        print(format_args!("faults      {}", faults.values().sum::<u32>()));
        for (kind, times) in faults {
            print(format_args!("  {times:>5}  {kind}"));
        }
        if let Some((after, faults)) = slowest {
            print(format_args!("ready again after {:.1} s at most ({faults})", after.as_secs_f64()));
        }
        figures.iter().for_each(print);
        print(format_args!("violations  {}", violations.len()));
        for violation in violations {
            print(format_args!("  {violation}"));
        }
        let is_well = violations.is_empty();
        print(if is_well { format!("{GREEN}all is well{GREEN:#}") } else { format!("{RED}FAILED{RED:#}") });
        is_well
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a line. Unlike `println!` it does not panic when the reader is gone.
pub(crate) fn print(line: impl fmt::Display) {
    let _ = writeln!(anstream::stdout(), "{line}");
}
