//! Saga metrics. Recording is a no-op unless a metrics exporter is installed.

use metrics::{counter, describe_counter};
use orchestrator_api::{Compensated, Outcome, Step};

use crate::failure::SagaFailure;

const RUNS: &str = "saga_runs_total";
const RETRIES: &str = "saga_retries_total";

const OUTCOMES: [&str; 5] = ["confirmed", "refused", "failed", "undone", "pending"];

/// Describes the metrics and initializes each series to zero.
pub(crate) fn describe() {
    describe_counter!(
        RUNS,
        "Sagas by outcome: confirmed; refused (client error) or failed (server error), nothing to compensate; undone \
         (compensated); pending (an order may remain)"
    );
    describe_counter!(RETRIES, "Retries of upstream calls, by saga step");
    for outcome in OUTCOMES {
        counter!(RUNS, "outcome" => outcome).increment(0);
    }
    for step in [Step::Validate, Step::Create, Step::Confirm] {
        record_retries(step, 1);
    }
}

/// Counts a finished saga by its outcome.
pub(crate) fn record_outcome(result: &Result<Outcome, SagaFailure>) {
    let outcome = match result.as_ref().map_err(|failure| (failure.compensated, failure.reason.code.status)) {
        Ok(_) => "confirmed",
        Err((Compensated::NotNeeded, ..500)) => "refused",
        Err((Compensated::NotNeeded, _)) => "failed",
        Err((Compensated::Done, _)) => "undone",
        Err((Compensated::Pending, _)) => "pending",
    };
    counter!(RUNS, "outcome" => outcome).increment(1);
}

/// Counts the retries of a step: its attempts, excluding the first.
pub(crate) fn record_retries(step: Step, attempts: u32) {
    let step = match step {
        Step::Input => "input",
        Step::Validate => "validate",
        Step::Create => "create",
        Step::Confirm => "confirm",
    };
    counter!(RETRIES, "step" => step).increment(attempts.saturating_sub(1).into());
}
