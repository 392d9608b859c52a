//! What is counted of logins and of passwords. Nothing is where nobody serves the numbers.

use common_contract::{Failure, codes};
use customers_api::{TOO_MANY_ATTEMPTS, WRONG_PASSWORD};
use metrics::{counter, describe_counter};

const LOGINS: &str = "logins_total";
const PASSWORD_HASHES: &str = "password_hashes_total";

/// Says what is counted, and begins with zero where nothing has happened yet.
pub(crate) fn describe() {
    describe_counter!(
        LOGINS,
        "Logins, and changes of one's own password, by outcome: ok, refused, throttled or failed"
    );
    describe_counter!(
        PASSWORD_HASHES,
        "Argon2id hashes that were begun, by what for: to compare a password or to keep one"
    );
    for outcome in ["ok", "refused", "throttled", "failed"] {
        counter!(LOGINS, "outcome" => outcome).increment(0);
    }
    for purpose in ["compare", "keep"] {
        counter!(PASSWORD_HASHES, "purpose" => purpose).increment(0);
    }
}

/// A hash is begun, to compare a password with one that is kept or to keep another.
pub(crate) fn password_hash(purpose: &'static str) {
    counter!(PASSWORD_HASHES, "purpose" => purpose).increment(1);
}

/// Whoever showed a password was answered so, which this gives back.
pub(crate) fn login<T>(answer: Result<T, Failure>) -> Result<T, Failure> {
    let outcome = match &answer {
        Ok(_) => "ok",
        Err(failure) if failure.code == codes::UNAUTHORIZED || failure.code == WRONG_PASSWORD => "refused",
        Err(failure) if failure.code == TOO_MANY_ATTEMPTS => "throttled",
        Err(_) => "failed",
    };
    counter!(LOGINS, "outcome" => outcome).increment(1);
    answer
}
