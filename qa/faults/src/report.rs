//! What is told while a run lasts, and the summary at its end.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::mysql::Cuts;

/// The longest that the services may take to be ready again.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(5);

/// What happened so far; every line of it is printed with its time.
pub(crate) struct Journal {
    begin: Instant,
    record: Mutex<Record>,
}

#[derive(Clone, Default)]
struct Record {
    faults: BTreeMap<&'static str, u32>,
    slowest: Option<(Duration, String)>,
    violations: Vec<String>,
}

impl Journal {
    /// Time counts from now.
    pub(crate) fn begin() -> Self {
        Self { begin: Instant::now(), record: Mutex::default() }
    }

    /// Since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Prints a line with its time.
    pub(crate) fn say(&self, line: impl fmt::Display) {
        let seconds = self.elapsed().as_secs();
        print(format_args!("{:02}:{:02} {line}", seconds / 60, seconds % 60));
    }

    /// A fault of this kind begins.
    pub(crate) fn fault(&self, kind: &'static str, fault: impl fmt::Display) {
        *self.lock().faults.entry(kind).or_default() += 1;
        self.say(format_args!("fault: {fault}"));
    }

    /// Faults so far.
    pub(crate) fn faults(&self) -> u32 {
        self.lock().faults.values().sum()
    }

    /// The services were ready again so long after these faults.
    pub(crate) fn ready(&self, faults: &str, after: Duration) {
        self.say(format_args!("ready again {:.1} s after the end of: {faults}", after.as_secs_f64()));
        if after > READY_WITHIN {
            let late = after.as_secs_f64();
            self.violation(format!("the services were ready only {late:.1} s after the end of: {faults}"));
        }
        let mut record = self.lock();
        if record.slowest.as_ref().is_none_or(|(slowest, _)| after > *slowest) {
            record.slowest = Some((after, faults.to_owned()));
        }
    }

    /// Something that must not be.
    pub(crate) fn violation(&self, violation: String) {
        self.say(format_args!("VIOLATION: {violation}"));
        self.lock().violations.push(violation);
    }

    /// Whether there is nothing of that kind.
    pub(crate) fn is_well(&self) -> bool {
        self.lock().violations.is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a line. Unlike `println!` it does not panic when nobody reads it any more.
pub(crate) fn print(line: impl fmt::Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// What a run has come to.
pub(crate) struct Verdict {
    /// For people.
    pub(crate) text: String,
    /// Whether nothing was found.
    pub(crate) is_well: bool,
}

impl Verdict {
    /// Adds a line.
    pub(crate) fn say(&mut self, line: impl fmt::Display) {
        self.text = format!("{}{line}\n", self.text);
    }

    /// Adds a line that says what must not be.
    pub(crate) fn fail(&mut self, line: impl fmt::Display) {
        self.say(format_args!("VIOLATION: {line}"));
        self.is_well = false;
    }
}

impl From<Summary> for Verdict {
    fn from(summary: Summary) -> Self {
        Self { text: summary.to_string(), is_well: summary.is_well() }
    }
}

/// The judgement at the end of a run under load.
pub(crate) struct Summary {
    seed: u64,
    engine: String,
    elapsed: Duration,
    record: Record,
    /// How many connections were cut while they committed, if any were to be.
    pub(crate) commits: Option<Cuts>,
    /// What the clients counted.
    pub(crate) load: String,
    /// Every invariant with its number of violations.
    pub(crate) invariants: Vec<String>,
    /// Answers that were given and are not kept.
    pub(crate) lost: Option<usize>,
}

impl Summary {
    /// What the journal has. The rest is filled in by whoever looks.
    pub(crate) fn of(journal: &Journal, seed: u64, engine: String) -> Self {
        let (elapsed, record) = (journal.elapsed(), journal.lock().clone());
        let (commits, load, invariants) = (None, String::new(), Vec::new());
        Self { seed, engine, elapsed, record, commits, load, invariants, lost: None }
    }

    fn is_well(&self) -> bool {
        self.record.violations.is_empty()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { faults, slowest, violations } = &self.record;
        writeln!(f, "seed        {}", self.seed)?;
        writeln!(f, "engine      {}", self.engine)?;
        writeln!(f, "lasted      {} s", self.elapsed.as_secs())?;
        writeln!(f, "faults      {}", faults.values().sum::<u32>())?;
        for (kind, times) in faults {
            writeln!(f, "  {times:>5}  {kind}")?;
        }
        if let Some(Cuts { before, after }) = self.commits {
            writeln!(f, "commits cut {before} before COMMIT arrived, {after} after it was carried out")?;
        }
        if let Some((after, faults)) = slowest {
            writeln!(f, "ready again after {:.1} s at most ({faults})", after.as_secs_f64())?;
        }
        if !self.load.is_empty() {
            writeln!(f, "load\n  {}", self.load.trim_end().replace('\n', "\n  "))?;
        }
        writeln!(f, "invariants, with violations")?;
        for line in &self.invariants {
            writeln!(f, "  {line}")?;
        }
        match self.lost {
            Some(lost) => writeln!(f, "lost answers {lost}")?,
            None => writeln!(f, "lost answers: not checked")?,
        }
        writeln!(f, "violations  {}", violations.len())?;
        for violation in violations {
            writeln!(f, "  {violation}")?;
        }
        write!(f, "{}", if self.is_well() { "all is well" } else { "FAILED" })
    }
}
