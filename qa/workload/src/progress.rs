//! Load counters.

use std::collections::BTreeMap;
use std::fmt;

use client_common::Fault;

use crate::outcome::{Outcome, Success};

/// Load counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Number of completed operations.
    pub operations: u64,
    /// Number of operations in flight.
    pub in_flight: u64,
    /// Number of retries that were sent because an earlier attempt received no definite response.
    pub retries: u64,
    /// Number of operations whose outcome remained unknown.
    pub unknown: u64,
    /// Number of outcomes by operation: `201`, `200 replayed`, `409 insufficient_stock`, `timed out` …
    pub outcomes: BTreeMap<(&'static str, String), u64>,
}

impl Progress {
    /// Returns the number of requests that were sent.
    pub fn requests(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// Counts the outcome of a request.
    pub(crate) fn count(&mut self, operation: &'static str, outcome: &Outcome, retry: bool) {
        let text = match outcome {
            Ok(Success { status, replayed: true, .. }) => format!("{status} replayed"),
            Ok(success) => success.status.to_string(),
            Err(Fault::NotSent) => "not sent".to_owned(),
            Err(Fault::TimedOut) => "timed out".to_owned(),
            Err(Fault::Broken) => "broken".to_owned(),
            Err(Fault::Invalid(_)) => "invalid".to_owned(),
            Err(Fault::Answered { status, body, .. }) => {
                format!("{status} {}", body.as_ref().map_or("without a code", |error| &error.code))
            }
        };
        self.retries += u64::from(retry);
        *self.outcomes.entry((operation, text)).or_default() += 1;
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operations, in_flight, retries, unknown, outcomes } = self;
        let requests = self.requests();
        writeln!(f, "{operations} operations, {requests} requests, of which {retries} retries")?;
        writeln!(f, "{unknown} operations with unknown outcome, {in_flight} in flight")?;
        for ((operation, outcome), count) in outcomes {
            writeln!(f, "{count:>9}  {operation:<26} {outcome}")?;
        }
        Ok(())
    }
}
