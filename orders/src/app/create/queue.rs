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

    /// The products that it keeps other batches from. A retry delays only those who want the same locked row.
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
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Order {
        products: &'static [i64],
        key: Option<&'static str>,
    }

    impl Request for Order {
        fn products(&self) -> impl Iterator<Item = ProductId> {
            self.products.iter().copied().map(ProductId::stored)
        }

        fn key(&self) -> Option<(&str, &str)> {
            self.key.map(|key| ("ann", key))
        }

        fn is_abandoned(&self) -> bool {
            self.products.is_empty()
        }

        fn can_wait(&self) -> bool {
            self.key != Some("urgent")
        }
    }

    fn of(products: &'static [i64]) -> Order {
        Order { products, key: None }
    }

    fn keyed(key: &'static str, products: &'static [i64]) -> Order {
        Order { products, key: Some(key) }
    }

    fn queue(orders: impl IntoIterator<Item = Order>) -> Queue<Order> {
        let mut queue = Queue::default();
        for order in orders {
            queue.join(order);
        }
        queue
    }

    fn orders(batch: Option<Batch<Order>>) -> Vec<Order> {
        batch.into_iter().flat_map(|batch| batch.entries).map(|entry| entry.request).collect()
    }

    fn next(queue: &mut Queue<Order>) -> Vec<Order> {
        orders(queue.next_batch())
    }

    /// Ends the batch, all of whose orders found these rows locked.
    fn return_locked(queue: &mut Queue<Order>, batch: Batch<Order>, products: &[i64]) {
        let locked = Vec::from_iter(products.iter().copied().map(ProductId::stored));
        let entries = batch.entries.into_iter().map(|entry| entry.locked(locked.clone()));
        queue.finish(batch.id, entries.collect());
    }

    #[test]
    fn orders_for_one_product_share_the_next_batch() {
        let mut queue = queue([of(&[1])]);
        let first = queue.next_batch().unwrap();
        for order in [of(&[1]), of(&[1, 2]), of(&[3])] {
            queue.join(order);
        }
        assert_eq!(next(&mut queue), [of(&[3])], "an order waits only for its own products");
        assert_eq!(next(&mut queue), []);
        queue.finish(first.id, Vec::new());
        assert_eq!(orders(Some(first)), [of(&[1])]);
        assert_eq!(next(&mut queue), [of(&[1]), of(&[1, 2])]);
    }

    #[test]
    fn no_order_overtakes_an_earlier_one_for_the_same_product() {
        let mut queue = queue([of(&[1])]);
        let first = queue.next_batch().unwrap();
        for order in [of(&[1, 2]), of(&[2])] {
            queue.join(order);
        }
        assert_eq!(next(&mut queue), []);
        queue.finish(first.id, Vec::new());
        assert_eq!(next(&mut queue), [of(&[1, 2]), of(&[2])]);
    }

    #[test]
    fn a_key_is_in_flight_once_and_delays_no_product() {
        let mut queue = queue([keyed("k", &[1]), keyed("k", &[1]), of(&[1])]);
        let first = queue.next_batch().unwrap();
        queue.finish(first.id, Vec::new());
        assert_eq!(orders(Some(first)), [keyed("k", &[1]), of(&[1])]);
        assert_eq!(next(&mut queue), [keyed("k", &[1])]);
        queue.join(keyed("k", &[2]));
        assert_eq!(next(&mut queue), [], "the key is in flight with another product");
    }

    #[test]
    fn requests_with_one_key_are_taken_at_once() {
        let mut queue = queue([keyed("k", &[1]), of(&[1]), keyed("k", &[2]), keyed("K", &[1])]);
        assert_eq!(queue.take_with_key(("ann", "k")), [keyed("k", &[1]), keyed("k", &[2])]);
        assert_eq!(next(&mut queue), [of(&[1]), keyed("K", &[1])]);
    }

    #[test]
    fn a_request_that_has_left_or_is_abandoned_is_not_dispatched() {
        let mut queue = queue([of(&[]), of(&[1])]);
        let left = queue.join(of(&[2]));
        assert!(queue.leave(left));
        assert_eq!(next(&mut queue), [of(&[1])]);
        assert!(!queue.leave(left));
    }

    #[test]
    fn a_retry_delays_only_the_products_whose_rows_are_locked() {
        let mut queue = queue([keyed("k", &[1, 2])]);
        let first = queue.next_batch().unwrap();
        for order in [of(&[1, 3]), of(&[2]), of(&[3]), keyed("k", &[5])] {
            queue.join(order);
        }
        return_locked(&mut queue, first, &[1]);
        let retry = queue.next_batch().unwrap();
        assert!(retry.is_retry);
        assert_eq!(next(&mut queue), [of(&[2]), of(&[3])]);
        assert_eq!(next(&mut queue), []);
        queue.finish(retry.id, Vec::new());
        assert_eq!(orders(Some(retry)), [keyed("k", &[1, 2])]);
        assert_eq!(next(&mut queue), [keyed("k", &[5])], "product 3 is in flight with its own order");
    }

    #[test]
    fn orders_for_the_same_products_wait_for_locked_rows_in_one_batch() {
        let mut queue = queue([of(&[1]), of(&[1, 2]), of(&[1])]);
        let first = queue.next_batch().unwrap();
        for order in [of(&[1]), keyed("urgent", &[1])] {
            queue.join(order);
        }
        return_locked(&mut queue, first, &[1]);
        let retry = queue.next_batch().unwrap();
        assert_eq!(next(&mut queue), [], "one retry per locked row");
        queue.finish(retry.id, Vec::new());
        assert_eq!(orders(Some(retry)), [of(&[1]), of(&[1]), of(&[1])]);
        assert_eq!(next(&mut queue), [of(&[1, 2])]);
    }

    #[test]
    fn the_orders_of_a_failed_batch_are_retried_one_by_one() {
        let mut queue = queue([of(&[1]), of(&[1])]);
        let batch = queue.next_batch().unwrap();
        return_locked(&mut queue, batch, &[1]);
        let failed = queue.next_batch().unwrap();
        assert!(failed.is_retry && failed.entries.len() == 2);
        queue.finish(failed.id, failed.entries.into_iter().map(Entry::alone).collect());
        queue.join(of(&[2]));
        for _ in 0..2 {
            let retry = queue.next_batch().unwrap();
            assert!(retry.is_retry && retry.entries.len() == 1);
            if let Some(other) = queue.next_batch() {
                assert!(!other.is_retry, "one retry per locked row");
            }
            queue.finish(retry.id, Vec::new());
        }
    }

    #[test]
    fn retries_of_rows_that_stay_locked_take_turns_with_other_retries() {
        const PRODUCTS: [&[i64]; MAX_RETRIES + 1] = [&[1], &[2], &[3], &[4], &[5]];
        let mut queue = queue(PRODUCTS.map(of));
        let batch = queue.next_batch().unwrap();
        let wait = |entry: Entry<Order>| {
            let products = entry.request.products().collect();
            entry.locked(products)
        };
        queue.finish(batch.id, batch.entries.into_iter().map(wait).collect());
        let first = Vec::from_iter(std::iter::from_fn(|| queue.next_batch()));
        assert_eq!(first.len(), MAX_RETRIES);
        let mut admitted = Vec::from_iter(first.iter().flat_map(|retry| retry.entries[0].locked.clone()));
        for retry in first {
            queue.finish(retry.id, retry.entries);
            admitted.extend(queue.next_batch().unwrap().entries[0].locked.clone());
        }
        assert_eq!(admitted[..=MAX_RETRIES], [1, 2, 3, 4, 5].map(ProductId::stored));
    }

    #[test]
    fn batches_and_their_sizes_are_limited() {
        let mut queue = queue((0..=MAX_ORDERS).map(|_| of(&[1])));
        assert_eq!(next(&mut queue).len(), MAX_ORDERS);
        for product in [&[2], &[3], &[4]] {
            queue.join(of(product));
            assert_eq!(next(&mut queue), [of(product)]);
        }
        queue.join(of(&[5]));
        assert_eq!(next(&mut queue), []);
    }

    #[test]
    fn retries_have_a_limit_of_their_own_and_keep_shared_batches_going() {
        let mut queue = queue([of(&[1]), of(&[2]), of(&[3]), of(&[4]), of(&[5])]);
        let batch = queue.next_batch().unwrap();
        let locked = |entry: Entry<Order>| {
            let products = entry.request.products().collect();
            entry.locked(products)
        };
        queue.finish(batch.id, batch.entries.into_iter().map(locked).collect());
        for order in [of(&[5]), of(&[6])] {
            queue.join(order);
        }
        let retries = Vec::from_iter((0..MAX_RETRIES).map(|_| queue.next_batch().unwrap()));
        assert!(retries.iter().all(|retry| retry.is_retry));
        assert_eq!(next(&mut queue), [of(&[6])], "one that waits for a retry waits like it");
        assert_eq!(next(&mut queue), []);
        queue.finish(retries[0].id, Vec::new());
        assert_eq!(next(&mut queue), [of(&[5]), of(&[5])]);
    }
}
