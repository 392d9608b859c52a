//! Metrics of sagas. No-ops where no exporter is installed.

use metrics::{counter, describe_counter};
use orchestrator_api::{Compensated, Outcome, Step};

use crate::failure::SagaFailure;

const RUNS: &str = "saga_runs_total";
const RETRIES: &str = "saga_retries_total";

const OUTCOMES: [&str; 5] = ["confirmed", "refused", "failed", "undone", "pending"];

/// Describes the metrics and starts each at zero.
pub(crate) fn describe() {
    describe_counter!(
        RUNS,
        "Sagas by outcome: confirmed; refused, with nothing done; failed, with nothing done; undone; pending, with an order \
         that may be left"
    );
    describe_counter!(RETRIES, "Calls of a saga that were sent again, by step");
    for outcome in OUTCOMES {
        counter!(RUNS, "outcome" => outcome).increment(0);
    }
    for step in [Step::Validate, Step::Create, Step::Confirm] {
        attempted(step, 1);
    }
}

/// Counts the end of a saga.
pub(crate) fn ended(result: &Result<Outcome, SagaFailure>) {
    let outcome = match result.as_ref().map_err(|failure| (failure.compensated, failure.reason.code.status)) {
        Ok(_) => "confirmed",
        Err((Compensated::NotNeeded, ..500)) => "refused",
        Err((Compensated::NotNeeded, _)) => "failed",
        Err((Compensated::Done, _)) => "undone",
        Err((Compensated::Pending, _)) => "pending",
    };
    counter!(RUNS, "outcome" => outcome).increment(1);
}

/// Counts the retries of a step that took so many attempts.
pub(crate) fn attempted(step: Step, attempts: u32) {
    let step = match step {
        Step::Input => "input",
        Step::Validate => "validate",
        Step::Create => "create",
        Step::Confirm => "confirm",
    };
    counter!(RETRIES, "step" => step).increment(attempts.saturating_sub(1).into());
}
