//! Transactions that are run again after a deadlock, and that know when their outcome is unknown.
//!
//! BEGIN and COMMIT are sent here one by one rather than by `AsyncConnection::transaction`, because a failure at COMMIT
//! means something else than a failure before it.

use std::future::Future;
use std::time::Duration;

use diesel_async::{AsyncConnection, AsyncMysqlConnection, TransactionManager};
use rand::Rng;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::error::DbError;
use crate::metrics;
use crate::pool::{Db, PooledConnection, RUN_LIMIT, SendAsyncFn};

type Manager = <AsyncMysqlConnection as AsyncConnection>::TransactionManager;

/// How often a transaction is run again after a deadlock or a lock that was not to be had.
const MAX_RETRIES: u32 = 5;

/// The longest backoff before the first retry; it doubles with each one.
const BASE_DELAY: Duration = Duration::from_millis(10);

/// How long the response to COMMIT or ROLLBACK is waited for. Giving up on COMMIT early would make the outcome of a slow
/// success unknown, and giving up on ROLLBACK would keep the locks until the server sees the connection closed; still, a
/// caller with a deadline waits for ROLLBACK no longer than that.
const END_LIMIT: Duration = Duration::from_secs(5);

/// The error of a closure that runs in a transaction: the service's own, with the database's inside.
pub trait TransactionError: From<DbError> {
    /// The database error in this one, if that is what it is. Decides whether the transaction is run again.
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
    /// After a deadlock or a lock timeout everything is run again from BEGIN, at most 5 times, so `work` must have no
    /// effect outside the database. A connection that is lost before BEGIN is replaced; one that is lost later is not,
    /// as it is unknown what the server had done. Isolation is READ COMMITTED.
    ///
    /// All attempts together have 10 seconds, waiting for a connection and the backoff between attempts included. Ending
    /// the last of them, by COMMIT or ROLLBACK, may take 5 seconds more. What [`Db::until`] says ends both the attempts
    /// and ROLLBACK, but not COMMIT.
    ///
    /// # Errors
    ///
    /// What `work` returns, and from the database: `Unavailable` or `Timeout` when nothing was committed, `Deadlock` or
    /// `LockTimeout` when that was so at the last attempt, `OutcomeUnknown` when COMMIT was sent and its answer never
    /// came.
    #[expect(clippy::manual_async_fn, reason = "an async fn cannot promise a future that is Send")]
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
                    metrics::ended(&result);
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
        // An early return drops the connection, which closes it, which rolls back.
        match timeout_at(deadline, work(pooled.connection())).await {
            Err(_) => Err(DbError::Timeout.into()),
            Ok(Ok(value)) => {
                commit(pooled).await?;
                Ok(value)
            }
            Ok(Err(error)) => {
                // A lock timeout rolls back only its statement, so the rest is rolled back here in every case.
                rollback(pooled, self.deadline(END_LIMIT).into()).await;
                Err(error)
            }
        }
    }

    /// A connection with an open transaction.
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

/// Only a deadlock proves that nothing was committed. After any other failure of COMMIT, the outcome is unknown.
async fn commit(mut pooled: PooledConnection) -> Result<(), DbError> {
    match timeout(END_LIMIT, Manager::commit_transaction(pooled.connection())).await {
        Ok(Ok(())) => {
            pooled.release();
            Ok(())
        }
        Ok(Err(error)) => match DbError::from(error) {
            DbError::Deadlock => Err(DbError::Deadlock),
            error => {
                tracing::warn!(%error, "COMMIT failed");
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
