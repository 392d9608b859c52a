//! The pool, and the one guard through which every connection is used.
//!
//! A future that is dropped in the middle of a query leaves the response unread in the socket, and the next user of that
//! connection would read it as its own. So a connection is released to the pool only after its user has finished and no
//! failure of the connection was seen; in every other case it is closed. Transactions are built on this in `transaction`.
//!
//! A server that restarts ends all connections at once. So when one turns out to be lost, the idle ones are closed with
//! it, and a user whose work has not begun goes on with a new one.

use std::future::Future;
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

use crate::connect::open_unpooled;
use crate::error::DbError;
use crate::metrics;
use crate::settings::DatabaseSettings;

/// How long a use waits for its turn while all connections are busy.
const WAIT_LIMIT: Duration = Duration::from_secs(5);

/// How long opening a connection may take.
const OPEN_LIMIT: Duration = Duration::from_secs(2);

/// How long one use of the database may take, waiting for a connection included.
pub(crate) const RUN_LIMIT: Duration = Duration::from_secs(10);

/// How long a readiness check may take.
const PING_LIMIT: Duration = Duration::from_millis(500);

/// A connection that was idle for longer is tried before it is used: servers and firewalls close idle connections.
const TRUSTED_IDLE: Duration = Duration::from_secs(30);

/// The database, shared by everything in a process. A clone is the same pool.
#[derive(Clone)]
pub struct Db {
    pool: Pool<AsyncMysqlConnection>,
    /// Deadline of the caller.
    until: Option<Instant>,
}

/// An `AsyncFn` with a name for its future, so that a bound can say that the future moves between threads.
pub trait SendAsyncFn<A, R>: AsyncFn(A) -> R + Fn(A) -> <Self as SendAsyncFn<A, R>>::Future {
    /// What calling it returns.
    type Future: Future<Output = R>;
}

impl<F, A, R, Fut> SendAsyncFn<A, R> for F
where
    F: AsyncFn(A) -> R + Fn(A) -> Fut,
    Fut: Future<Output = R>,
{
    type Future = Fut;
}

/// How busy the pool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStatus {
    /// The most connections that may be open.
    pub max: usize,
    /// Connections that are open, in use or not.
    pub open: usize,
    /// Connections that are open and free.
    pub idle: usize,
    /// Tasks that wait for a connection.
    pub waiting: usize,
}

impl Db {
    /// A pool for the database that `settings` name. Nothing is connected before the first use, so this works while
    /// the server is down.
    #[must_use]
    pub fn connect(settings: &DatabaseSettings) -> Self {
        let manager = AsyncDieselConnectionManager::new_with_config(settings.to_string(), manager_config(settings));
        let pool = Pool::builder(manager)
            .max_size(settings.max_connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT_LIMIT))
            .create_timeout(Some(OPEN_LIMIT))
            .pre_recycle(try_when_long_idle())
            // The one that was used last has the most prepared and the most in its caches, here and at the server.
            .queue_mode(QueueMode::Lifo)
            .build();
        match pool {
            Ok(pool) => Self { pool, until: None },
            // The only error is a time limit without a runtime, and the runtime is named above.
            Err(error) => unreachable!("{error}"),
        }
    }

    /// The same database for a caller with this deadline: no use through this value lasts longer, not even a wait for a
    /// connection or a lock. Only the response to COMMIT is waited for regardless.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self { pool: self.pool.clone(), until: Some(deadline) }
    }

    /// When a use that begins now has to end.
    #[must_use]
    pub fn run_deadline(&self) -> Instant {
        self.deadline(RUN_LIMIT)
    }

    /// When something that begins now and may take so long has to end.
    pub(crate) fn deadline(&self, limit: Duration) -> Instant {
        let end = Instant::now() + limit;
        self.until.map_or(end, |until| end.min(until))
    }

    /// Runs `work` on a pooled connection and returns its result.
    ///
    /// For reads and for single statements that may safely run twice: if the connection turns out to be lost, `work` is
    /// run once more, on a new one. A write whose outcome matters belongs in [`Db::transaction`]: after `Unavailable`
    /// or `Timeout` here, a statement may still have happened.
    ///
    /// # Errors
    ///
    /// What `work` returns; `Unavailable` if no connection is free within 5 seconds or none can be opened within 2;
    /// `Timeout` if all of it together takes longer than 10 seconds, or than [`Db::until`] says.
    pub fn run<'a, T: Send + 'a>(
        &'a self,
        work: impl for<'c> AsyncFn(&'c mut AsyncMysqlConnection) -> Result<T, DbError>
        + for<'c> SendAsyncFn<&'c mut AsyncMysqlConnection, Result<T, DbError>, Future: Send>
        + Send
        + Sync
        + 'a,
    ) -> impl Future<Output = Result<T, DbError>> + Send + 'a {
        let uses = async move {
            match run_on(self.acquire().await?, &work).await {
                Err(DbError::Unavailable { .. }) => run_on(self.acquire_new().await?, &work).await,
                result => result,
            }
        };
        async move { timeout_at(self.deadline(RUN_LIMIT).into(), uses).await.unwrap_or(Err(DbError::Timeout)) }
    }

    /// Asks the server for a sign of life, for a readiness check.
    ///
    /// # Errors
    ///
    /// `Unavailable`, or `Timeout` if there is no answer within 500 milliseconds.
    pub async fn ping(&self) -> Result<(), DbError> {
        let answer = self.run(async |connection| Ok(connection.batch_execute("DO 1").await?));
        timeout(PING_LIMIT, answer).await.unwrap_or(Err(DbError::Timeout))
    }

    /// How busy the pool is.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        let status = self.pool.status();
        PoolStatus { max: status.max_size, open: status.size, idle: status.available, waiting: status.waiting }
    }

    /// The pool, without keeping it open.
    pub(crate) fn weak_pool(&self) -> WeakPool<AsyncDieselConnectionManager<AsyncMysqlConnection>> {
        self.pool.weak()
    }

    /// Acquires a connection, which is closed unless it is released.
    pub(crate) async fn acquire(&self) -> Result<PooledConnection, DbError> {
        let asked = Instant::now();
        let object = self.pool.get().await;
        metrics::waited(asked.elapsed(), object.is_ok());
        match object {
            Ok(object) => Ok(PooledConnection { object: Some(object) }),
            Err(error) => Err(DbError::Unavailable { reason: pool_message(error) }),
        }
    }

    /// Acquires a connection that is opened from now on, to replace one that was lost. Older ones that were released in the
    /// meantime may be lost as well, and are closed.
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

/// A connection acquired from the pool. Dropping it closes the connection: see the module's documentation.
pub(crate) struct PooledConnection {
    object: Option<Object<AsyncMysqlConnection>>,
}

impl PooledConnection {
    /// The connection.
    pub(crate) fn connection(&mut self) -> &mut AsyncMysqlConnection {
        match &mut self.object {
            Some(object) => object,
            None => unreachable!("only `release` and `drop` take the object, and both end the value"),
        }
    }

    /// Returns the connection to the pool, unless a transaction is open on it or could not be ended.
    pub(crate) fn release(mut self) {
        if !has_broken_transaction(self.connection()) {
            self.object = None;
        }
    }

    /// Closes the connection, which the server or the network has ended, and all idle ones: whatever ended it, a restart
    /// as a rule, has most likely ended them too.
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

fn try_when_long_idle() -> Hook<AsyncMysqlConnection> {
    Hook::async_fn(|connection: &mut AsyncMysqlConnection, metrics| {
        Box::pin(async move {
            if metrics.last_used() < TRUSTED_IDLE {
                return Ok(());
            }
            match timeout(PING_LIMIT, connection.batch_execute("DO 1")).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(HookError::message(error.to_string())),
                Err(_) => Err(HookError::message("no answer on an idle connection")),
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
