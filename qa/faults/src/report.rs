//! The journal of a run: lines with their time while it lasts, and the summary at its end.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};

/// The longest time until the services are ready again.
const READY_WITHIN: Duration = Duration::from_secs(5);
const RED: Style = AnsiColor::Red.on_default();
const GREEN: Style = AnsiColor::Green.on_default();

/// What happened so far.
pub(crate) struct Journal(Mutex<Record>);

struct Record {
    begin: Instant,
    faults: BTreeMap<&'static str, u32>,
    slowest: Option<(Duration, String)>,
    figures: Vec<String>,
    violations: Vec<String>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        let (faults, slowest, figures, violations) = Default::default();
        Self(Mutex::new(Record { begin: Instant::now(), faults, slowest, figures, violations }))
    }

    /// Time counts from now.
    pub(crate) fn begin(&self) {
        self.lock().begin = Instant::now();
    }

    /// Since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.lock().begin.elapsed()
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

    pub(crate) fn has_violations(&self) -> bool {
        !self.lock().violations.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The summary.
impl fmt::Display for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.lock();
        let Record { begin, faults, slowest, figures, violations } = &*record;
        writeln!(f, "lasted      {} s", begin.elapsed().as_secs())?;
        writeln!(f, "faults      {}", faults.values().sum::<u32>())?;
        for (kind, times) in faults {
            writeln!(f, "  {times:>5}  {kind}")?;
        }
        if let Some((after, faults)) = slowest {
            writeln!(f, "ready again after {:.1} s at most ({faults})", after.as_secs_f64())?;
        }
        for figure in figures {
            writeln!(f, "{figure}")?;
        }
        writeln!(f, "violations  {}", violations.len())?;
        for violation in violations {
            writeln!(f, "  {violation}")?;
        }
        if violations.is_empty() { write!(f, "{GREEN}all is well{GREEN:#}") } else { write!(f, "{RED}FAILED{RED:#}") }
    }
}

/// Writes a line. Unlike `println!` it does not panic when the reader is gone.
pub(crate) fn print(line: impl fmt::Display) {
    let _ = writeln!(anstream::stdout(), "{line}");
}
