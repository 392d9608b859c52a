//! Connection pool, and the guard that wraps every pooled connection.
//!
//! A future that is dropped during a query leaves the response unread in the socket, and the next user of that
//! connection would receive it. So a connection returns to the pool only after its work has finished without a
//! connection error; otherwise it is closed. `transaction` builds on this.
//!
//! A server restart ends all connections at once. So when one connection is lost, all idle ones are closed too, and
//! work that can safely run twice is retried on a new connection.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool::Runtime;
use deadpool::managed::{QueueMode, TimeoutType, WeakPool};
use diesel::ConnectionError;
use diesel_async::pooled_connection::deadpool::{Hook, HookError, Object, Pool, PoolError};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, PoolError as ManagerError, RecyclingMethod,
};
use diesel_async::{AsyncConnection, AsyncMysqlConnection, SimpleAsyncConnection, TransactionManager};
use futures::FutureExt;
use tokio::time::{timeout, timeout_at};

use crate::connect::{WAIT_TIMEOUT, open_unpooled};
use crate::error::DbError;
use crate::metrics;
use crate::readiness::Readiness;
use crate::settings::DatabaseSettings;

/// Maximum wait for a pooled connection while all are in use.
const WAIT_LIMIT: Duration = Duration::from_secs(5);

/// Time limit for opening a connection.
const OPEN_LIMIT: Duration = Duration::from_secs(2);

/// Time limit of one call of [`Db::run`], or of all attempts of a transaction, including the wait for a connection.
pub const RUN_LIMIT: Duration = Duration::from_secs(10);

/// Time limit for testing an idle connection.
const PING_LIMIT: Duration = Duration::from_millis(500);

/// Idle time after which a connection is tested before use: servers and firewalls close idle connections.
const TRUSTED_IDLE: Duration = Duration::from_secs(30);
const _: () = assert!(TRUSTED_IDLE.as_secs() < WAIT_TIMEOUT as u64, "the server would close trusted connections");

/// Handle to the database: a connection pool and a readiness check, shared within a process. Clones share the pool.
#[derive(Clone)]
pub struct Db {
    pool: Pool<AsyncMysqlConnection>,
    readiness: Arc<Readiness>,
    /// Deadline of the caller.
    until: Option<Instant>,
}

/// `AsyncFn` whose future type can be named, so that bounds can require it to be `Send`.
pub trait SendAsyncFn<A, R>: AsyncFn(A) -> R + Fn(A) -> <Self as SendAsyncFn<A, R>>::Future {
    /// Future returned by a call.
    type Future: Future<Output = R>;
}

impl<F, A, R, Fut> SendAsyncFn<A, R> for F
where
    F: AsyncFn(A) -> R + Fn(A) -> Fut,
    Fut: Future<Output = R>,
{
    type Future = Fut;
}

/// Pool utilisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStatus {
    /// Maximum number of open connections.
    pub max: usize,
    /// Open connections, in use or idle.
    pub open: usize,
    /// Idle connections.
    pub idle: usize,
    /// Tasks waiting for a connection.
    pub waiting: usize,
}

impl Db {
    /// Creates a pool for the database in `settings`. Connections are opened on first use, so this works while the
    /// server is down.
    #[must_use]
    pub fn connect(settings: &DatabaseSettings) -> Self {
        let manager = AsyncDieselConnectionManager::new_with_config(settings.to_string(), manager_config(settings));
        let pool = Pool::builder(manager)
            .max_size(settings.max_connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT_LIMIT))
            .create_timeout(Some(OPEN_LIMIT))
            .pre_recycle(test_if_long_idle())
            // The most recently used connection has the warmest statement cache, here and on the server.
            .queue_mode(QueueMode::Lifo)
            .build();
        match pool {
            Ok(pool) => Self { pool, readiness: Arc::new(Readiness::new(settings.clone())), until: None },
            // The only possible error is a timeout without a runtime, and the runtime is set above.
            Err(error) => unreachable!("{error}"),
        }
    }

    /// Returns a handle to the same pool with the deadline of a caller. No operation through it takes longer, including
    /// waits for connections and locks. The only exception is the wait for the response to COMMIT.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self { until: Some(deadline), ..self.clone() }
    }

    /// Returns the deadline of an operation that starts now.
    #[must_use]
    pub fn run_deadline(&self) -> Instant {
        self.deadline(RUN_LIMIT)
    }

    /// Returns the deadline of an operation that starts now with this time limit.
    pub(crate) fn deadline(&self, limit: Duration) -> Instant {
        let end = Instant::now() + limit;
        self.until.map_or(end, |until| end.min(until))
    }

    /// Runs `work` on a pooled connection and returns its result.
    ///
    /// Use it for reads and for single statements that may safely run twice: if the connection is lost, `work` is run
    /// once more, on a new connection. Use [`Db::transaction`] for a write whose outcome matters: after `Unavailable`
    /// or `Timeout` here, a statement may have taken effect.
    ///
    /// # Errors
    ///
    /// The error of `work`; `Unavailable` if no connection becomes free within 5 seconds, or opening one fails or takes
    /// longer than 2; `Timeout` if everything together exceeds 10 seconds or the deadline of [`Db::until`].
    pub fn run<'a, T: Send + 'a>(
        &'a self,
        work: impl for<'c> AsyncFn(&'c mut AsyncMysqlConnection) -> Result<T, DbError>
        + for<'c> SendAsyncFn<&'c mut AsyncMysqlConnection, Result<T, DbError>, Future: Send>
        + Send
        + Sync
        + 'a,
    ) -> impl Future<Output = Result<T, DbError>> + Send + 'a {
        let run = async move {
            match run_on(self.acquire().await?, &work).await {
                Err(DbError::Unavailable { .. }) => run_on(self.acquire_new().await?, &work).await,
                result => result,
            }
        };
        async move { timeout_at(self.deadline(RUN_LIMIT).into(), run).await.unwrap_or(Err(DbError::Timeout)) }
    }

    /// Returns the utilisation of the pool.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        let status = self.pool.status();
        PoolStatus { max: status.max_size, open: status.size, idle: status.available, waiting: status.waiting }
    }

    /// Returns a weak reference to the pool, which does not keep it open.
    pub(crate) fn weak_pool(&self) -> WeakPool<AsyncDieselConnectionManager<AsyncMysqlConnection>> {
        self.pool.weak()
    }

    pub(crate) fn readiness(&self) -> &Arc<Readiness> {
        &self.readiness
    }

    /// Acquires a connection. Dropping it without `release` closes it.
    pub(crate) async fn acquire(&self) -> Result<PooledConnection, DbError> {
        let started = Instant::now();
        let object = self.pool.get().await;
        metrics::record_wait(started.elapsed(), object.is_ok());
        match object {
            Ok(object) => Ok(PooledConnection { object: Some(object) }),
            Err(error) => Err(DbError::Unavailable { reason: pool_message(error) }),
        }
    }

    /// Acquires a newly opened connection to replace a lost one. Older connections that were released in the meantime
    /// may be lost too, so they are closed.
    pub(crate) async fn acquire_new(&self) -> Result<PooledConnection, DbError> {
        let lost = Instant::now();
        loop {
            let pooled = self.acquire().await?;
            if pooled.opened_after(lost) {
                return Ok(pooled);
            }
        }
    }
}

async fn run_on<T>(
    mut pooled: PooledConnection,
    work: &impl for<'c> SendAsyncFn<&'c mut AsyncMysqlConnection, Result<T, DbError>, Future: Send>,
) -> Result<T, DbError> {
    let result = work(pooled.connection()).await;
    match &result {
        Err(DbError::Unavailable { .. }) => pooled.close_with_idle(),
        Err(error) if error.breaks_connection() => drop(pooled),
        _ => pooled.release(),
    }
    result
}

/// Connection acquired from the pool. Dropping it closes the connection; see the module documentation.
pub(crate) struct PooledConnection {
    object: Option<Object<AsyncMysqlConnection>>,
}

impl PooledConnection {
    /// Returns the connection.
    pub(crate) fn connection(&mut self) -> &mut AsyncMysqlConnection {
        match &mut self.object {
            Some(object) => object,
            None => unreachable!("only `release` and `drop` take the object, and both end the value"),
        }
    }

    /// Returns the connection to the pool. Closes it if a transaction is open on it or failed to end.
    pub(crate) fn release(mut self) {
        if !has_broken_transaction(self.connection()) {
            self.object = None;
        }
    }

    /// Closes a lost connection and all idle ones: the cause, usually a server restart, has most likely ended them too.
    pub(crate) fn close_with_idle(self) {
        if let Some(pool) = self.object.as_ref().and_then(Object::pool) {
            pool.retain(|_, _| false);
        }
    }

    fn opened_after(&self, moment: Instant) -> bool {
        self.object.as_ref().is_some_and(|object| Object::metrics(object).created > moment)
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}

fn has_broken_transaction(connection: &mut AsyncMysqlConnection) -> bool {
    <AsyncMysqlConnection as AsyncConnection>::TransactionManager::is_broken_transaction_manager(connection)
}

fn manager_config(settings: &DatabaseSettings) -> ManagerConfig<AsyncMysqlConnection> {
    let settings = settings.clone();
    let mut config = ManagerConfig::default();
    config.recycling_method = RecyclingMethod::Fast;
    config.custom_setup = Box::new(move |_name| {
        let settings = settings.clone();
        async move { open_unpooled(&settings).await }.boxed()
    });
    config
}

fn test_if_long_idle() -> Hook<AsyncMysqlConnection> {
    Hook::async_fn(|connection: &mut AsyncMysqlConnection, metrics| {
        Box::pin(async move {
            if metrics.last_used() < TRUSTED_IDLE {
                return Ok(());
            }
            match timeout(PING_LIMIT, connection.batch_execute("DO 1")).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(HookError::message(error.to_string())),
                Err(_) => Err(HookError::message("no response on an idle connection")),
            }
        })
    })
}

fn pool_message(error: PoolError) -> String {
    match error {
        PoolError::Backend(ManagerError::ConnectionError(ConnectionError::BadConnection(reason))) => reason,
        PoolError::Timeout(TimeoutType::Create) => {
            format!("no connection opened within {} seconds", OPEN_LIMIT.as_secs())
        }
        PoolError::Timeout(_) => format!("no connection became free within {} seconds", WAIT_LIMIT.as_secs()),
        other => other.to_string(),
    }
}
