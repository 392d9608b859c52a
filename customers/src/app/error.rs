//! Business rule errors and their mapping to error codes and statuses. This is the only file of the crate that maps
//! them.

use common_contract::{CustomerId, Detail, Failure, OperatorId, codes};
use customers_api::{
    CUSTOMER_NOT_FOUND, EMAIL_TAKEN, LAST_ADMIN, OPERATOR_NOT_FOUND, TOO_MANY_ATTEMPTS, USERNAME_TAKEN, WRONG_PASSWORD,
};
use db::{DbError, TransactionError};

use super::passwords::HashingError;
use super::throttle::TooManyAttempts;

/// Error of an operation on customers, user accounts or logins.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CustomersError {
    #[error("customer {0} does not exist")]
    CustomerNotFound(CustomerId),
    #[error("another customer has this email address")]
    EmailTaken,
    #[error("user account {0} does not exist")]
    AccountNotFound(OperatorId),
    #[error("another user account has this name")]
    UsernameTaken,
    #[error("the user account is the last active admin and must remain one")]
    LastAdmin,
    #[error("the resource is at version {current}")]
    VersionChanged { current: i64 },
    #[error("the username or the password is wrong")]
    LoginRefused,
    #[error("the current password is wrong")]
    WrongPassword,
    #[error("the user account is inactive or no longer has the required role")]
    NoLongerAllowed,
    #[error("{field}: {problem}")]
    Invalid { field: &'static str, problem: &'static str },
    #[error(transparent)]
    TooManyAttempts(#[from] TooManyAttempts),
    #[error(transparent)]
    Hashing(#[from] HashingError),
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<CustomersError> for Failure {
    fn from(error: CustomersError) -> Self {
        let failure = |code| Self::new(code, error.to_string());
        match error {
            CustomersError::CustomerNotFound(_) => failure(CUSTOMER_NOT_FOUND),
            CustomersError::EmailTaken => {
                failure(EMAIL_TAKEN).with(Detail::field("email", "belongs to another customer"))
            }
            CustomersError::AccountNotFound(_) => failure(OPERATOR_NOT_FOUND),
            CustomersError::UsernameTaken => {
                failure(USERNAME_TAKEN).with(Detail::field("username", "belongs to another user account"))
            }
            CustomersError::LastAdmin => failure(LAST_ADMIN),
            CustomersError::VersionChanged { current } => Self::precondition_failed(current),
            CustomersError::LoginRefused => failure(codes::UNAUTHORIZED),
            CustomersError::WrongPassword => {
                failure(WRONG_PASSWORD).with(Detail::field("current_password", "does not match the current password"))
            }
            CustomersError::NoLongerAllowed => failure(codes::FORBIDDEN),
            CustomersError::Invalid { field, problem } => Self::invalid_field(field, problem),
            CustomersError::TooManyAttempts(TooManyAttempts { wait }) => failure(TOO_MANY_ATTEMPTS).retry_after(wait),
            CustomersError::Hashing(error @ HashingError::Busy) => Self::unavailable(error),
            CustomersError::Hashing(error) => Self::internal(error),
            CustomersError::Database(
                error @ (DbError::Unavailable { .. } | DbError::Timeout | DbError::Deadlock | DbError::LockTimeout),
            ) => Self::unavailable(error),
            CustomersError::Database(error @ DbError::OutcomeUnknown) => Self::outcome_unknown(error),
            CustomersError::Database(error) => Self::internal(error),
        }
    }
}

impl TransactionError for CustomersError {
    fn as_db(&self) -> Option<&DbError> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}
