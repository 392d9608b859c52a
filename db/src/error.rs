//! Database errors, classified by how callers can handle them.
//!
//! diesel-async discards the server's error number and keeps only the message, so [`classify`] uses Diesel's error kind
//! if there is one, and otherwise the message. It recognises the messages of MySQL and MariaDB; integration tests
//! provoke the errors on a real server. The services map these errors to HTTP statuses.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use thiserror::Error;

/// Failure of a database operation.
#[derive(Debug, Error)]
pub enum DbError {
    /// No connection was available, or it was lost before COMMIT. In a transaction, nothing was committed.
    #[error("the database cannot be reached: {reason}")]
    Unavailable {
        /// Message from the pool, the driver or the server.
        reason: String,
    },
    /// The time limit was exceeded before COMMIT.
    #[error("the database did not respond within the time limit")]
    Timeout,
    /// The server rolled this transaction back to resolve a deadlock.
    #[error("the transaction was rolled back to resolve a deadlock")]
    Deadlock,
    /// A lock could not be acquired in time.
    #[error("timed out waiting for a row lock held by another transaction")]
    LockTimeout,
    /// Another request with the same idempotency key is in flight.
    #[error("a request with the same idempotency key is in flight")]
    KeyInProgress,
    /// Unique key violation.
    #[error("duplicate value for unique key {constraint}")]
    Unique {
        /// Name of the key, without its table; `PRIMARY` for a primary key.
        constraint: String,
    },
    /// Foreign key violation: a referenced row is missing, or a row is still referenced.
    #[error("foreign key {constraint} is violated")]
    ForeignKey {
        /// Name of the foreign key.
        constraint: String,
    },
    /// CHECK constraint violation.
    #[error("check constraint {constraint} is violated")]
    Check {
        /// Name of the constraint.
        constraint: String,
    },
    /// Ambiguous commit: COMMIT was sent but not acknowledged. The transaction may or may not have been committed; read
    /// the database to find out.
    #[error("COMMIT was not acknowledged; the outcome of the transaction is unknown")]
    OutcomeUnknown,
    /// Any other error, such as an invalid statement, a value that does not fit, or a missing row.
    #[error("unexpected database error")]
    Other(#[source] DieselError),
}

impl DbError {
    /// Returns true if the whole transaction can be retried from BEGIN.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Deadlock | Self::LockTimeout)
    }

    /// Returns true if this is a violation of the unique key `name`.
    #[must_use]
    pub fn is_unique(&self, name: &str) -> bool {
        matches!(self, Self::Unique { constraint } if constraint == name)
    }

    /// Returns true if the state of the connection is unknown, so that it must be closed.
    pub(crate) fn breaks_connection(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Timeout | Self::OutcomeUnknown)
    }
}

impl From<DieselError> for DbError {
    fn from(error: DieselError) -> Self {
        classify(error)
    }
}

const IO_ERROR: &str = "Input/output error: ";

/// Message prefixes of driver connection failures, and of servers that are shutting down or closing the connection.
const LOST: [&str; 7] = [
    IO_ERROR,
    "Driver error:",
    "Other error:",
    "Server shutdown in progress",
    "Connection was killed",
    "The client was disconnected by the server",
    "Query execution was interrupted",
];

/// Message prefixes of deadlocks. MariaDB 11.6 and later send the second one if a row has changed since it was read,
/// which requires the same retry.
const DEADLOCK: [&str; 2] = ["Deadlock found when trying to get lock", "Record has changed since last read"];

/// Message prefixes of lock timeouts, including locks refused under NOWAIT.
const LOCK_TIMEOUT: [&str; 2] =
    ["Lock wait timeout exceeded", "Statement aborted because lock(s) could not be acquired"];

/// Converts a Diesel error to a [`DbError`].
#[must_use]
pub fn classify(error: DieselError) -> DbError {
    match error {
        DieselError::DatabaseError(kind, information) => match from_message(&kind, information.message()) {
            Some(error) => error,
            None => DbError::Other(DieselError::DatabaseError(kind, information)),
        },
        DieselError::RollbackErrorOnCommit { commit_error, .. } => classify(*commit_error),
        other => DbError::Other(other),
    }
}

fn from_message(kind: &DatabaseErrorKind, message: &str) -> Option<DbError> {
    let starts = |patterns: &[&str]| patterns.iter().any(|pattern| message.starts_with(pattern));
    match kind {
        DatabaseErrorKind::UniqueViolation => Some(DbError::Unique { constraint: unique_key(message) }),
        DatabaseErrorKind::ForeignKeyViolation => Some(DbError::ForeignKey { constraint: foreign_key(message) }),
        // MySQL: Check constraint 'ck_products_stock' is violated.
        DatabaseErrorKind::CheckViolation => Some(DbError::Check { constraint: between(message, "'", "'") }),
        // The driver wraps an I/O error twice, with the same prefix.
        _ if starts(&LOST) => Some(DbError::Unavailable { reason: message.trim_start_matches(IO_ERROR).to_owned() }),
        _ if starts(&DEADLOCK) => Some(DbError::Deadlock),
        _ if starts(&LOCK_TIMEOUT) => Some(DbError::LockTimeout),
        // MariaDB: CONSTRAINT `ck_products_stock` failed for `shop`.`products`
        _ if message.starts_with("CONSTRAINT `") => Some(DbError::Check { constraint: between(message, "`", "`") }),
        _ => None,
    }
}

/// Extracts the key name from `Duplicate entry 'x' for key 'uq_name'`; MySQL writes `'table.uq_name'`. Searches from
/// the end, because the entry is user input and may contain any text.
fn unique_key(message: &str) -> String {
    let quoted = message.trim_end_matches('\'').rsplit('\'').next().unwrap_or_default();
    quoted.rsplit('.').next().unwrap_or_default().to_owned()
}

/// Extracts the name from ``… a foreign key constraint fails (`db`.`orders`, CONSTRAINT `fk_name` FOREIGN KEY …)``.
fn foreign_key(message: &str) -> String {
    between(message, "CONSTRAINT `", "`")
}

fn between(message: &str, open: &str, close: &str) -> String {
    let inner = message.split_once(open).and_then(|(_, rest)| rest.split_once(close));
    inner.map(|(name, _)| name).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicate_value_cannot_spoof_the_key_name() {
        assert_eq!(unique_key("Duplicate entry 'a' for key 'uq_products_sku'"), "uq_products_sku");
        assert_eq!(unique_key("Duplicate entry 'a' for key 'products.uq_products_sku'"), "uq_products_sku");
        assert_eq!(unique_key("Duplicate entry 'x' for key 'PRIMARY' for key 'uq_real'"), "uq_real");
    }

    #[test]
    fn unknown_errors_are_kept_unchanged() {
        let error =
            DieselError::DatabaseError(DatabaseErrorKind::Unknown, Box::new("Data too long for column".to_owned()));
        assert!(
            matches!(classify(error), DbError::Other(DieselError::DatabaseError(_, text)) if text.message().contains("too long"))
        );
        assert!(matches!(classify(DieselError::NotFound), DbError::Other(DieselError::NotFound)));
    }

    #[test]
    fn changed_record_is_classified_as_deadlock() {
        let message = "Record has changed since last read in table 'orders'".to_owned();
        assert!(matches!(
            classify(DieselError::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message))),
            DbError::Deadlock
        ));
    }
}
