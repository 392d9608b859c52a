//! Batch loader: reads rows by key and combines concurrent requests into one statement.
//!
//! A round trip is much more expensive for the client and the server than reading the row. If no statement is in
//! flight, a request sends its own statement immediately; requests that arrive in the meantime share the next
//! statement. A request never joins a statement that has already been sent, so a returned row is never older than its
//! request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel_async::AsyncMysqlConnection;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::cached::padded;
use crate::error::DbError;
use crate::pool::Db;

/// Maximum wait for a shared statement. After that, a request sends its own statement, in case the shared one or its
/// connection is stuck.
const MAX_WAIT: Duration = Duration::from_millis(250);
/// Maximum number of keys per statement.
const MAX_ROWS: usize = 64;

/// Function that reads the existing rows for the given keys. The number of keys is a power of two and keys may repeat,
/// so that there are few distinct statement texts to prepare.
pub type ReadRows<K, R> =
    for<'c> fn(&'c mut AsyncMysqlConnection, Vec<K>) -> BoxFuture<'c, Result<Vec<(K, R)>, DbError>>;

/// Key of a row.
pub trait Key: Clone + Ord + Send + Sync + 'static {}

impl<K: Clone + Ord + Send + Sync + 'static> Key for K {}

/// Row, cloned for each request.
pub trait Row: Clone + Send + 'static {}

impl<R: Clone + Send + 'static> Row for R {}

/// Batch loader for rows of one kind. Clones share statements.
pub struct BatchLoader<K, R> {
    /// Pool with the caller's deadline. Shared statements use `Batches::db`, which has no deadline.
    db: Db,
    batches: Arc<Batches<K, R>>,
}

struct Batches<K, R> {
    db: Db,
    read: ReadRows<K, R>,
    queue: Mutex<Queue<K, R>>,
}

struct Queue<K, R> {
    waiting: Vec<(K, Waiter<R>)>,
    /// Whether a statement is in flight. At most one is in flight at a time, so that as many requests as possible share
    /// the next one.
    is_reading: bool,
}

/// Channel that sends the row, if it exists, to a waiting request. Dropped if the statement fails.
type Waiter<R> = oneshot::Sender<Option<R>>;

impl<K, R> Clone for BatchLoader<K, R> {
    fn clone(&self) -> Self {
        Self { db: self.db.clone(), batches: Arc::clone(&self.batches) }
    }
}

impl<K: Key, R: Row> BatchLoader<K, R> {
    /// Creates a loader that reads rows with `read`.
    pub fn new(db: Db, read: ReadRows<K, R>) -> Self {
        let queue = Mutex::new(Queue { waiting: Vec::new(), is_reading: false });
        Self { db: db.clone(), batches: Arc::new(Batches { db, read, queue }) }
    }

    /// Returns this loader with a caller's deadline, like [`Db::until`].
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self { db: self.db.until(deadline), batches: Arc::clone(&self.batches) }
    }

    /// Returns the row with this key, if it exists.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`Db::run`].
    pub async fn load_one(&self, key: K) -> Result<Option<R>, DbError> {
        let Some(row) = self.batches.wait_if_busy(&key) else {
            let _in_flight = InFlight(Arc::clone(&self.batches));
            return self.read_alone(key).await;
        };
        match timeout_at(self.db.deadline(MAX_WAIT).into(), row).await {
            Ok(Ok(row)) => Ok(row),
            // After a failure or timeout, each request sends its own statement and reports its own error.
            Ok(Err(_)) | Err(_) => self.read_alone(key).await,
        }
    }

    async fn read_alone(&self, key: K) -> Result<Option<R>, DbError> {
        let read = self.batches.read;
        let rows = self.db.run(async |connection| read(connection, vec![key.clone()]).await).await?;
        Ok(rows.into_iter().next().map(|(_, row)| row))
    }
}

impl<K: Key, R: Row> Batches<K, R> {
    /// Adds the key to the queue if a statement is in flight. Otherwise, returns `None`, and the caller must send a
    /// statement.
    fn wait_if_busy(&self, key: &K) -> Option<oneshot::Receiver<Option<R>>> {
        let mut queue = self.queue();
        if !queue.is_reading {
            queue.is_reading = true;
            return None;
        }
        let (waiter, row) = oneshot::channel();
        queue.waiting.push((key.clone(), waiter));
        Some(row)
    }

    /// Sends the next statement if requests are queued. Called when a statement ends.
    fn read_next(self: &Arc<Self>) {
        let waiters: Vec<_> = {
            let mut queue = self.queue();
            // Drop waiters that have timed out.
            queue.waiting.retain(|(_, waiter)| !waiter.is_closed());
            let first = queue.waiting.len().min(MAX_ROWS);
            queue.is_reading = first > 0;
            queue.waiting.drain(..first).collect()
        };
        if !waiters.is_empty() {
            let in_flight = InFlight(Arc::clone(self));
            tokio::spawn(async move { in_flight.0.read_for(waiters).await });
        }
    }

    async fn read_for(&self, waiters: Vec<(K, Waiter<R>)>) {
        let keys = padded(waiters.iter().map(|(key, _)| key.clone()).collect());
        let read = self.read;
        let Ok(rows) = self.db.run(async |connection| read(connection, keys.clone()).await).await else { return };
        let rows: BTreeMap<K, R> = rows.into_iter().collect();
        for (key, waiter) in waiters {
            // Fails if the request has timed out.
            let _ = waiter.send(rows.get(&key).cloned());
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<K, R>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Guard for the statement in flight. Dropping it sends the next one.
struct InFlight<K: Key, R: Row>(Arc<Batches<K, R>>);

impl<K: Key, R: Row> Drop for InFlight<K, R> {
    fn drop(&mut self) {
        self.0.read_next();
    }
}
