//! Login and password hashing metrics. Nothing is recorded if no metrics port is set.

use common_contract::{Failure, codes};
use customers_api::{TOO_MANY_ATTEMPTS, WRONG_PASSWORD};
use metrics::{counter, describe_counter};

const LOGINS: &str = "logins_total";
const PASSWORD_HASHES: &str = "password_hashes_total";

/// Describes the metrics and initializes each counter to zero.
pub(crate) fn describe() {
    describe_counter!(
        LOGINS,
        "Logins and password changes by the account owner, by outcome: ok, refused, throttled or failed"
    );
    describe_counter!(
        PASSWORD_HASHES,
        "Argon2id computations started, by purpose: compare (verify a password) or keep (store a new hash)"
    );
    for outcome in ["ok", "refused", "throttled", "failed"] {
        counter!(LOGINS, "outcome" => outcome).increment(0);
    }
    for purpose in ["compare", "keep"] {
        counter!(PASSWORD_HASHES, "purpose" => purpose).increment(0);
    }
}

/// Counts an Argon2id computation at its start: `compare` to verify a password, `keep` to store a new hash.
pub(crate) fn count_password_hash(purpose: &'static str) {
    counter!(PASSWORD_HASHES, "purpose" => purpose).increment(1);
}

/// Counts the outcome of a request that contained a password, and returns the result unchanged.
pub(crate) fn count_login<T>(result: Result<T, Failure>) -> Result<T, Failure> {
    let outcome = match &result {
        Ok(_) => "ok",
        Err(failure) if failure.code == codes::UNAUTHORIZED || failure.code == WRONG_PASSWORD => "refused",
        Err(failure) if failure.code == TOO_MANY_ATTEMPTS => "throttled",
        Err(_) => "failed",
    };
    counter!(LOGINS, "outcome" => outcome).increment(1);
    result
}
