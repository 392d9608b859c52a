//! What is counted of logins. Nothing is where nobody serves the numbers.

use metrics::{counter, describe_counter};
use service_api::Failure;

const LOGINS: &str = "logins_total";

/// Says what is counted, and begins with zero where nothing has happened yet.
pub(crate) fn describe() {
    describe_counter!(LOGINS, "Attempts to log in by outcome: ok, refused, throttled or failed");
    for outcome in ["ok", "refused", "throttled", "failed"] {
        counter!(LOGINS, "outcome" => outcome).increment(0);
    }
}

/// An attempt to log in was answered so, which this gives back.
pub(crate) fn login<T>(answer: Result<T, Failure>) -> Result<T, Failure> {
    let outcome = match answer.as_ref().map_err(|failure| failure.code.status) {
        Ok(_) => "ok",
        Err(401) => "refused",
        Err(429) => "throttled",
        Err(_) => "failed",
    };
    counter!(LOGINS, "outcome" => outcome).increment(1);
    answer
}
