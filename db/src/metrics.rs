//! What is counted of the database: the pool, and how transactions end. Nothing is where nobody serves the numbers.

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

/// Says what is counted, and begins with zero where nothing has happened yet: a rate needs a number before the first.
pub fn describe_metrics() {
    describe_gauge!(MAX, "Connections to the database that may be open at most");
    describe_gauge!(CONNECTIONS, "Connections to the database that are open, by state: busy or idle");
    describe_gauge!(WAITING, "Uses of the database that wait for a connection");
    describe_histogram!(WAIT, Unit::Seconds, "How long uses of the database waited for a connection, by outcome");
    describe_counter!(RETRIES, "Transactions that were run again from BEGIN, by cause");
    describe_counter!(
        TRANSACTIONS,
        "Transactions by outcome: committed; refused by the rules; failed, with nothing done; unknown, whether COMMIT \
         happened"
    );
    for cause in ["deadlock", "lock_timeout"] {
        counter!(RETRIES, "cause" => cause).increment(0);
    }
    for outcome in ["committed", "refused", "failed", "unknown"] {
        counter!(TRANSACTIONS, "outcome" => outcome).increment(0);
    }
}

impl Db {
    /// Publishes how busy the pool is, whenever it is called and as long as the pool is there.
    pub fn watch(&self) -> impl Fn() + Send + use<> {
        let pool = self.weak_pool();
        move || {
            if let Some(pool) = pool.upgrade() {
                publish(pool.status());
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a pool has few connections")]
fn publish(status: Status) {
    let Status { max_size, size, available, waiting } = status;
    gauge!(MAX).set(max_size as f64);
    gauge!(CONNECTIONS, "state" => "idle").set(available as f64);
    gauge!(CONNECTIONS, "state" => "busy").set(size.saturating_sub(available) as f64);
    gauge!(WAITING).set(waiting as f64);
}

pub(crate) fn waited(time: Duration, got_one: bool) {
    histogram!(WAIT, "outcome" => if got_one { "served" } else { "failed" }).record(time);
}

/// Counts a transaction that is run again because of `cause`, by [`Db::transaction`] or by its caller.
pub fn count_retry(cause: &DbError) {
    let cause = if matches!(cause, DbError::Deadlock) { "deadlock" } else { "lock_timeout" };
    counter!(RETRIES, "cause" => cause).increment(1);
}

/// A transaction ended: well, or with an error, of the database if it is one.
pub(crate) fn ended<T, E: TransactionError>(result: &Result<T, E>) {
    let outcome = match result.as_ref().map_err(TransactionError::as_db) {
        Ok(_) => "committed",
        Err(Some(DbError::OutcomeUnknown)) => "unknown",
        Err(Some(DbError::Unique { .. } | DbError::ForeignKey { .. } | DbError::Check { .. }) | None) => "refused",
        Err(Some(_)) => "failed",
    };
    counter!(TRANSACTIONS, "outcome" => outcome).increment(1);
}
