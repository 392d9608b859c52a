//! What is counted of sagas. Nothing is where nobody serves the numbers.

use metrics::{counter, describe_counter};

use crate::create_and_confirm::Step;
use crate::saga::Undone;

const RUNS: &str = "saga_runs_total";
const RETRIES: &str = "saga_retries_total";

const OUTCOMES: [&str; 5] = ["confirmed", "refused", "failed", "undone", "pending"];
const STEPS: [Step; 3] = [Step::Validate, Step::Create, Step::Confirm];

/// Says what is counted, and begins with zero where nothing has happened yet.
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
    for step in STEPS {
        counter!(RETRIES, "step" => name(step)).increment(0);
    }
}

/// A saga ended: with a confirmed order, or with this left behind and answered with this status.
pub(crate) fn ended(result: Result<(), (Undone, u16)>) {
    let outcome = match result {
        Ok(()) => "confirmed",
        Err((Undone::Nothing, ..500)) => "refused",
        Err((Undone::Nothing, _)) => "failed",
        Err((Undone::Done, _)) => "undone",
        Err((Undone::Pending, _)) => "pending",
    };
    counter!(RUNS, "outcome" => outcome).increment(1);
}

/// A step of a saga took so many attempts.
pub(crate) fn tried(step: Step, attempts: u32) {
    counter!(RETRIES, "step" => name(step)).increment(attempts.saturating_sub(1).into());
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Validate => "validate",
        Step::Create => "create",
        Step::Confirm => "confirm",
    }
}
