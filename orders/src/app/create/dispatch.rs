//! Dispatch of drafts in batches.
//!
//! A transaction holds the lock on a product's row for several round trips, until COMMIT, and all other orders for the
//! product wait. Orders that would wait for each other therefore share one transaction and one COMMIT. No order fails
//! because of another one: if a batch fails because of some of its orders, the others are queued again. If one order
//! may be the cause but the database cannot tell which, all of them are queued again and retried one by one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{iter, mem};

use common_contract::{CustomerId, ProductId};
use db::{Connection, Db, DbError, idempotency};
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::batch::{self, Outcome, Outcomes, Rollback};
use super::draft::Draft;
use super::queue::{Batch, BatchId, Blocker, Entry, Queue, Request};
use crate::app::OrdersError;
use crate::app::idempotent::OrderResponse;
use crate::store::orders;

/// Requests with less time remaining are not dispatched: their deadline would end the transaction of the whole batch.
const MIN_REMAINING: Duration = Duration::from_millis(100);
/// Longest wait for a row lock: the database's lock timeout of 1 s and a margin.
const LOCK_WAIT: Duration = Duration::from_millis(1200);

type CreateResult = Result<OrderResponse, OrdersError>;

/// Creates orders from drafts, in batches. Clones share the queue.
#[derive(Clone)]
pub(crate) struct Dispatcher {
    db: Db,
    key_retention: Duration,
    queue: Arc<Mutex<Queue<Pending>>>,
}

/// A draft with its deadline and the channel for its result.
struct Pending {
    draft: Arc<Draft>,
    deadline: Instant,
    reply: oneshot::Sender<CreateResult>,
}

impl Pending {
    /// Returns the latest time at which it may be dispatched.
    fn latest_dispatch(&self) -> Instant {
        latest_dispatch(self.deadline)
    }

    /// Sends the result, which is discarded if the caller no longer waits.
    fn reply(self, result: CreateResult) {
        let _ = self.reply.send(result);
    }
}

impl Request for Pending {
    fn products(&self) -> impl Iterator<Item = ProductId> {
        self.draft.lines.keys().copied()
    }

    fn key(&self) -> Option<(&str, &str)> {
        self.draft.key()
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn can_wait(&self) -> bool {
        Instant::now() + LOCK_WAIT < self.deadline
    }
}

fn latest_dispatch(deadline: Instant) -> Instant {
    deadline.checked_sub(MIN_REMAINING).unwrap_or(deadline)
}

impl Dispatcher {
    pub(crate) fn new(db: Db, key_retention: Duration) -> Self {
        Self { db, key_retention, queue: Arc::default() }
    }

    /// Creates an order from the draft, in one batch with others, whose outcomes do not affect this one. A batch in
    /// flight is executed to its end even if this future is dropped.
    pub(super) async fn create(&self, draft: Arc<Draft>, deadline: Instant) -> CreateResult {
        let (reply, mut result) = oneshot::channel();
        let ticket = self.queue().push(Pending { draft, deadline, reply });
        self.dispatch();
        match timeout_at(latest_dispatch(deadline).into(), &mut result).await {
            Ok(result) => result.unwrap_or(Err(DbError::OutcomeUnknown.into())),
            Err(_) if self.queue().remove(ticket) => {
                // Other requests may have been waiting for this one only.
                self.dispatch();
                Err(DbError::Timeout.into())
            }
            // In flight: its batch ends by the same deadline, or once COMMIT is answered, and does not queue it again.
            Err(_) => result.await.unwrap_or(Err(DbError::OutcomeUnknown.into())),
        }
    }

    /// Dispatches batches until no more can be admitted.
    fn dispatch(&self) {
        while let Some(Batch { id, entries, blocker }) = self.next_batch() {
            let in_flight = InFlight { dispatcher: self.clone(), id, returned: Vec::new() };
            tokio::spawn(in_flight.execute(entries, blocker));
        }
    }

    fn next_batch(&self) -> Option<Batch<Pending>> {
        self.queue().next_batch()
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Pending>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn commit(&self, batch: &[Entry<Pending>], blocker: Option<&Blocker>) -> Result<Outcomes, Rollback> {
        let drafts = Vec::from_iter(batch.iter().map(|entry| Arc::clone(&entry.request.draft)));
        let work =
            async |connection: &mut Connection| batch::create(connection, &drafts, self.key_retention, blocker).await;
        match (self.db_until_first_deadline(batch).transaction(work).await, drafts.as_slice()) {
            (Err(Rollback::Failed(error)), [only]) => Err(Rollback::Failed(customer_gone(error, only.new.customer_id))),
            (result, _) => result,
        }
    }

    fn db_until_first_deadline(&self, batch: &[Entry<Pending>]) -> Db {
        let deadline = batch.iter().map(|entry| entry.request.deadline).min();
        deadline.map_or_else(|| self.db.clone(), |deadline| self.db.until(deadline))
    }

    /// Returns principal and key of the orders whose keys other transactions hold. Returns an empty list if the query fails.
    async fn held_keys(&self, batch: &[Entry<Pending>]) -> Vec<(String, String)> {
        let keys = batch.iter().filter_map(|entry| Some(entry.request.draft.request_key()?.0));
        let keys = Vec::from_iter(keys);
        let db = self.db_until_first_deadline(batch);
        let held = db.run(async |connection| idempotency::held_by_others(connection, &keys).await);
        held.await.unwrap_or_default()
    }

    /// Returns principal and key of the requests whose order exists already. Returns an empty list if the query fails.
    async fn used_keys(&self, batch: &[Entry<Pending>]) -> Vec<(String, String)> {
        let keys = Vec::from_iter(batch.iter().filter_map(|entry| entry.request.key()));
        let db = self.db_until_first_deadline(batch);
        db.run(async |connection| orders::used_create_keys(connection, &keys).await).await.unwrap_or_default()
    }

    /// Sends the result. After a success, the requests that wait with the same key get a replay, or `KeyReused` if
    /// their content differs.
    fn reply(&self, request: Pending, result: CreateResult) {
        if let (Ok(response), Some(key)) = (&result, request.draft.key()) {
            let followers = self.queue().take_with_key(key);
            for follower in followers {
                let same_request = follower.draft.request_hash() == request.draft.request_hash();
                follower.reply(if same_request { Ok(response.replay()) } else { Err(OrdersError::KeyReused) });
            }
        }
        request.reply(result);
    }
}

/// A batch in flight. Dropping it queues the unfinished orders again and dispatches further batches.
struct InFlight {
    dispatcher: Dispatcher,
    id: BatchId,
    returned: Vec<Entry<Pending>>,
}

impl InFlight {
    async fn execute(mut self, batch: Vec<Entry<Pending>>, blocker: Option<Blocker>) {
        // An order that waited long for its turn tries once more to acquire its key, but cannot wait for it.
        let can_wait =
            |blocker: &Blocker| *blocker != Blocker::Key || batch.iter().all(|entry| entry.request.can_wait());
        let blocker = blocker.filter(can_wait);
        let result = self.dispatcher.commit(&batch, blocker.as_ref()).await;
        match result {
            Ok(outcomes) | Err(Rollback::Empty(outcomes)) => self.settle(batch, outcomes),
            // The orders wait for the same rows again, behind other retries, each until its own deadline.
            Err(Rollback::ProductsLocked(products)) => {
                db::count_retry(&DbError::LockTimeout);
                let blocked = |entry: Entry<Pending>| entry.blocked_by(Blocker::Products(products.clone()));
                self.returned.extend(batch.into_iter().map(blocked));
            }
            Err(Rollback::KeysHeld) if batch.len() == 1 => {
                let outcome = batch.iter().map(key_held).collect::<Outcomes>();
                self.settle(batch, outcome);
            }
            Err(Rollback::KeysHeld) => {
                let held = self.dispatcher.held_keys(&batch).await;
                self.set_apart(batch, &held, key_held);
            }
            Err(Rollback::Failed(error)) if batch.len() == 1 => self.settle(batch, [Outcome::Settled(Err(error))]),
            Err(Rollback::Failed(OrdersError::Database(DbError::Unique { constraint })))
                if constraint == orders::UNIQUE_CREATE_KEY =>
            {
                let used = self.dispatcher.used_keys(&batch).await;
                let key_used = || DbError::Unique { constraint: constraint.clone() };
                self.set_apart(batch, &used, |_| Outcome::Settled(Err(key_used().into())));
            }
            Err(Rollback::Failed(error)) => match shared_by_all(&error) {
                Some(error) => self.settle(batch, iter::repeat_with(|| Outcome::Settled(Err(error())))),
                // One of the orders may be the cause.
                None => self.returned.extend(batch.into_iter().map(Entry::alone)),
            },
        }
    }

    /// Sets the orders with these keys, which made their batch fail, apart with this outcome, and queues the others
    /// again. If there are none, any order may be the cause.
    fn set_apart(
        &mut self,
        batch: Vec<Entry<Pending>>,
        keys: &[(String, String)],
        outcome: impl Fn(&Entry<Pending>) -> Outcome,
    ) {
        let has_key = |entry: &Entry<Pending>| {
            let key = entry.request.key();
            keys.iter().any(|(principal, of_cause)| key == Some((principal, of_cause)))
        };
        let (causes, others): (Vec<_>, Vec<_>) = batch.into_iter().partition(has_key);
        if causes.is_empty() {
            self.returned.extend(others.into_iter().map(Entry::alone));
        } else {
            let outcomes = Vec::from_iter(causes.iter().map(outcome));
            self.settle(causes, outcomes);
            self.returned.extend(others);
        }
    }

    fn settle(&mut self, batch: Vec<Entry<Pending>>, outcomes: impl IntoIterator<Item = Outcome>) {
        for (entry, outcome) in batch.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Settled(result) => self.dispatcher.reply(entry.request, result),
                Outcome::Blocked(blocker) => self.returned.push(entry.blocked_by(blocker)),
            }
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut queue = self.dispatcher.queue();
        // Decided under the queue's lock: a request past its latest dispatch may already have looked for itself in the
        // queue. It would not do so again, so it gets its result here.
        let now = Instant::now();
        let returned = mem::take(&mut self.returned).into_iter();
        let (returned, late): (Vec<_>, Vec<_>) = returned.partition(|entry| now < entry.request.latest_dispatch());
        queue.finish(self.id, returned);
        drop(queue);
        for entry in late {
            entry.request.reply(Err(DbError::Timeout.into()));
        }
        self.dispatcher.dispatch();
    }
}

/// Returns the outcome of an order whose key another transaction holds. An order that has already waited for the key
/// may not have the time to wait again.
fn key_held(entry: &Entry<Pending>) -> Outcome {
    if entry.request.can_wait() {
        Outcome::Blocked(Blocker::Key)
    } else {
        Outcome::Settled(Err(DbError::KeyInProgress.into()))
    }
}

/// Returns a constructor of the error for each order of a batch, or `None` if a single order may have caused it.
fn shared_by_all(error: &OrdersError) -> Option<impl Fn() -> OrdersError> {
    let reason = match error {
        OrdersError::Database(DbError::OutcomeUnknown) => None,
        OrdersError::Database(DbError::Unavailable { reason }) => Some(reason.clone()),
        _ => return None,
    };
    Some(move || match &reason {
        None => DbError::OutcomeUnknown.into(),
        Some(reason) => DbError::Unavailable { reason: reason.clone() }.into(),
    })
}

/// Converts a violation of the customer's foreign key: the customers service knew the customer, but the row does not
/// exist.
fn customer_gone(error: OrdersError, id: CustomerId) -> OrdersError {
    match error {
        OrdersError::Database(DbError::ForeignKey { constraint }) if constraint == orders::CUSTOMER_FOREIGN_KEY => {
            OrdersError::CustomerNotFound(id)
        }
        error => error,
    }
}
