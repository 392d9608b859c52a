//! Order batches: orders for one product share a transaction, and each has the outcome that it would have alone.

use std::pin::pin;

use diesel_async::SimpleAsyncConnection;
use futures::future::join_all;

use crate::fake_customers::FakeCustomers;
use crate::harness::{Harness, RawResponse};
use crate::invariants;

const CALLERS: i64 = 48;
/// A customer that the fake customers service knows, but that has no row.
const UNKNOWN_CUSTOMER: i64 = 4711;

fn body(customer: i64, product: i64, qty: i64, more: &str) -> String {
    format!(r#"{{"customer_id":{customer},"items":[{{"product_id":{product},"qty":{qty}}}]{more}}}"#)
}

fn code(response: &RawResponse) -> &str {
    let code = response.body.split_once(r#""error_code":""#).and_then(|(_, rest)| rest.split_once('"'));
    code.map_or("", |(code, _)| code)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_order_leaves_nothing_and_does_not_affect_its_batch() {
    let customers = FakeCustomers::start();
    let harness = Harness::with_customers_at(&customers.base_url()).await;
    let a = harness.product("A", 1000).await;
    let kinds = [
        (body(1, a, 1, ""), 201, ""),
        (body(1, a, 1, r#","expected_total_cents":99"#), 409, "total_changed"),
        (body(1, a, 2000, ""), 409, "insufficient_stock"),
        (body(1, a + 1, 1, ""), 404, "product_not_found"),
        (body(UNKNOWN_CUSTOMER, a, 1, ""), 404, "customer_not_found"),
        (body(1, a, 2, ""), 201, ""),
    ];
    let requests = (0..CALLERS).zip(kinds.iter().cycle());
    let responses = join_all(requests.map(async |(n, (body, status, name))| {
        let response = harness.post("/orders", &format!("k{n}"), body).await;
        assert_eq!((response.status, code(&response), response.replayed), (*status, *name, false), "{body}");
        let retry = harness.post("/orders", &format!("k{n}"), body).await;
        assert_eq!((retry.status, retry.replayed), (*status, *status == 201), "{body}");
        response
    }));
    let created = responses.await.iter().filter(|response| response.status == 201).count();
    assert_eq!(created, 16);
    assert_eq!(harness.stock(a).await, 1000 - 8 - 16);
    assert_eq!(harness.number("SELECT COUNT(*) AS n FROM idempotency_keys").await, 16);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_for_one_product_share_commits() {
    let harness = Harness::start().await;
    let (a, b) = (harness.product("A", 1000).await, harness.product("B", 1000).await);
    let keys = Vec::from_iter((0..CALLERS).map(|n| format!("k{n}")));
    let both = format!(r#"{{"customer_id":1,"items":[{{"product_id":{b},"qty":1}},{{"product_id":{a},"qty":1}}]}}"#);
    let orders = [both, body(1, a, 1, "")];
    let responses =
        join_all(keys.iter().zip(orders.iter().cycle()).map(|(key, body)| harness.post("/orders", key, body)));
    assert!(responses.await.iter().all(|response| response.status == 201));
    // The orders of one transaction have the same creation time.
    let commits = harness.number("SELECT COUNT(DISTINCT created_at) AS n FROM orders").await;
    assert!(commits < CALLERS / 2, "{commits} transactions created {CALLERS} orders");
    assert_eq!((harness.stock(a).await, harness.stock(b).await), (1000 - CALLERS, 1000 - CALLERS / 2));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_product_delays_no_order_for_another_product() {
    let harness = Harness::start().await;
    let (a, b) = (harness.product("A", 1000).await, harness.product("B", 1000).await);
    let mut other = harness.database.connection().await;
    other.batch_execute(&format!("BEGIN; SELECT id FROM products WHERE id = {a} FOR UPDATE")).await.unwrap();
    let both = format!(r#"{{"customer_id":1,"items":[{{"product_id":{a},"qty":1}},{{"product_id":{b},"qty":1}}]}}"#);
    let (wants_a, wants_b) = (body(1, a, 1, ""), body(1, b, 1, ""));
    let keys = Vec::from_iter((0..CALLERS).map(|n| format!("k{n}")));
    let (locked, free) = keys.split_at(16);
    let blocked =
        locked.iter().zip([&wants_a, &both].into_iter().cycle()).map(|(key, body)| harness.post("/orders", key, body));
    let mut blocked = pin!(join_all(blocked));
    let free = join_all(free.iter().map(|key| harness.post("/orders", key, &wants_b)));
    let created = tokio::select! {
        created = free => created,
        _ = &mut blocked => panic!("the product is locked"),
    };
    assert!(created.iter().all(|response| response.status == 201), "{created:?}");
    other.batch_execute("ROLLBACK").await.unwrap();
    let created = blocked.await;
    assert!(created.iter().all(|response| response.status == 201), "{created:?}");
    assert_eq!((harness.stock(a).await, harness.stock(b).await), (1000 - 16, 1000 - 32 - 8));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_customer_fails_no_order_of_another_customer() {
    let harness = Harness::start().await;
    let a = harness.product("A", 1000).await;
    let mut other = harness.database.connection().await;
    other.batch_execute("INSERT INTO customers (name, email) VALUES ('B', 'b@example.com')").await.unwrap();
    let locked = harness.number("SELECT MAX(id) AS n FROM customers").await;
    other.batch_execute(&format!("BEGIN; SELECT id FROM customers WHERE id = {locked} FOR UPDATE")).await.unwrap();
    let bodies = [body(locked, a, 1, ""), body(1, a, 1, "")];
    let keys = Vec::from_iter((0..8).map(|n| format!("k{n}")));
    let (of_locked, of_free) = keys.split_at(1);
    let blocked = of_locked.iter().map(|key| harness.post("/orders", key, &bodies[0]));
    let free = of_free.iter().map(|key| harness.post("/orders", key, &bodies[1]));
    let (blocked, free) = tokio::join!(join_all(blocked), join_all(free));
    assert!(free.iter().all(|response| response.status == 201), "{free:?}");
    assert!(blocked.iter().all(|response| response.status == 503), "{blocked:?}");
    other.batch_execute(&format!("ROLLBACK; DELETE FROM customers WHERE id = {locked}")).await.unwrap();
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_product_is_reported_while_others_are_locked() {
    let harness = Harness::start().await;
    let mut products = Vec::new();
    for sku in ["A", "B", "C", "D"] {
        products.push(harness.product(sku, 10).await);
    }
    let unknown = products.iter().max().unwrap() + 1;
    let mut other = harness.database.connection().await;
    other.batch_execute("BEGIN; SELECT id FROM products FOR UPDATE").await.unwrap();
    let bodies = Vec::from_iter(products.iter().map(|product| body(1, *product, 1, "")));
    let keys = Vec::from_iter((0..CALLERS).map(|n| format!("k{n}")));
    let blocked = keys.iter().zip(bodies.iter().cycle()).map(|(key, body)| harness.post("/orders", key, body));
    let mut blocked = pin!(join_all(blocked));
    let wrong = async {
        harness.wait_for_key_after(0).await;
        harness.post("/orders", "wrong", &body(1, unknown, 1, "")).await
    };
    let response = tokio::select! {
        response = wrong => response,
        _ = &mut blocked => panic!("the products are locked"),
    };
    assert_eq!((response.status, code(&response)), (404, "product_not_found"));
    other.batch_execute("ROLLBACK").await.unwrap();
    assert!(blocked.await.iter().all(|response| matches!(response.status, 201 | 409)));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_while_its_order_waits_gets_the_outcome_of_the_first_request() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let mut other = harness.database.connection().await;
    other.batch_execute("BEGIN; SELECT id FROM products FOR UPDATE").await.unwrap();
    let (same, another) = (body(1, a, 1, ""), body(1, a, 2, ""));
    let first = harness.post("/orders", "k", &same);
    let followers = async {
        harness.wait_for_key_after(0).await;
        let unlock = async { other.batch_execute("ROLLBACK").await.unwrap() };
        tokio::join!(harness.post("/orders", "k", &same), harness.post("/orders", "k", &another), unlock)
    };
    let (first, (retry, reused, ())) = tokio::join!(first, followers);
    assert_eq!((first.status, first.replayed), (201, false));
    assert_eq!((retry.status, retry.replayed, &retry.body), (201, true, &first.body));
    assert_eq!((reused.status, code(&reused)), (422, "idempotency_key_reused"));
    assert_eq!(harness.stock(a).await, 9);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_waits_for_a_locked_product_holds_no_other() {
    let harness = Harness::start().await;
    // The database locks rows in ascending order.
    let (a, b) = (harness.product("A", 10).await, harness.product("B", 10).await);
    let mut other = harness.database.connection().await;
    other.batch_execute(&format!("BEGIN; SELECT id FROM products WHERE id = {b} FOR UPDATE")).await.unwrap();
    let both = format!(r#"{{"customer_id":1,"items":[{{"product_id":{a},"qty":1}},{{"product_id":{b},"qty":1}}]}}"#);
    let check = async {
        // The first attempt does not wait for the product. The second one does, and ends when a third one begins.
        let first = harness.wait_for_key_after(0).await;
        let second = harness.wait_for_key_after(first).await;
        let free = format!("SELECT COUNT(*) AS n FROM products WHERE id = {a} FOR UPDATE SKIP LOCKED");
        let is_free = async {
            loop {
                assert_eq!(harness.number(&free).await, 1);
            }
        };
        tokio::select! {
            _ = harness.wait_for_key_after(second) => {}
            () = is_free => {}
        }
        other.batch_execute("ROLLBACK").await.unwrap();
    };
    let (created, ()) = tokio::join!(harness.post("/orders", "k", &both), check);
    assert_eq!(created.status, 201);
    invariants::check(&harness).await;
}
