//! Order batches: orders for the same product share a transaction, and each order has the same outcome as it would in a
//! separate transaction.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diesel_async::SimpleAsyncConnection;
use futures::future::join_all;

use crate::fake_customers::FakeCustomers;
use crate::harness::{Harness, RawResponse};
use crate::invariants;

const CALLERS: i64 = 48;
/// Orders of a batch that waits for a locked product.
const WAITING: i64 = 16;
/// Key that makes a batch fail. It is not the first one to arrive.
const CAUSE: &str = "cause";
const CAUSE_POSITION: i64 = 8;
/// Acquires the key `cause` of an order, like another server whose transaction is open.
const HOLD_KEY: &str = "BEGIN; INSERT INTO idempotency_keys \
     (scope, principal, `key`, nonce, request_hash, created_at, expires_at) VALUES \
     ('order.create', 'operator:ann', 'cause', REPEAT('n', 16), REPEAT('h', 32), UTC_TIMESTAMP(6), \
     UTC_TIMESTAMP(6) + INTERVAL 1 DAY)";
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

/// Sends orders for the product, which become one batch because the product is locked, and unlocks the product once all
/// of their keys are held. Returns the response to the key `cause`, the others, and the number of transactions.
async fn create_in_one_batch(harness: &Harness, product: i64) -> (RawResponse, Vec<RawResponse>, i64) {
    let commits = "SELECT COUNT(DISTINCT created_at) AS n FROM orders";
    let before = harness.number(commits).await;
    let mut other = harness.database.connection().await;
    other.batch_execute(&format!("BEGIN; SELECT id FROM products WHERE id = {product} FOR UPDATE")).await.unwrap();
    let key = |n| if n == CAUSE_POSITION { CAUSE.to_owned() } else { format!("k{n}") };
    let (keys, body) = (Vec::from_iter((0..WAITING).map(key)), body(1, product, 1, ""));
    let responses = join_all(keys.iter().map(|key| harness.post("/orders", key, &body)));
    let unlock = async {
        harness.wait_for_held_keys(WAITING).await;
        other.batch_execute("ROLLBACK").await.unwrap();
    };
    let (responses, ()) = tokio::join!(responses, unlock);
    let (of_cause, others): (Vec<_>, Vec<_>) = keys.iter().zip(responses).partition(|(key, _)| *key == CAUSE);
    let mut of_cause = of_cause.into_iter().map(|(_, response)| response);
    let others = others.into_iter().map(|(_, response)| response).collect();
    (of_cause.next().unwrap(), others, harness.number(commits).await - before)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_held_by_another_server_delays_only_its_own_order() {
    let harness = Harness::start().await;
    let a = harness.product("A", 1000).await;
    let mut holder = harness.database.connection().await;
    holder.batch_execute(HOLD_KEY).await.unwrap();
    let (held, others, commits) = create_in_one_batch(&harness, a).await;
    assert!(others.iter().all(|response| response.status == 201), "{others:?}");
    assert_eq!((held.status, code(&held)), (409, "idempotency_in_progress"));
    assert!(commits < 4, "{commits} transactions created {} orders", others.len());
    holder.batch_execute("ROLLBACK").await.unwrap();
    let retry = harness.post("/orders", CAUSE, &body(1, a, 1, "")).await;
    assert_eq!((retry.status, retry.replayed), (201, false));
    assert_eq!(harness.stock(a).await, 1000 - WAITING);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_for_one_product_do_not_wait_for_a_key_held_by_another_server() {
    let harness = Harness::start().await;
    let a = harness.product("A", 1000).await;
    let mut holder = harness.database.connection().await;
    holder.batch_execute(HOLD_KEY).await.unwrap();
    let body = body(1, a, 1, "");
    let is_done = AtomicBool::new(false);
    let held = async {
        while !is_done.load(Ordering::Relaxed) {
            let response = harness.post("/orders", CAUSE, &body).await;
            assert_eq!((response.status, code(&response)), (409, "idempotency_in_progress"));
        }
    };
    let others = async {
        let started = Instant::now();
        for n in 1..=20 {
            assert_eq!(harness.post("/orders", &format!("k{n}"), &body).await.status, 201);
        }
        is_done.store(true, Ordering::Relaxed);
        started.elapsed()
    };
    let ((), elapsed) = tokio::join!(held, others);
    // Each of them would wait a second for the key.
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
    holder.batch_execute("ROLLBACK").await.unwrap();
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_key_whose_order_exists_affects_only_its_own_order() {
    let harness = Harness::start().await;
    let a = harness.product("A", 1000).await;
    let first = harness.post("/orders", CAUSE, &body(1, a, 1, "")).await;
    harness.sql("DELETE FROM idempotency_keys").await;
    let (expired, others, commits) = create_in_one_batch(&harness, a).await;
    assert!(others.iter().all(|response| (response.status, response.replayed) == (201, false)), "{others:?}");
    assert_eq!((expired.status, expired.replayed, &expired.body), (201, true, &first.body));
    assert!(commits < 4, "{commits} transactions created {} orders", others.len());
    assert_eq!(harness.stock(a).await, 1000 - WAITING);
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
