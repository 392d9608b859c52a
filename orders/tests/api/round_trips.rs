//! Round trips to the database of a transaction, during which other transactions wait for its locks.

use crate::harness::{Harness, new_order};
use crate::invariants;

/// BEGIN, keys, rows of the keys, products, stock and orders, ids, other rows, COMMIT.
const CREATE: usize = 8;
/// BEGIN, order, items, changes, COMMIT.
const CANCEL: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn round_trips_do_not_depend_on_the_number_of_products() {
    let (harness, proxy) = Harness::with_proxy().await;
    let mut lines = Vec::new();
    for n in 0..8 {
        lines.push((harness.product(&format!("P{n}"), 10).await, 1));
    }
    let client = harness.operator();
    for lines in [&lines[..1], &lines] {
        let mut fewest = (usize::MAX, usize::MAX);
        // A connection prepares each statement once, and a request may get a new connection.
        for round in 0..4 {
            let key = format!("k{round}-{}", lines.len());
            let order = client.order_create().x_idempotency_key(key).body(new_order(lines)).send().await.unwrap();
            let create = proxy.round_trips();
            client.order_cancel().id(order.id).send().await.unwrap();
            fewest = (fewest.0.min(create), fewest.1.min(proxy.round_trips()));
        }
        assert_eq!(fewest, (CREATE, CANCEL), "{} products", lines.len());
    }
    assert_eq!(harness.stock(lines[0].0).await, 10);
    invariants::check(&harness).await;
}
