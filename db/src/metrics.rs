//! Connection pool and transaction metrics. Nothing is recorded if no recorder is installed.

use std::time::Duration;

use deadpool::managed::Status;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::error::DbError;
use crate::pool::Db;
use crate::transaction::TransactionError;

const MAX: &str = "db_pool_connections_max";
const CONNECTIONS: &str = "db_pool_connections";
const WAITING: &str = "db_pool_waiting";
const WAIT: &str = "db_pool_wait_seconds";
const RETRIES: &str = "db_transaction_retries_total";
const TRANSACTIONS: &str = "db_transactions_total";
const CHECKS: &str = "db_readiness_checks_total";

/// Registers metric descriptions, and initialises counters to zero so that rates include the first increment.
pub fn describe_metrics() {
    describe_gauge!(MAX, "Maximum number of open database connections");
    describe_gauge!(CONNECTIONS, "Open database connections by state: busy or idle");
    describe_gauge!(WAITING, "Tasks waiting for a database connection");
    describe_histogram!(WAIT, Unit::Seconds, "Wait time for a database connection by outcome: served or failed");
    describe_counter!(RETRIES, "Transaction retries by cause: deadlock or lock_timeout");
    describe_counter!(
        TRANSACTIONS,
        "Transactions by outcome: committed; refused (constraint or application error, rolled back); failed (database \
         error, nothing committed); unknown (COMMIT not acknowledged)"
    );
    describe_counter!(CHECKS, "Readiness checks by outcome: writable, or failed (unreachable, too slow or read-only)");
    for cause in ["deadlock", "lock_timeout"] {
        counter!(RETRIES, "cause" => cause).increment(0);
    }
    for outcome in ["committed", "refused", "failed", "unknown"] {
        counter!(TRANSACTIONS, "outcome" => outcome).increment(0);
    }
    for outcome in ["writable", "failed"] {
        counter!(CHECKS, "outcome" => outcome).increment(0);
    }
}

impl Db {
    /// Returns a function that updates the pool gauges. The function does nothing after the pool is dropped.
    pub fn watch(&self) -> impl Fn() + Send + use<> {
        let pool = self.weak_pool();
        move || {
            if let Some(pool) = pool.upgrade() {
                publish(pool.status());
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a pool has at most 1000 connections")]
fn publish(status: Status) {
    let Status { max_size, size, available, waiting } = status;
    gauge!(MAX).set(max_size as f64);
    gauge!(CONNECTIONS, "state" => "idle").set(available as f64);
    gauge!(CONNECTIONS, "state" => "busy").set(size.saturating_sub(available) as f64);
    gauge!(WAITING).set(waiting as f64);
}

/// Records the wait for a connection, and whether one was acquired.
pub(crate) fn record_wait(time: Duration, is_acquired: bool) {
    histogram!(WAIT, "outcome" => if is_acquired { "served" } else { "failed" }).record(time);
}

/// Counts a transaction retry that `cause` made necessary, whether by [`Db::transaction`] or by its caller.
pub fn count_retry(cause: &DbError) {
    let cause = if matches!(cause, DbError::Deadlock) { "deadlock" } else { "lock_timeout" };
    counter!(RETRIES, "cause" => cause).increment(1);
}

/// Counts a finished transaction by outcome.
pub(crate) fn count_transaction<T, E: TransactionError>(result: &Result<T, E>) {
    let outcome = match result.as_ref().map_err(TransactionError::as_db) {
        Ok(_) => "committed",
        Err(Some(DbError::OutcomeUnknown)) => "unknown",
        Err(Some(DbError::Unique { .. } | DbError::ForeignKey { .. } | DbError::Check { .. }) | None) => "refused",
        Err(Some(_)) => "failed",
    };
    counter!(TRANSACTIONS, "outcome" => outcome).increment(1);
}

/// Counts a readiness check.
pub(crate) fn count_readiness_check(is_writable: bool) {
    counter!(CHECKS, "outcome" => if is_writable { "writable" } else { "failed" }).increment(1);
}
