//! Clients that disconnect and servers that terminate during a request. No connection leaks or returns to the pool with
//! an open transaction, and a request that is retried with the same key is applied exactly once in total.
//!
//! A server completes a request even if its client disconnects. Only the termination of the server interrupts a
//! request.

use std::time::Duration;

use client_common::Outbound;
use diesel_async::SimpleAsyncConnection;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream;
use orders_client::types::OrderStatus;
use orders_client::{Client, types};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use crate::harness::{Harness, new_order, operator_token};
use crate::invariants;

const INITIAL_STOCK: i64 = 1000;
const REQUESTS: usize = 300;
const ROUNDS: usize = 10;
const REQUESTS_PER_ROUND: usize = REQUESTS / ROUNDS;
const TABLES: [&str; 5] = ["products", "orders", "order_items", "order_events", "idempotency_keys"];
/// Time limit for a request: longer than a request takes, but shorter than the wait for a pooled connection if
/// connections have leaked.
const MAX_WAIT: Duration = Duration::from_secs(4);

/// Returns `count` delays before an interruption. The delays are about as long as a request takes.
fn random_delays(count: usize) -> Vec<Duration> {
    let seed = rand::random();
    eprintln!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count).map(|_| Duration::from_micros(rng.random_range(0..30_000))).collect()
}

async fn create(client: &Client, product: i64, n: usize) -> Option<types::Order> {
    let create = client.order_create().x_idempotency_key(format!("k{n}")).body(new_order(&[(product, 1)]));
    create.send().await.ok().map(orders_client::ResponseValue::into_inner)
}

async fn confirm(client: &Client, order: i64) -> Option<types::Order> {
    let confirm = client.order_confirm().id(order).x_idempotency_key(format!("c{order}"));
    confirm.send().await.ok().map(orders_client::ResponseValue::into_inner)
}

/// Retries every request with its key. Checks that each key has exactly one order, which is the reported order if there
/// was a response, and that every order can be confirmed.
async fn assert_all_retries_succeed(harness: &Harness, product: i64, reported: &[Option<i64>]) {
    assert_eq!(reported.len(), REQUESTS);
    assert!(reported.contains(&None), "no request was interrupted");
    let client = harness.operator();
    let retries = stream::iter(reported.iter().enumerate()).map(async |(n, reported)| {
        let order = timeout(MAX_WAIT, create(client, product, n)).await.unwrap().unwrap();
        assert_eq!(reported.unwrap_or(order.id), order.id, "k{n}");
        timeout(MAX_WAIT, confirm(client, order.id)).await.unwrap().unwrap()
    });
    let orders: Vec<_> = retries.buffer_unordered(6).collect().await;
    assert!(orders.iter().all(|order| order.status == OrderStatus::Confirmed));
    assert_eq!(harness.number("SELECT COUNT(*) AS n FROM orders").await, 300);
    assert_eq!(harness.stock(product).await, INITIAL_STOCK - 300);
    harness.wait_for_transactions(&TABLES, MAX_WAIT).await;
    invariants::check(harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disconnecting_clients_leak_no_connection_and_violate_no_invariant() {
    let harness = Harness::with_connections(3).await;
    let a = harness.product("A", INITIAL_STOCK).await;
    let client = harness.operator();
    let mut reported = Vec::new();
    for (n, delay) in random_delays(REQUESTS).into_iter().enumerate() {
        // The row is locked for every 30th request, so that requests wait while all pooled connections are in use.
        let locked = if n % 30 == 29 { Some(lock_product(&harness, a).await) } else { None };
        let order = timeout(delay, create(client, a, n)).await.ok().flatten();
        if let Some(order) = &order {
            let _ = timeout(delay / 2, confirm(client, order.id)).await;
        }
        if locked.is_some() {
            let others = (1..=4).map(|back| timeout(delay, create(client, a, n - back)));
            join_all(others).await;
        }
        reported.push(order.map(|order| order.id));
    }
    assert_all_retries_succeed(&harness, a, &reported).await;
}

/// Returns a connection that keeps the product locked until it is dropped.
async fn lock_product(harness: &Harness, product: i64) -> db::Connection {
    let mut connection = harness.database.connection().await;
    let lock = format!("BEGIN; SELECT id FROM products WHERE id = {product} FOR UPDATE");
    connection.batch_execute(&lock).await.unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn server_closed_during_requests_leaves_no_partial_change() {
    let harness = Harness::with_connections(3).await;
    let a = harness.product("A", INITIAL_STOCK).await;
    let mut reported = Vec::new();
    for (round, delay) in random_delays(ROUNDS).into_iter().enumerate() {
        let server = harness.start_server();
        let client = client_for(&server.base_url());
        let requests = join_all((0..REQUESTS_PER_ROUND).map(|n| create(&client, a, round * REQUESTS_PER_ROUND + n)));
        let close = async {
            sleep(delay).await;
            timeout(MAX_WAIT, server.close()).await.expect("the server closes after its last request");
            harness.assert_no_transaction_uses(&TABLES).await;
        };
        let (responses, ()) = tokio::join!(requests, close);
        reported.extend(responses.into_iter().map(|order| order.map(|order| order.id)));
    }
    assert_all_retries_succeed(&harness, a, &reported).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_aborted_during_requests_leaves_no_partial_change() {
    let harness = Harness::with_connections(3).await;
    let a = harness.product("A", INITIAL_STOCK).await;
    let mut reported = Vec::new();
    for (round, delay) in random_delays(ROUNDS).into_iter().enumerate() {
        // Shutting down the runtime drops every request at its current await point.
        let runtime = Runtime::new().unwrap();
        let server = {
            let _entered = runtime.enter();
            harness.start_server()
        };
        let client = client_for(&server.base_url());
        let requests = join_all((0..REQUESTS_PER_ROUND).map(|n| create(&client, a, round * REQUESTS_PER_ROUND + n)));
        let abort = async {
            sleep(delay).await;
            runtime.shutdown_background();
            harness.wait_for_transactions(&TABLES, MAX_WAIT).await;
        };
        let (responses, ()) = tokio::join!(requests, abort);
        reported.extend(responses.into_iter().map(|order| order.map(|order| order.id)));
        drop(server);
    }
    assert_all_retries_succeed(&harness, a, &reported).await;
}

fn client_for(base_url: &str) -> Client {
    let http = client_common::http_client(Duration::from_secs(2), Duration::from_secs(10)).unwrap();
    Client::new_with_client(base_url, http, Outbound::new().bearer(&operator_token("ann")))
}
