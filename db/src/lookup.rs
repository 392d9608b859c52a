//! Single rows by their ids, of which those that are asked for at the same time are read by one statement.
//!
//! A trip to the server costs both sides many times what the row costs. Whoever asks while nobody does is answered as fast as
//! without this; the busier it is, the more of them share a trip. A row is never older than the question: nobody joins a
//! statement that was sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use diesel_async::AsyncMysqlConnection;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::error::DbError;
use crate::pool::Db;

/// How long somebody waits for a statement that others share before they send their own: then something is wrong with it, or
/// with its connection, and need not be with theirs.
const PATIENCE: Duration = Duration::from_millis(250);
/// How many rows one statement reads.
const MAX_ROWS: usize = 64;

/// Reads those of the rows with these ids that there are. The number of ids is a power of two, and some may be there twice, so
/// that there are few texts of the statement.
pub type ReadRows<R> =
    for<'c> fn(&'c mut AsyncMysqlConnection, Vec<i64>) -> BoxFuture<'c, Result<Vec<(i64, R)>, DbError>>;

/// Rows of one kind.
pub struct Lookup<R> {
    db: Db,
    read: ReadRows<R>,
    queue: Arc<Mutex<Queue<R>>>,
}

struct Queue<R> {
    waiting: Vec<(i64, Reader<R>)>,
    /// Whether a statement is under way: one at a time, so that as many as may be share the next.
    is_reading: bool,
}

/// Who waits for a row, or for the news that there is none. Where the statement fails they hear nothing.
type Reader<R> = oneshot::Sender<Option<R>>;

impl<R> Clone for Lookup<R> {
    fn clone(&self) -> Self {
        Self { db: self.db.clone(), read: self.read, queue: Arc::clone(&self.queue) }
    }
}

impl<R: Clone + Send + 'static> Lookup<R> {
    /// Nothing is read yet.
    pub fn new(db: Db, read: ReadRows<R>) -> Self {
        Self { db, read, queue: Arc::new(Mutex::new(Queue { waiting: Vec::new(), is_reading: false })) }
    }

    /// The row with this id, if there is one.
    ///
    /// # Errors
    ///
    /// As [`Db::run`].
    pub async fn find(&self, id: i64) -> Result<Option<R>, DbError> {
        let Some(row) = self.wait_if_busy(id) else {
            let _statement = Statement(self.clone());
            return self.read_alone(id).await;
        };
        match timeout(PATIENCE, row).await {
            Ok(Ok(row)) => Ok(row),
            // Why it failed is for each to find out, and to be told.
            Ok(Err(_)) | Err(_) => self.read_alone(id).await,
        }
    }

    /// A place among those who wait; none where a statement may be sent at once, which then counts as sent.
    fn wait_if_busy(&self, id: i64) -> Option<oneshot::Receiver<Option<R>>> {
        let mut queue = self.queue();
        if !queue.is_reading {
            queue.is_reading = true;
            return None;
        }
        let (reader, row) = oneshot::channel();
        queue.waiting.push((id, reader));
        Some(row)
    }

    async fn read_alone(&self, id: i64) -> Result<Option<R>, DbError> {
        let read = self.read;
        let rows = self.db.run(async |connection| read(connection, vec![id]).await).await?;
        Ok(rows.into_iter().next().map(|(_, row)| row))
    }

    /// The statement has ended. Sends the next one, if somebody waits for it.
    fn go_on(&self) {
        let readers: Vec<_> = {
            let mut queue = self.queue();
            // Those who lost their patience are not there any more.
            queue.waiting.retain(|(_, reader)| !reader.is_closed());
            let first = queue.waiting.len().min(MAX_ROWS);
            queue.is_reading = first > 0;
            queue.waiting.drain(..first).collect()
        };
        if !readers.is_empty() {
            let statement = Statement(self.clone());
            tokio::spawn(async move { statement.0.answer(readers).await });
        }
    }

    async fn answer(&self, readers: Vec<(i64, Reader<R>)>) {
        let mut ids: Vec<i64> = readers.iter().map(|(id, _)| *id).collect();
        ids.resize(ids.len().next_power_of_two(), ids[0]);
        let read = self.read;
        let Ok(rows) = self.db.run(async |connection| read(connection, ids.clone()).await).await else { return };
        let rows: BTreeMap<i64, R> = rows.into_iter().collect();
        for (id, reader) in readers {
            // Nobody may be left to hear it.
            let _ = reader.send(rows.get(&id).cloned());
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<R>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The statement that is under way, until it is dropped.
struct Statement<R: Clone + Send + 'static>(Lookup<R>);

impl<R: Clone + Send + 'static> Drop for Statement<R> {
    fn drop(&mut self) {
        self.0.go_on();
    }
}
