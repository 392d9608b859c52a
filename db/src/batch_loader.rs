//! Loads single rows by their keys, with one statement for those that are requested at the same time.
//!
//! A round trip costs both sides many times what the row costs. A request that finds no other under way is as fast as
//! without this; the busier it is, the more requests share a round trip. A row is never older than its request: no
//! request joins a statement that was sent before it.

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

/// How long a request waits for a shared statement before it sends its own: something may be wrong with that statement or
/// its connection.
const MAX_WAIT: Duration = Duration::from_millis(250);
/// Rows that one statement reads at most.
const MAX_ROWS: usize = 64;

/// Reads those of the rows with these keys that exist. The number of keys is a power of two, and some may be there twice,
/// so that there are few texts of the statement.
pub type ReadRows<K, R> =
    for<'c> fn(&'c mut AsyncMysqlConnection, Vec<K>) -> BoxFuture<'c, Result<Vec<(K, R)>, DbError>>;

/// Key of a row.
pub trait Key: Clone + Ord + Send + Sync + 'static {}

impl<K: Clone + Ord + Send + Sync + 'static> Key for K {}

/// A row, cloned for each request for it.
pub trait Row: Clone + Send + 'static {}

impl<R: Clone + Send + 'static> Row for R {}

/// Batch loader for rows of one kind. A clone shares its statements.
pub struct BatchLoader<K, R> {
    /// With the deadline of the caller, which shared statements do not have.
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
    /// Whether a statement is in flight: one at a time, so that as many requests as possible share the next.
    is_reading: bool,
}

/// Receives the row, if it exists. Dropped when the statement fails.
type Waiter<R> = oneshot::Sender<Option<R>>;

impl<K, R> Clone for BatchLoader<K, R> {
    fn clone(&self) -> Self {
        Self { db: self.db.clone(), batches: Arc::clone(&self.batches) }
    }
}

impl<K: Key, R: Row> BatchLoader<K, R> {
    /// A loader that reads rows with `read`.
    pub fn new(db: Db, read: ReadRows<K, R>) -> Self {
        let queue = Mutex::new(Queue { waiting: Vec::new(), is_reading: false });
        Self { db: db.clone(), batches: Arc::new(Batches { db, read, queue }) }
    }

    /// The same loader for a caller with this deadline, as [`Db::until`].
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self { db: self.db.until(deadline), batches: Arc::clone(&self.batches) }
    }

    /// Returns the row with this key, if it exists.
    ///
    /// # Errors
    ///
    /// As [`Db::run`].
    pub async fn load_one(&self, key: K) -> Result<Option<R>, DbError> {
        let Some(row) = self.batches.wait_if_busy(&key) else {
            let _in_flight = InFlight(Arc::clone(&self.batches));
            return self.read_alone(key).await;
        };
        match timeout_at(self.db.deadline(MAX_WAIT).into(), row).await {
            Ok(Ok(row)) => Ok(row),
            // Each request meets and reports its own failure.
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
    /// Joins the queue; `None` where no statement is in flight, and the caller's counts as such from now on.
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

    /// Sends the next statement after one has ended, if requests wait for it.
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
            // It may have timed out.
            let _ = waiter.send(rows.get(&key).cloned());
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<K, R>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The statement in flight. Its drop sends the next one.
struct InFlight<K: Key, R: Row>(Arc<Batches<K, R>>);

impl<K: Key, R: Row> Drop for InFlight<K, R> {
    fn drop(&mut self) {
        self.0.read_next();
    }
}
