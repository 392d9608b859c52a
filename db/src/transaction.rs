//! Transactions with retries after deadlocks, and detection of ambiguous commits.
//!
//! BEGIN and COMMIT are sent explicitly instead of with `AsyncConnection::transaction`, because a failure at COMMIT
//! must be distinguished from a failure before it.

use std::future::Future;
use std::time::Duration;

use diesel_async::{AsyncConnection, AsyncMysqlConnection, TransactionManager};
use rand::Rng;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::error::DbError;
use crate::metrics;
use crate::pool::{Db, PooledConnection, RUN_LIMIT, SendAsyncFn};

type Manager = <AsyncMysqlConnection as AsyncConnection>::TransactionManager;

/// Maximum number of retries after a deadlock or lock timeout.
const MAX_RETRIES: u32 = 5;

/// Upper bound of the backoff before the first retry. Doubles with each retry.
const BASE_DELAY: Duration = Duration::from_millis(10);

/// Time limit for the response to COMMIT or ROLLBACK. Abandoning COMMIT early would make a slow success ambiguous;
/// abandoning ROLLBACK holds the locks until the server sees the connection closed. The caller's deadline applies to
/// ROLLBACK, not to COMMIT.
pub const END_LIMIT: Duration = Duration::from_secs(5);

/// Error type of a transaction closure: a service's own error that can wrap a [`DbError`].
pub trait TransactionError: From<DbError> {
    /// Returns the wrapped database error, if any, which determines whether the transaction is retried.
    fn as_db(&self) -> Option<&DbError>;
}

impl TransactionError for DbError {
    fn as_db(&self) -> Option<&DbError> {
        Some(self)
    }
}

impl Db {
    /// Runs `work` in a transaction: commits if it returns `Ok`, rolls back if it returns `Err`.
    ///
    /// After a deadlock or lock timeout, the whole transaction is retried from BEGIN, at most 5 times, so `work` must
    /// have no effect outside the database. A connection that is lost at BEGIN is replaced. A connection that is lost
    /// later is not, because statements may already have been executed. The isolation level is READ COMMITTED.
    ///
    /// All attempts together take at most 10 seconds, including connection waits and backoff. The final COMMIT or
    /// ROLLBACK may take another 5 seconds. The deadline of [`Db::until`] applies to the attempts and to ROLLBACK, but
    /// not to COMMIT.
    ///
    /// # Errors
    ///
    /// Returns the error of `work`; `Unavailable` or `Timeout` if nothing was committed; `Deadlock` or `LockTimeout` if
    /// the last attempt failed with that error; `OutcomeUnknown` if COMMIT was sent but not acknowledged.
    #[expect(clippy::manual_async_fn, reason = "an async fn cannot declare its future Send")]
    pub fn transaction<'a, T, E>(
        &'a self,
        work: impl for<'c> AsyncFn(&'c mut AsyncMysqlConnection) -> Result<T, E>
        + for<'c> SendAsyncFn<&'c mut AsyncMysqlConnection, Result<T, E>, Future: Send>
        + Send
        + Sync
        + 'a,
    ) -> impl Future<Output = Result<T, E>> + Send + 'a
    where
        T: Send + 'a,
        E: TransactionError + Send + 'a,
    {
        async move {
            let deadline = self.deadline(RUN_LIMIT).into();
            let mut retries = 0;
            loop {
                let result = self.attempt(deadline, &work).await;
                let retry = matches!(&result, Err(error) if error.as_db().is_some_and(DbError::is_retryable));
                let next = Instant::now() + backoff(retries);
                if !retry || retries == MAX_RETRIES || next >= deadline {
                    metrics::count_transaction(&result);
                    if retries > 0 {
                        tracing::debug!(retries, succeeded = result.is_ok(), "transaction was retried");
                    }
                    return result;
                }
                if let Some(cause) = result.err().as_ref().and_then(TransactionError::as_db) {
                    metrics::count_retry(cause);
                }
                sleep_until(next).await;
                retries += 1;
            }
        }
    }

    async fn attempt<T, E: TransactionError>(
        &self,
        deadline: Instant,
        work: &impl for<'c> SendAsyncFn<&'c mut AsyncMysqlConnection, Result<T, E>, Future: Send>,
    ) -> Result<T, E> {
        let mut pooled = timeout_at(deadline, self.begin()).await.unwrap_or(Err(DbError::Timeout))?;
        // An early return drops and thereby closes the connection, and the server rolls back the transaction.
        match timeout_at(deadline, work(pooled.connection())).await {
            Err(_) => Err(DbError::Timeout.into()),
            Ok(Ok(value)) => {
                commit(pooled).await?;
                Ok(value)
            }
            Ok(Err(error)) => {
                // Always roll back the transaction, because after a lock timeout the server rolls back only the
                // statement.
                rollback(pooled, self.deadline(END_LIMIT).into()).await;
                Err(error)
            }
        }
    }

    /// Acquires a connection and begins a transaction on it.
    async fn begin(&self) -> Result<PooledConnection, DbError> {
        match begin_on(self.acquire().await?).await {
            Err(DbError::Unavailable { .. }) => begin_on(self.acquire_new().await?).await,
            result => result,
        }
    }
}

async fn begin_on(mut pooled: PooledConnection) -> Result<PooledConnection, DbError> {
    match Manager::begin_transaction(pooled.connection()).await.map_err(DbError::from) {
        Ok(()) => Ok(pooled),
        Err(error) => {
            if matches!(error, DbError::Unavailable { .. }) {
                pooled.close_with_idle();
            }
            Err(error)
        }
    }
}

/// Commits the transaction. A deadlock means that nothing was committed; after any other failure, the outcome is
/// unknown.
async fn commit(mut pooled: PooledConnection) -> Result<(), DbError> {
    match timeout(END_LIMIT, Manager::commit_transaction(pooled.connection())).await {
        Ok(Ok(())) => {
            pooled.release();
            Ok(())
        }
        Ok(Err(error)) => match DbError::from(error) {
            DbError::Deadlock => Err(DbError::Deadlock),
            error => {
                tracing::warn!(%error, "COMMIT not acknowledged; outcome unknown");
                pooled.close_with_idle();
                Err(DbError::OutcomeUnknown)
            }
        },
        Err(_) => Err(DbError::OutcomeUnknown),
    }
}

async fn rollback(mut pooled: PooledConnection, deadline: Instant) {
    match timeout_at(deadline, Manager::rollback_transaction(pooled.connection())).await {
        Ok(Ok(())) => pooled.release(),
        Ok(Err(_)) => pooled.close_with_idle(),
        Err(_) => {}
    }
}

/// Exponential backoff with full jitter.
fn backoff(retries: u32) -> Duration {
    let limit = BASE_DELAY * 2_u32.pow(retries);
    rand::rng().random_range(Duration::ZERO..limit)
}
