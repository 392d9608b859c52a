//! How far a load has come, in figures.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::outcome::{Outcome, label};

/// The figures of a load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Operations that have ended.
    pub operations: u64,
    /// Operations that have begun and not ended.
    pub in_flight: u64,
    /// Requests that were sent again because an earlier one had not been answered for good.
    pub retries: u64,
    /// Operations that ended without an answer that says whether they were carried out.
    pub unknown: u64,
    /// How often an operation was answered like this: `201`, `200 replayed`, `409 insufficient_stock`, `timed out` …
    pub answers: BTreeMap<(&'static str, String), u64>,
}

impl Progress {
    /// Requests that were sent.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.answers.values().sum()
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operations, in_flight, retries, unknown, answers } = self;
        let requests = self.requests();
        writeln!(f, "{operations} operations, {requests} requests, {retries} of them retries")?;
        writeln!(f, "{unknown} operations of unknown outcome, {in_flight} in flight")?;
        for ((operation, answer), count) in answers {
            writeln!(f, "{count:>9}  {operation:<26} {answer}")?;
        }
        Ok(())
    }
}

/// Counts while clients work.
#[derive(Default)]
pub(crate) struct Tally(Mutex<Progress>);

impl Tally {
    pub(crate) fn begin(&self) {
        self.lock().in_flight += 1;
    }

    pub(crate) fn end(&self, unknown: bool) {
        let mut progress = self.lock();
        progress.in_flight -= 1;
        progress.operations += 1;
        progress.unknown += u64::from(unknown);
    }

    pub(crate) fn answered(&self, operation: &'static str, outcome: &Outcome, retry: bool) {
        let mut progress = self.lock();
        progress.retries += u64::from(retry);
        *progress.answers.entry((operation, label(outcome))).or_default() += 1;
    }

    pub(crate) fn progress(&self) -> Progress {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
