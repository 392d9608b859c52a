//! Admission order of the queue, tested without a database.

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

fn order_for(products: &'static [i64]) -> Order {
    Order { products, key: None }
}

fn keyed(key: &'static str, products: &'static [i64]) -> Order {
    Order { products, key: Some(key) }
}

fn queue(orders: impl IntoIterator<Item = Order>) -> Queue<Order> {
    let mut queue = Queue::default();
    for order in orders {
        queue.push(order);
    }
    queue
}

fn orders(batch: Option<Batch<Order>>) -> Vec<Order> {
    batch.into_iter().flat_map(|batch| batch.entries).map(|entry| entry.request).collect()
}

fn next(queue: &mut Queue<Order>) -> Vec<Order> {
    orders(queue.next_batch())
}

fn locked(products: &[i64]) -> Blocker {
    Blocker::Products(products.iter().copied().map(ProductId::stored).collect())
}

/// Ends the batch and returns all its orders, which found these rows locked.
fn return_locked(queue: &mut Queue<Order>, batch: Batch<Order>, products: &[i64]) {
    let locked = locked(products);
    let blocked = |entry: Entry<Order>| entry.blocked_by(locked.clone());
    queue.finish(batch.id, batch.entries.into_iter().map(blocked).collect());
}

/// Ends the batch and returns all its orders, each of which found the rows of all its products locked.
fn return_all_locked(queue: &mut Queue<Order>, batch: Batch<Order>) {
    let blocked = |entry: Entry<Order>| {
        let blocker = locked(entry.request.products);
        entry.blocked_by(blocker)
    };
    queue.finish(batch.id, batch.entries.into_iter().map(blocked).collect());
}

/// Ends a failed batch, whose orders are retried one by one.
fn fail(queue: &mut Queue<Order>, batch: Batch<Order>) {
    queue.finish(batch.id, batch.entries.into_iter().map(Entry::alone).collect());
}

#[test]
fn orders_for_one_product_share_the_next_batch() {
    let mut queue = queue([order_for(&[1])]);
    let first = queue.next_batch().unwrap();
    for order in [order_for(&[1]), order_for(&[1, 2]), order_for(&[3])] {
        queue.push(order);
    }
    assert_eq!(next(&mut queue), [order_for(&[3])], "an order waits only for its own products");
    assert_eq!(next(&mut queue), []);
    queue.finish(first.id, Vec::new());
    assert_eq!(orders(Some(first)), [order_for(&[1])]);
    assert_eq!(next(&mut queue), [order_for(&[1]), order_for(&[1, 2])]);
}

#[test]
fn no_order_overtakes_an_earlier_one_for_the_same_product() {
    let mut queue = queue([order_for(&[1])]);
    let first = queue.next_batch().unwrap();
    for order in [order_for(&[1, 2]), order_for(&[2])] {
        queue.push(order);
    }
    assert_eq!(next(&mut queue), []);
    queue.finish(first.id, Vec::new());
    assert_eq!(next(&mut queue), [order_for(&[1, 2]), order_for(&[2])]);
}

#[test]
fn a_key_is_in_flight_once_and_delays_no_product() {
    let mut queue = queue([keyed("k", &[1]), keyed("k", &[1]), order_for(&[1])]);
    let first = queue.next_batch().unwrap();
    queue.finish(first.id, Vec::new());
    assert_eq!(orders(Some(first)), [keyed("k", &[1]), order_for(&[1])]);
    assert_eq!(next(&mut queue), [keyed("k", &[1])]);
    queue.push(keyed("k", &[2]));
    assert_eq!(next(&mut queue), [], "the key is in flight with another product");
}

#[test]
fn all_requests_with_a_key_are_taken_together() {
    let mut queue = queue([keyed("k", &[1]), order_for(&[1]), keyed("k", &[2]), keyed("K", &[1])]);
    assert_eq!(queue.take_with_key(("ann", "k")), [keyed("k", &[1]), keyed("k", &[2])]);
    assert_eq!(next(&mut queue), [order_for(&[1]), keyed("K", &[1])]);
}

#[test]
fn a_removed_or_abandoned_request_is_not_dispatched() {
    let mut queue = queue([order_for(&[]), order_for(&[1])]);
    let removed = queue.push(order_for(&[2]));
    assert!(queue.remove(removed));
    assert_eq!(next(&mut queue), [order_for(&[1])]);
    assert!(!queue.remove(removed));
}

#[test]
fn a_retry_delays_only_the_products_whose_rows_are_locked() {
    let mut queue = queue([keyed("k", &[1, 2])]);
    let first = queue.next_batch().unwrap();
    for order in [order_for(&[1, 3]), order_for(&[2]), order_for(&[3]), keyed("k", &[5])] {
        queue.push(order);
    }
    return_locked(&mut queue, first, &[1]);
    let retry = queue.next_batch().unwrap();
    assert_eq!(retry.blocker, Some(locked(&[1])));
    assert_eq!(next(&mut queue), [order_for(&[2]), order_for(&[3])]);
    assert_eq!(next(&mut queue), []);
    queue.finish(retry.id, Vec::new());
    assert_eq!(orders(Some(retry)), [keyed("k", &[1, 2])]);
    assert_eq!(next(&mut queue), [keyed("k", &[5])], "product 3 is in flight with its own order");
}

#[test]
fn orders_for_the_same_products_wait_for_locked_rows_in_one_batch() {
    let mut queue = queue([order_for(&[1]), order_for(&[1, 2]), order_for(&[1])]);
    let first = queue.next_batch().unwrap();
    for order in [order_for(&[1]), keyed("urgent", &[1])] {
        queue.push(order);
    }
    return_locked(&mut queue, first, &[1]);
    let retry = queue.next_batch().unwrap();
    assert_eq!(next(&mut queue), [], "one retry per locked row");
    queue.finish(retry.id, Vec::new());
    assert_eq!(orders(Some(retry)), [order_for(&[1]), order_for(&[1]), order_for(&[1])]);
    assert_eq!(next(&mut queue), [order_for(&[1, 2])]);
}

#[test]
fn a_request_waits_for_all_rows_that_its_attempts_found_locked() {
    let mut queue = queue([order_for(&[1, 2, 3])]);
    for locked in [&[2][..], &[1]] {
        let batch = queue.next_batch().unwrap();
        return_locked(&mut queue, batch, locked);
    }
    assert_eq!(queue.next_batch().unwrap().blocker, Some(locked(&[1, 2])));
    queue.push(order_for(&[3]));
    assert_eq!(next(&mut queue), [order_for(&[3])]);
}

#[test]
fn the_orders_of_a_failed_batch_are_retried_one_by_one() {
    let mut queue = queue([order_for(&[1]), order_for(&[1, 2]), order_for(&[3])]);
    let batch = queue.next_batch().unwrap();
    fail(&mut queue, batch);
    queue.push(order_for(&[1]));
    let first = queue.next_batch().unwrap();
    assert_eq!(first.blocker, None);
    assert_eq!(next(&mut queue), [order_for(&[3])], "the others wait for product 1");
    assert_eq!(next(&mut queue), []);
    queue.finish(first.id, Vec::new());
    assert_eq!(orders(Some(first)), [order_for(&[1])]);
    let second = queue.next_batch().unwrap();
    assert_eq!(next(&mut queue), []);
    queue.finish(second.id, Vec::new());
    assert_eq!(orders(Some(second)), [order_for(&[1, 2])]);
    assert_eq!(next(&mut queue), [order_for(&[1])]);
}

#[test]
fn the_orders_of_a_failed_batch_wait_for_a_locked_row_one_by_one() {
    let mut queue = queue([order_for(&[1, 2]), order_for(&[1, 2])]);
    let batch = queue.next_batch().unwrap();
    fail(&mut queue, batch);
    for order in [order_for(&[2]), order_for(&[1])] {
        queue.push(order);
    }
    for _ in 0..2 {
        let attempt = queue.next_batch().unwrap();
        assert_eq!((attempt.entries.len(), &attempt.blocker), (1, &None));
        return_locked(&mut queue, attempt, &[1]);
    }
    let waiting = queue.next_batch().unwrap();
    assert_eq!((waiting.entries.len(), &waiting.blocker), (1, &Some(locked(&[1]))));
    assert_eq!(next(&mut queue), [order_for(&[2])], "they delay no other product");
    assert_eq!(next(&mut queue), [], "one batch per locked row");
    return_locked(&mut queue, waiting, &[1]);
    assert_eq!(next(&mut queue), [order_for(&[1, 2])], "they take turns");
    assert_eq!(next(&mut queue), []);
}

#[test]
fn the_orders_of_a_failed_batch_that_wait_for_locked_rows_are_limited() {
    let mut queue = queue([order_for(&[1]), order_for(&[2]), order_for(&[3]), order_for(&[4]), order_for(&[5])]);
    let batch = queue.next_batch().unwrap();
    fail(&mut queue, batch);
    for _ in 1..=5 {
        let attempt = queue.next_batch().unwrap();
        assert_eq!(attempt.blocker, None);
        return_all_locked(&mut queue, attempt);
    }
    let waiting = Vec::from_iter(std::iter::from_fn(|| queue.next_batch()));
    assert_eq!(waiting.len(), MAX_WAITING);
    assert!(waiting.iter().all(|batch| batch.blocker.is_some()));
    queue.push(order_for(&[6]));
    assert_eq!(next(&mut queue), [order_for(&[6])]);
}

#[test]
fn an_order_whose_key_is_held_elsewhere_delays_no_other() {
    let mut queue = queue([keyed("held", &[1]), keyed("k", &[1])]);
    let batch = queue.next_batch().unwrap();
    let set_apart = |entry: Entry<Order>| {
        if entry.request.key == Some("held") { entry.blocked_by(Blocker::Key) } else { entry }
    };
    queue.finish(batch.id, batch.entries.into_iter().map(set_apart).collect());
    queue.push(keyed("held", &[2]));
    queue.push(order_for(&[1]));
    let waiting = queue.next_batch().unwrap();
    assert_eq!(waiting.blocker, Some(Blocker::Key));
    assert_eq!(next(&mut queue), [keyed("k", &[1]), order_for(&[1])]);
    assert_eq!(next(&mut queue), [], "the key is in flight");
    queue.finish(waiting.id, Vec::new());
    assert_eq!(orders(Some(waiting)), [keyed("held", &[1])]);
    assert_eq!(next(&mut queue), [keyed("held", &[2])]);
}

#[test]
fn retries_of_rows_that_stay_locked_take_turns_with_other_retries() {
    const PRODUCTS: [&[i64]; MAX_WAITING + 1] = [&[1], &[2], &[3], &[4], &[5]];
    let mut queue = queue(PRODUCTS.map(order_for));
    let batch = queue.next_batch().unwrap();
    return_all_locked(&mut queue, batch);
    let first = Vec::from_iter(std::iter::from_fn(|| queue.next_batch()));
    assert_eq!(first.len(), MAX_WAITING);
    let mut admitted = Vec::from_iter(first.iter().map(|retry| retry.blocker.clone()));
    for retry in first {
        queue.finish(retry.id, retry.entries);
        admitted.push(queue.next_batch().unwrap().blocker);
    }
    assert_eq!(admitted[..=MAX_WAITING], PRODUCTS.map(|products| Some(locked(products))));
}

#[test]
fn batches_and_their_sizes_are_limited() {
    let mut queue = queue((0..=MAX_ORDERS).map(|_| order_for(&[1])));
    assert_eq!(next(&mut queue).len(), MAX_ORDERS);
    for product in [&[2], &[3], &[4]] {
        queue.push(order_for(product));
        assert_eq!(next(&mut queue), [order_for(product)]);
    }
    queue.push(order_for(&[5]));
    assert_eq!(next(&mut queue), []);
}

#[test]
fn retries_have_a_separate_limit_and_do_not_block_other_batches() {
    let mut queue = queue([order_for(&[1]), order_for(&[2]), order_for(&[3]), order_for(&[4]), order_for(&[5])]);
    let batch = queue.next_batch().unwrap();
    return_all_locked(&mut queue, batch);
    for order in [order_for(&[5]), order_for(&[6])] {
        queue.push(order);
    }
    let retries = Vec::from_iter((0..MAX_WAITING).map(|_| queue.next_batch().unwrap()));
    assert!(retries.iter().all(|retry| retry.blocker.is_some()));
    assert_eq!(next(&mut queue), [order_for(&[6])], "an order for a locked product waits for the retry");
    assert_eq!(next(&mut queue), []);
    queue.finish(retries[0].id, Vec::new());
    assert_eq!(next(&mut queue), [order_for(&[5]), order_for(&[5])]);
}
