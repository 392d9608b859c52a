//! Admission queue for order batches.
//!
//! Requests for the same product wait for each other here instead of in the database. A product is claimed by one batch
//! at a time, and the next batch takes the requests that have arrived in the meantime. The queue uses neither a clock
//! nor the database.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::mem;

use common_contract::ProductId;

/// Maximum number of batches in flight that do not wait for locked rows. With fewer, more orders share a COMMIT; with
/// more, a slow batch delays fewer orders.
const MAX_RUNNING: usize = 4;
/// Maximum number of batches in flight that wait for locked rows. It leaves connections for everything else.
const MAX_WAITING: usize = 4;
/// Maximum number of orders in a batch. A larger batch would delay its first order too long.
const MAX_ORDERS: usize = 32;

/// A request that can be queued.
pub(super) trait Request {
    /// Returns the products whose rows it locks, in ascending order.
    fn products(&self) -> impl Iterator<Item = ProductId>;

    /// Returns its principal and idempotency key.
    fn key(&self) -> Option<(&str, &str)>;

    /// Returns whether its caller no longer waits for the response.
    fn is_abandoned(&self) -> bool;

    /// Returns whether enough time remains to wait for a lock. A wait beyond the deadline would abort the transaction
    /// of the whole batch.
    fn can_wait(&self) -> bool;
}

/// Identifies a request in the queue.
pub(super) type Ticket = u64;
/// Identifies a batch in flight.
pub(super) type BatchId = u64;

/// Pending requests, first come first served, and the batches in flight.
pub(super) struct Queue<R> {
    /// Retries come before all other entries.
    pending: VecDeque<Entry<R>>,
    active: HashMap<BatchId, ActiveBatch>,
    last_id: u64,
}

/// Rows locked by other transactions, for which a request waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Blocker {
    /// The row of its key.
    Key,
    /// The rows of these products.
    Products(BTreeSet<ProductId>),
}

/// A pending request, with the result of an earlier attempt.
pub(super) struct Entry<R> {
    ticket: Ticket,
    pub(super) request: R,
    blocker: Option<Blocker>,
    /// Whether a batch that contained it failed, so that the next attempt is a batch of one.
    is_alone: bool,
}

/// A batch to be executed.
pub(super) struct Batch<R> {
    pub(super) id: BatchId,
    pub(super) entries: Vec<Entry<R>>,
    /// The locked rows for which it waits. It skips the orders that need others.
    pub(super) blocker: Option<Blocker>,
}

/// Products and keys that a batch in flight has claimed.
struct ActiveBatch {
    products: BTreeSet<ProductId>,
    keys: Vec<(String, String)>,
    is_waiting: bool,
}

impl<R: Request> Entry<R> {
    /// Marks it as waiting for these locked rows, and for the products that an earlier attempt found locked. A request
    /// that waits for its key is alone, because the wait would delay a whole batch.
    pub(super) fn blocked_by(self, blocker: Blocker) -> Self {
        let blocker = match (blocker, self.blocker) {
            (Blocker::Products(products), Some(Blocker::Products(earlier))) => Blocker::Products(&products | &earlier),
            (blocker, _) => blocker,
        };
        let is_alone = self.is_alone || blocker == Blocker::Key;
        Self { blocker: Some(blocker), is_alone, ..self }
    }

    /// Marks it for a batch of one.
    pub(super) fn alone(self) -> Self {
        Self { is_alone: true, ..self }
    }

    fn is_waiting(&self) -> bool {
        self.blocker.is_some()
    }

    fn is_retry(&self) -> bool {
        self.is_alone || self.is_waiting()
    }

    /// Returns the products that no other batch may claim at the same time. A request that waits for locked rows claims
    /// only these.
    fn claims(&self) -> BTreeSet<ProductId> {
        match &self.blocker {
            None => self.request.products().collect(),
            Some(Blocker::Key) => BTreeSet::new(),
            Some(Blocker::Products(locked)) => locked.clone(),
        }
    }

    fn wants_any(&self, products: &HashSet<ProductId>) -> bool {
        self.request.products().any(|product| products.contains(&product))
    }

    /// Returns whether it can be added to a batch that starts with `first`.
    fn can_join(&self, first: &Self) -> bool {
        let can_wait = |entry: &Self| entry.request.can_wait();
        let waits_for_same =
            || can_wait(self) && can_wait(first) && self.request.products().eq(first.request.products());
        !(self.is_alone || first.is_alone) && if first.is_waiting() { waits_for_same() } else { !self.is_waiting() }
    }
}

impl<R> Default for Queue<R> {
    fn default() -> Self {
        Self { pending: VecDeque::new(), active: HashMap::new(), last_id: 0 }
    }
}

impl<R: Request> Queue<R> {
    /// Appends a request.
    pub(super) fn push(&mut self, request: R) -> Ticket {
        self.last_id += 1;
        self.pending.push_back(Entry { ticket: self.last_id, request, blocker: None, is_alone: false });
        self.last_id
    }

    /// Removes a request. Returns whether it was still pending.
    pub(super) fn remove(&mut self, ticket: Ticket) -> bool {
        let before = self.pending.len();
        self.pending.retain(|entry| entry.ticket != ticket);
        self.pending.len() < before
    }

    /// Removes all requests with this key.
    pub(super) fn take_with_key(&mut self, key: (&str, &str)) -> Vec<R> {
        let has_key = |entry: &Entry<R>| entry.request.key() == Some(key);
        let (taken, pending) = mem::take(&mut self.pending).into_iter().partition(has_key);
        self.pending = pending;
        VecDeque::into_iter(taken).map(|entry| entry.request).collect()
    }

    /// Admits the next batch: requests that wait for the same locked rows, a request that is to be alone, or all others
    /// whose products are free, up to the limit. A request overtakes an earlier one for the same product only if that
    /// one waits for its key or for a locked row.
    pub(super) fn next_batch(&mut self) -> Option<Batch<R>> {
        let waiting = self.active.values().filter(|batch| batch.is_waiting).count();
        let (can_wait, can_run) = (waiting < MAX_WAITING, self.active.len() - waiting < MAX_RUNNING);
        if !(can_run || can_wait && self.pending.iter().any(Entry::is_waiting)) {
            return None;
        }
        let mut busy: HashSet<_> = self.active.values().flat_map(|batch| batch.products.iter().copied()).collect();
        let waiting = self.active.values().filter(|batch| batch.is_waiting);
        let mut locked: HashSet<_> = waiting.flat_map(|batch| batch.products.iter().copied()).collect();
        let keys = self.active.values().flat_map(|batch| &batch.keys);
        let keys: HashSet<_> = keys.map(|(principal, key)| (principal.as_str(), key.as_str())).collect();
        let mut entries = Vec::<Entry<R>>::new();
        for entry in mem::take(&mut self.pending).into_iter().filter(|entry| !entry.request.is_abandoned()) {
            let key = entry.request.key();
            let same_key = key.is_some() && entries.iter().any(|admitted| admitted.request.key() == key);
            let waits_for_key = same_key || key.is_some_and(|key| keys.contains(&key));
            let claims = entry.claims();
            let is_free = !claims.iter().any(|product| busy.contains(product));
            let fits = match entries.first() {
                Some(first) => entry.can_join(first) && (is_free || first.is_waiting()),
                None => is_free && if entry.is_waiting() { can_wait } else { can_run },
            };
            if entry.is_waiting() {
                locked.extend(&claims);
            }
            if fits && !waits_for_key && entries.len() < MAX_ORDERS {
                entries.push(entry);
                continue;
            }
            // A request that waits for its key or for a locked row delays no other product.
            if entry.is_waiting() || !(waits_for_key || entry.wants_any(&locked)) {
                busy.extend(claims);
            }
            self.pending.push_back(entry);
        }
        let first = entries.first()?;
        let (is_waiting, blocker) = (first.is_waiting(), first.blocker.clone());
        // Requests that join one that waits want the same products and wait for the same locked rows.
        let products = if is_waiting { first.claims() } else { entries.iter().flat_map(Entry::claims).collect() };
        let keys = entries.iter().filter_map(|entry| entry.request.key());
        let keys = keys.map(|(principal, key)| (principal.to_owned(), key.to_owned())).collect();
        self.last_id += 1;
        self.active.insert(self.last_id, ActiveBatch { products, keys, is_waiting });
        Some(Batch { id: self.last_id, entries, blocker })
    }

    /// Ends a batch and queues the returned requests again: behind the pending retries, so that these take turns, and
    /// before all other requests.
    pub(super) fn finish(&mut self, batch: BatchId, returned: Vec<Entry<R>>) {
        self.active.remove(&batch);
        let behind_retries = self.pending.iter().take_while(|entry| entry.is_retry()).count();
        for entry in returned.into_iter().rev() {
            self.pending.insert(behind_retries, entry);
        }
    }
}

#[cfg(test)]
mod tests;
