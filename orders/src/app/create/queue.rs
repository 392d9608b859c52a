//! Admission queue for order batches.
//!
//! Requests for the same product wait for each other here instead of in the database. A product is claimed by one batch
//! at a time, and the next batch takes the requests that have arrived in the meantime. The queue uses neither a clock
//! nor the database.

use std::collections::{HashMap, HashSet, VecDeque};
use std::{mem, slice};

use common_contract::ProductId;

/// Maximum number of batches in flight, apart from retries. With fewer, more orders share a COMMIT; with more, a slow
/// batch delays fewer orders.
const MAX_SHARED: usize = 4;
/// Maximum number of retries in flight. They wait for locked rows; the limit leaves connections for everything else.
const MAX_RETRIES: usize = 4;
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

    /// Returns whether it has enough time to wait for a lock without ending the transaction of its whole batch.
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

/// A pending request, with the result of an earlier attempt.
pub(super) struct Entry<R> {
    ticket: Ticket,
    pub(super) request: R,
    /// Products whose rows were locked by another transaction.
    locked: Vec<ProductId>,
    /// Whether a batch that contained it failed, so that the next attempt is a batch of one.
    is_alone: bool,
}

/// A batch to be executed.
pub(super) struct Batch<R> {
    pub(super) id: BatchId,
    pub(super) entries: Vec<Entry<R>>,
    /// Whether it waits for locked rows. A first attempt skips the orders that need them.
    pub(super) is_retry: bool,
}

/// Products and keys that a batch in flight has claimed.
struct ActiveBatch {
    products: HashSet<ProductId>,
    keys: Vec<(String, String)>,
    is_retry: bool,
}

impl<R: Request> Entry<R> {
    /// Marks it as waiting for these locked rows.
    pub(super) fn locked(self, locked: Vec<ProductId>) -> Self {
        Self { locked, ..self }
    }

    /// Returns the locked rows that it waits for.
    pub(super) fn locked_rows(&self) -> Vec<ProductId> {
        self.locked.clone()
    }

    /// Marks it for a batch of one.
    pub(super) fn alone(self) -> Self {
        Self { is_alone: true, ..self }
    }

    fn is_retry(&self) -> bool {
        self.is_alone || !self.locked.is_empty()
    }

    /// Returns the products that no other batch may claim at the same time. A retry claims only its locked rows.
    fn claims(&self) -> Vec<ProductId> {
        if self.is_retry() { self.locked_rows() } else { self.request.products().collect() }
    }

    fn wants_any(&self, products: &HashSet<ProductId>) -> bool {
        self.request.products().any(|product| products.contains(&product))
    }

    /// Returns whether both can wait for the same locks in one batch.
    fn can_share_retry(&self, other: &Self) -> bool {
        let waits = |entry: &Self| !entry.is_alone && entry.request.can_wait();
        waits(self) && waits(other) && self.request.products().eq(other.request.products())
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
        self.pending.push_back(Entry { ticket: self.last_id, request, locked: Vec::new(), is_alone: false });
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

    /// Admits the next batch: a retry, or all requests whose products are free, up to the limit. A request overtakes an
    /// earlier one for the same product only if that one waits for its key or for a locked row.
    pub(super) fn next_batch(&mut self) -> Option<Batch<R>> {
        let retries = self.active.values().filter(|batch| batch.is_retry).count();
        let (can_retry, can_share) = (retries < MAX_RETRIES, self.active.len() - retries < MAX_SHARED);
        let has_retry = can_retry && self.pending.front().is_some_and(Entry::is_retry);
        if !(can_share || has_retry) {
            return None;
        }
        let mut busy: HashSet<_> = self.active.values().flat_map(|batch| batch.products.iter().copied()).collect();
        let waiting = self.active.values().filter(|batch| batch.is_retry);
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
                Some(first) if first.is_retry() => first.can_share_retry(&entry),
                Some(_) => is_free && !entry.is_retry(),
                None => is_free && if entry.is_retry() { can_retry } else { can_share },
            };
            if entry.is_retry() {
                locked.extend(&claims);
            }
            if fits && !waits_for_key && entries.len() < MAX_ORDERS {
                entries.push(entry);
                continue;
            }
            // A request that waits for its key or for a locked row delays no other product.
            if entry.is_retry() || !(waits_for_key || entry.wants_any(&locked)) {
                busy.extend(claims);
            }
            self.pending.push_back(entry);
        }
        let first = entries.first()?;
        let is_retry = first.is_retry();
        // Requests that join a retry want the same products and wait for the locked rows of the first one.
        let claiming = if is_retry { slice::from_ref(first) } else { &entries };
        let products = claiming.iter().flat_map(Entry::claims).collect();
        let keys = entries.iter().filter_map(|entry| entry.request.key());
        let keys = keys.map(|(principal, key)| (principal.to_owned(), key.to_owned())).collect();
        self.last_id += 1;
        self.active.insert(self.last_id, ActiveBatch { products, keys, is_retry });
        Some(Batch { id: self.last_id, entries, is_retry })
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
