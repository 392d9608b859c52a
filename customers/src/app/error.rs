//! Why something could not be done, and the one place where this service chooses codes, and with them statuses.

use common_contract::{CustomerId, Detail, Failure, OperatorId, codes};
use customers_api::{
    CUSTOMER_NOT_FOUND, EMAIL_TAKEN, LAST_ADMIN, OPERATOR_NOT_FOUND, TOO_MANY_ATTEMPTS, USERNAME_TAKEN, WRONG_PASSWORD,
};
use db::{DbError, TransactionError};

use super::passwords::HashingError;
use super::throttle::TooMany;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CustomersError {
    #[error("there is no customer {0}")]
    CustomerNotFound(CustomerId),
    #[error("another customer has this email address")]
    EmailTaken,
    #[error("there is no operator {0}")]
    OperatorNotFound(OperatorId),
    #[error("another operator has this name")]
    UsernameTaken,
    #[error("without this operator there would be no active admin")]
    LastAdmin,
    #[error("the resource is at version {current}")]
    VersionChanged { current: i64 },
    #[error("the name or the password is wrong")]
    LoginRefused,
    #[error("the current password is wrong")]
    WrongPassword,
    #[error("the operator is not active, or not of the role that this needs, any more")]
    NoLongerAllowed,
    #[error("{field}: {problem}")]
    Invalid { field: &'static str, problem: &'static str },
    #[error(transparent)]
    TooMany(#[from] TooMany),
    #[error(transparent)]
    Hashing(#[from] HashingError),
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<CustomersError> for Failure {
    fn from(error: CustomersError) -> Self {
        let told = |code| Self::new(code, error.to_string());
        match error {
            CustomersError::CustomerNotFound(_) => told(CUSTOMER_NOT_FOUND),
            CustomersError::EmailTaken => told(EMAIL_TAKEN).with(Detail::field("email", "belongs to another customer")),
            CustomersError::OperatorNotFound(_) => told(OPERATOR_NOT_FOUND),
            CustomersError::UsernameTaken => {
                told(USERNAME_TAKEN).with(Detail::field("username", "belongs to another operator"))
            }
            CustomersError::LastAdmin => told(LAST_ADMIN),
            CustomersError::VersionChanged { current } => Self::precondition_failed(current),
            CustomersError::LoginRefused => told(codes::UNAUTHORIZED),
            CustomersError::WrongPassword => {
                told(WRONG_PASSWORD).with(Detail::field("current_password", "is not the operator's password"))
            }
            CustomersError::NoLongerAllowed => told(codes::FORBIDDEN),
            CustomersError::Invalid { field, problem } => Self::invalid_field(field, problem),
            CustomersError::TooMany(TooMany { wait }) => told(TOO_MANY_ATTEMPTS).retry_after(wait),
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
