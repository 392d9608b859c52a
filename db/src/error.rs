//! What can go wrong with the database, in kinds that a caller can act on.
//!
//! diesel-async drops the error number that the server sent and keeps only the text, so [`classify`] decides by diesel's
//! kind where there is one and by text otherwise. Both MySQL's and MariaDB's wordings are covered; the integration
//! tests provoke every one of them on a real server. Which status a caller of a service gets is not decided here.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use thiserror::Error;

/// A failed use of the database.
#[derive(Debug, Error)]
pub enum DbError {
    /// No connection to be had, or it broke before anything could be committed. Safe to try again.
    #[error("the database cannot be reached: {reason}")]
    Unavailable {
        /// What the pool, the driver or the server said.
        reason: String,
    },
    /// The time limit of one use passed before anything was committed.
    #[error("the database did not answer within the time limit")]
    Timeout,
    /// Another transaction was in the way and this one was rolled back by the server.
    #[error("the transaction was chosen to end a deadlock")]
    Deadlock,
    /// A lock was not to be had in time.
    #[error("a row stayed locked by another transaction for too long")]
    LockTimeout,
    /// Another request under the same idempotency key is still running.
    #[error("a request under the same idempotency key is still running")]
    KeyInProgress,
    /// A row with these values exists already.
    #[error("unique key {constraint} already has these values")]
    Unique {
        /// Name of the key, without its table; `PRIMARY` for a primary key.
        constraint: String,
    },
    /// A row refers to one that does not exist, or is still referred to.
    #[error("foreign key {constraint} does not hold")]
    ForeignKey {
        /// Name of the foreign key.
        constraint: String,
    },
    /// A value breaks a CHECK constraint.
    #[error("check {constraint} does not hold")]
    Check {
        /// Name of the constraint.
        constraint: String,
    },
    /// COMMIT was sent and its answer never came: the transaction may or may not have happened. Never guess: look.
    #[error("the connection was lost during COMMIT: whether the transaction happened is unknown")]
    OutcomeUnknown,
    /// Any other error: a mistake in a statement, a value that does not fit, a row that should be there and is not.
    #[error("unexpected database error")]
    Other(#[source] DieselError),
}

impl DbError {
    /// True if the whole transaction may simply be run again from its start.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Deadlock | Self::LockTimeout)
    }

    /// True if this is a violation of the unique key of that name.
    #[must_use]
    pub fn is_unique(&self, name: &str) -> bool {
        matches!(self, Self::Unique { constraint } if constraint == name)
    }

    /// True if the connection may be in any state and must not be used again.
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

/// Beginnings of what the driver says when the connection itself failed, and of what a server says that is going away.
const LOST: [&str; 7] = [
    IO_ERROR,
    "Driver error:",
    "Other error:",
    "Server shutdown in progress",
    "Connection was killed",
    "The client was disconnected by the server",
    "Query execution was interrupted",
];

/// Beginnings of the messages that end a deadlock. The second is MariaDB's since 11.6: the row that was read has
/// changed, and the transaction has to start over just the same.
const DEADLOCK: [&str; 2] = ["Deadlock found when trying to get lock", "Record has changed since last read"];

/// Beginnings of the messages about a lock that was not to be had: waited for in vain, or refused under NOWAIT.
const LOCK_TIMEOUT: [&str; 2] =
    ["Lock wait timeout exceeded", "Statement aborted because lock(s) could not be acquired"];

/// Sorts an error of diesel into the kinds above.
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
        // The driver wraps an I/O error twice, under the same words.
        _ if starts(&LOST) => Some(DbError::Unavailable { reason: message.trim_start_matches(IO_ERROR).to_owned() }),
        _ if starts(&DEADLOCK) => Some(DbError::Deadlock),
        _ if starts(&LOCK_TIMEOUT) => Some(DbError::LockTimeout),
        // MariaDB: CONSTRAINT `ck_products_stock` failed for `shop`.`products`
        _ if message.starts_with("CONSTRAINT `") => Some(DbError::Check { constraint: between(message, "`", "`") }),
        _ => None,
    }
}

/// `Duplicate entry 'x' for key 'uq_name'`; MySQL writes `'table.uq_name'`. The entry is a caller's text and may contain
/// anything, so the name is taken from the end.
fn unique_key(message: &str) -> String {
    let quoted = message.trim_end_matches('\'').rsplit('\'').next().unwrap_or_default();
    quoted.rsplit('.').next().unwrap_or_default().to_owned()
}

/// ``… a foreign key constraint fails (`db`.`orders`, CONSTRAINT `fk_name` FOREIGN KEY …)``.
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
    fn a_duplicate_value_cannot_pretend_to_be_another_key() {
        assert_eq!(unique_key("Duplicate entry 'a' for key 'uq_products_sku'"), "uq_products_sku");
        assert_eq!(unique_key("Duplicate entry 'a' for key 'products.uq_products_sku'"), "uq_products_sku");
        assert_eq!(unique_key("Duplicate entry 'x' for key 'PRIMARY' for key 'uq_real'"), "uq_real");
    }

    #[test]
    fn what_no_rule_knows_is_kept_whole() {
        let error =
            DieselError::DatabaseError(DatabaseErrorKind::Unknown, Box::new("Data too long for column".to_owned()));
        assert!(
            matches!(classify(error), DbError::Other(DieselError::DatabaseError(_, text)) if text.message().contains("too long"))
        );
        assert!(matches!(classify(DieselError::NotFound), DbError::Other(DieselError::NotFound)));
    }

    #[test]
    fn a_record_that_changed_counts_as_a_deadlock() {
        let message = "Record has changed since last read in table 'orders'".to_owned();
        assert!(matches!(
            classify(DieselError::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message))),
            DbError::Deadlock
        ));
    }
}
