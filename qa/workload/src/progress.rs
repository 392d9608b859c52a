//! How far a load has come, in figures.

use std::collections::BTreeMap;
use std::fmt;

use client_common::Fault;

use crate::outcome::{Outcome, Success};

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
    pub fn requests(&self) -> u64 {
        self.answers.values().sum()
    }

    /// Counts an answer, or why there is none.
    pub(crate) fn count(&mut self, operation: &'static str, outcome: &Outcome, retry: bool) {
        let answer = match outcome {
            Ok(Success { status, replayed: true, .. }) => format!("{status} replayed"),
            Ok(success) => success.status.to_string(),
            Err(Fault::NotSent) => "not sent".to_owned(),
            Err(Fault::TimedOut) => "timed out".to_owned(),
            Err(Fault::Broken) => "broken".to_owned(),
            Err(Fault::Invalid(_)) => "invalid".to_owned(),
            Err(Fault::Answered { status, body, .. }) => {
                format!("{status} {}", body.as_ref().map_or("without a code", |refusal| &refusal.code))
            }
        };
        self.retries += u64::from(retry);
        *self.answers.entry((operation, answer)).or_default() += 1;
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
