//! Single rows by their keys, of which those that are asked for at the same time are read by one statement.
//!
//! A trip to the server costs both sides many times what the row costs. Whoever asks while nobody does is answered as fast as
//! without this; the busier it is, the more of them share a trip. A row is never older than the question: nobody joins a
//! statement that was sent.

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

/// How long somebody waits for a statement that others share before they send their own: then something is wrong with it, or
/// with its connection, and need not be with theirs.
const PATIENCE: Duration = Duration::from_millis(250);
/// How many rows one statement reads.
const MAX_ROWS: usize = 64;

/// Reads those of the rows with these keys that there are. The number of keys is a power of two, and some may be there twice,
/// so that there are few texts of the statement.
pub type ReadRows<K, R> =
    for<'c> fn(&'c mut AsyncMysqlConnection, Vec<K>) -> BoxFuture<'c, Result<Vec<(K, R)>, DbError>>;

/// What a row is found by.
pub trait Key: Clone + Ord + Send + Sync + 'static {}

impl<K: Clone + Ord + Send + Sync + 'static> Key for K {}

/// What is read: several may have asked for it.
pub trait Row: Clone + Send + 'static {}

impl<R: Clone + Send + 'static> Row for R {}

/// Rows of one kind. A clone shares its statements.
pub struct Lookup<K, R> {
    /// For whoever asks. Statements that others share know nothing of their limits.
    db: Db,
    rows: Arc<Rows<K, R>>,
}

struct Rows<K, R> {
    db: Db,
    read: ReadRows<K, R>,
    queue: Mutex<Queue<K, R>>,
}

struct Queue<K, R> {
    waiting: Vec<(K, Reader<R>)>,
    /// Whether a statement is under way: one at a time, so that as many as may be share the next.
    is_reading: bool,
}

/// Who waits for a row, or for the news that there is none. Where the statement fails they hear nothing.
type Reader<R> = oneshot::Sender<Option<R>>;

impl<K, R> Clone for Lookup<K, R> {
    fn clone(&self) -> Self {
        Self { db: self.db.clone(), rows: Arc::clone(&self.rows) }
    }
}

impl<K: Key, R: Row> Lookup<K, R> {
    /// Nothing is read yet.
    pub fn new(db: Db, read: ReadRows<K, R>) -> Self {
        let queue = Mutex::new(Queue { waiting: Vec::new(), is_reading: false });
        Self { db: db.clone(), rows: Arc::new(Rows { db, read, queue }) }
    }

    /// The same rows for somebody who goes away at `deadline`, as [`Db::until`].
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self { db: self.db.until(deadline), rows: Arc::clone(&self.rows) }
    }

    /// The row with this key, if there is one.
    ///
    /// # Errors
    ///
    /// As [`Db::run`].
    pub async fn find(&self, key: K) -> Result<Option<R>, DbError> {
        let Some(row) = self.rows.wait_if_busy(&key) else {
            let _statement = Statement(Arc::clone(&self.rows));
            return self.read_alone(key).await;
        };
        match timeout_at(self.db.deadline(PATIENCE).into(), row).await {
            Ok(Ok(row)) => Ok(row),
            // Why it failed is for each to find out, and to be told.
            Ok(Err(_)) | Err(_) => self.read_alone(key).await,
        }
    }

    async fn read_alone(&self, key: K) -> Result<Option<R>, DbError> {
        let read = self.rows.read;
        let rows = self.db.run(async |connection| read(connection, vec![key.clone()]).await).await?;
        Ok(rows.into_iter().next().map(|(_, row)| row))
    }
}

impl<K: Key, R: Row> Rows<K, R> {
    /// A place among those who wait; none where a statement may be sent at once, which then counts as sent.
    fn wait_if_busy(&self, key: &K) -> Option<oneshot::Receiver<Option<R>>> {
        let mut queue = self.queue();
        if !queue.is_reading {
            queue.is_reading = true;
            return None;
        }
        let (reader, row) = oneshot::channel();
        queue.waiting.push((key.clone(), reader));
        Some(row)
    }

    /// The statement has ended. Sends the next one, if somebody waits for it.
    fn go_on(self: &Arc<Self>) {
        let readers: Vec<_> = {
            let mut queue = self.queue();
            // Those who lost their patience are not there any more.
            queue.waiting.retain(|(_, reader)| !reader.is_closed());
            let first = queue.waiting.len().min(MAX_ROWS);
            queue.is_reading = first > 0;
            queue.waiting.drain(..first).collect()
        };
        if !readers.is_empty() {
            let statement = Statement(Arc::clone(self));
            tokio::spawn(async move { statement.0.answer(readers).await });
        }
    }

    async fn answer(&self, readers: Vec<(K, Reader<R>)>) {
        let keys = padded(readers.iter().map(|(key, _)| key.clone()).collect());
        let read = self.read;
        let Ok(rows) = self.db.run(async |connection| read(connection, keys.clone()).await).await else { return };
        let rows: BTreeMap<K, R> = rows.into_iter().collect();
        for (key, reader) in readers {
            // Nobody may be left to hear it.
            let _ = reader.send(rows.get(&key).cloned());
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<K, R>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The statement that is under way, until it is dropped.
struct Statement<K: Key, R: Row>(Arc<Rows<K, R>>);

impl<K: Key, R: Row> Drop for Statement<K, R> {
    fn drop(&mut self) {
        self.0.go_on();
    }
}
