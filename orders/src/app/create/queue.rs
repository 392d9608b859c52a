//! Admission queue for order batches.
//!
//! Requests that want the same product wait for each other here rather than at the database: one batch at a time has a
//! product, and the next one takes everything that has come meanwhile. The queue knows neither time nor the database.

use std::collections::{HashMap, HashSet, VecDeque};
use std::{mem, slice};

use common_contract::ProductId;

/// Shared batches in flight. Fewer let more orders share a COMMIT; more let an order notice less of a slow batch.
const MAX_SHARED: usize = 4;
/// Retries in flight. They wait for rows that are locked elsewhere, and leave the other connections to everything else.
const MAX_RETRIES: usize = 4;
/// Orders in a batch. More would make the first of them wait for long.
const MAX_ORDERS: usize = 32;

/// A request that can be queued.
pub(super) trait Request {
    /// The products whose rows it locks, in ascending order.
    fn products(&self) -> impl Iterator<Item = ProductId>;

    /// Its principal and idempotency key.
    fn key(&self) -> Option<(&str, &str)>;

    /// Whether its caller no longer waits for the response.
    fn is_abandoned(&self) -> bool;

    /// Whether it has the time to wait for a lock without ending the transaction of its whole batch.
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
    active: HashMap<BatchId, Active>,
    last_id: u64,
}

/// A pending request, with what an earlier attempt has shown.
pub(super) struct Entry<R> {
    ticket: Ticket,
    pub(super) request: R,
    /// Products whose rows were locked by a transaction of another owner.
    locked: Vec<ProductId>,
    /// Whether a batch failed with it: the next attempt decides about it alone.
    is_alone: bool,
}

/// A batch to be executed.
pub(super) struct Batch<R> {
    pub(super) id: BatchId,
    pub(super) entries: Vec<Entry<R>>,
    /// Whether it waits for locked rows, or else skips the orders that need them.
    pub(super) is_retry: bool,
}

/// The claims of a batch in flight.
struct Active {
    products: HashSet<ProductId>,
    keys: Vec<(String, String)>,
    is_retry: bool,
}

impl<R: Request> Entry<R> {
    /// Marks it as waiting for these locked rows.
    pub(super) fn locked(self, locked: Vec<ProductId>) -> Self {
        Self { locked, ..self }
    }

    /// The locked rows that it waits for.
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

    /// The products that no other batch may use meanwhile. A retry claims only its locked rows.
    fn claims(&self) -> Vec<ProductId> {
        if self.is_retry() { self.locked_rows() } else { self.request.products().collect() }
    }

    fn wants_any(&self, products: &HashSet<ProductId>) -> bool {
        self.request.products().any(|product| products.contains(&product))
    }

    /// Whether both can wait for the same locks in one batch.
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
    pub(super) fn join(&mut self, request: R) -> Ticket {
        self.last_id += 1;
        self.pending.push_back(Entry { ticket: self.last_id, request, locked: Vec::new(), is_alone: false });
        self.last_id
    }

    /// Removes a request. Returns whether it was still pending.
    pub(super) fn leave(&mut self, ticket: Ticket) -> bool {
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

    /// Admits the next batch: a retry, or as many requests as there are whose products are free. A request never overtakes an
    /// earlier one for the same product unless that one waits for its key or for a locked row.
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
        // What joins a retry wants the same products, and waits for the rows of the first.
        let claiming = if is_retry { slice::from_ref(first) } else { &entries };
        let products = claiming.iter().flat_map(Entry::claims).collect();
        let keys = entries.iter().filter_map(|entry| entry.request.key());
        let keys = keys.map(|(principal, key)| (principal.to_owned(), key.to_owned())).collect();
        self.last_id += 1;
        self.active.insert(self.last_id, Active { products, keys, is_retry });
        Some(Batch { id: self.last_id, entries, is_retry })
    }

    /// Ends a batch, and puts requests of it back: behind the pending retries, so that these get their turn, and before all others.
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
