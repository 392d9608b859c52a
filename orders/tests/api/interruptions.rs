//! Clients that hang up, and servers that are closed, in the middle of a request: no connection is lost or goes back to
//! the pool with an open transaction, and whoever comes back with the same key finds that it happened once or not at all.
//!
//! A server goes on with a request whose client has hung up. What ends a request in its middle is the end of its server.

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

const FIRST_STOCK: i64 = 1000;
const REQUESTS: usize = 300;
const ROUNDS: usize = 10;
const A_ROUND: usize = REQUESTS / ROUNDS;
const TABLES: [&str; 5] = ["products", "orders", "order_items", "order_events", "idempotency_keys"];
/// Longer than a request takes, shorter than it would take to wait for a connection that never comes back.
const SOON: Duration = Duration::from_secs(4);

/// After how long each of so many is interrupted. A request takes about that time.
fn moments(count: usize) -> Vec<Duration> {
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

/// Everybody comes back with the key that they had: exactly one order each, the one that they were told of if they were,
/// and all of them can be confirmed.
async fn all_come_back(harness: &Harness, product: i64, told: &[Option<i64>]) {
    assert_eq!(told.len(), REQUESTS);
    assert!(told.contains(&None), "all answers came, so nobody hung up in the middle");
    let client = harness.operator();
    let come_back = stream::iter(told.iter().enumerate()).map(async |(n, told)| {
        let order = timeout(SOON, create(client, product, n)).await.unwrap().unwrap();
        assert_eq!(told.unwrap_or(order.id), order.id, "k{n}");
        timeout(SOON, confirm(client, order.id)).await.unwrap().unwrap()
    });
    let orders: Vec<_> = come_back.buffer_unordered(6).collect().await;
    assert!(orders.iter().all(|order| order.status == OrderStatus::Confirmed));
    assert_eq!(harness.number("SELECT COUNT(*) AS n FROM orders").await, 300);
    assert_eq!(harness.stock(product).await, FIRST_STOCK - 300);
    harness.transactions_end(&TABLES, SOON).await;
    invariants::check(harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disconnecting_clients_leak_no_connection_and_violate_no_invariant() {
    let harness = Harness::with_connections(3).await;
    let a = harness.product("A", FIRST_STOCK).await;
    let client = harness.operator();
    let mut told = Vec::new();
    for (n, moment) in moments(REQUESTS).into_iter().enumerate() {
        // Now and then the server has to wait for the row, with all the connections that it has.
        let locked = if n % 30 == 29 { Some(lock(&harness, a).await) } else { None };
        let order = timeout(moment, create(client, a, n)).await.ok().flatten();
        if let Some(order) = &order {
            let _ = timeout(moment / 2, confirm(client, order.id)).await;
        }
        if locked.is_some() {
            let others = (1..=4).map(|back| timeout(moment, create(client, a, n - back)));
            join_all(others).await;
        }
        told.push(order.map(|order| order.id));
    }
    all_come_back(&harness, a, &told).await;
}

/// A connection that keeps the product locked until it is dropped.
async fn lock(harness: &Harness, product: i64) -> db::Connection {
    let mut connection = harness.database.connection().await;
    let lock = format!("BEGIN; SELECT id FROM products WHERE id = {product} FOR UPDATE");
    connection.batch_execute(&lock).await.unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn server_closed_during_requests_leaves_no_partial_change() {
    let harness = Harness::with_connections(3).await;
    let a = harness.product("A", FIRST_STOCK).await;
    let mut told = Vec::new();
    for (round, moment) in moments(ROUNDS).into_iter().enumerate() {
        let server = harness.another_server();
        let client = client_of(&server.base_url());
        let requests = join_all((0..A_ROUND).map(|n| create(&client, a, round * A_ROUND + n)));
        let close = async {
            sleep(moment).await;
            timeout(SOON, server.close()).await.expect("it closes as soon as the requests have ended");
            harness.no_transaction_uses(&TABLES).await;
        };
        let (answers, ()) = tokio::join!(requests, close);
        told.extend(answers.into_iter().map(|order| order.map(|order| order.id)));
    }
    all_come_back(&harness, a, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_aborted_during_requests_leaves_no_partial_change() {
    let harness = Harness::with_connections(3).await;
    let a = harness.product("A", FIRST_STOCK).await;
    let mut told = Vec::new();
    for (round, moment) in moments(ROUNDS).into_iter().enumerate() {
        // Ending the runtime drops every request where it stands.
        let runtime = Runtime::new().unwrap();
        let server = {
            let _entered = runtime.enter();
            harness.another_server()
        };
        let client = client_of(&server.base_url());
        let requests = join_all((0..A_ROUND).map(|n| create(&client, a, round * A_ROUND + n)));
        let tear_down = async {
            sleep(moment).await;
            runtime.shutdown_background();
            harness.transactions_end(&TABLES, SOON).await;
        };
        let (answers, ()) = tokio::join!(requests, tear_down);
        told.extend(answers.into_iter().map(|order| order.map(|order| order.id)));
        drop(server);
    }
    all_come_back(&harness, a, &told).await;
}

fn client_of(base_url: &str) -> Client {
    let http = client_common::http_client(Duration::from_secs(2), Duration::from_secs(10)).unwrap();
    Client::new_with_client(base_url, http, Outbound::new().bearer(&operator_token("ann")))
}
