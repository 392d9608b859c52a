//! Background jobs: canceling orders whose reservations have expired, and deleting expired idempotency keys.
//!
//! A server runs both jobs at startup, so a test that needs an immediate run starts another server.

use std::time::{Duration, Instant};

use common_server::Running;
use diesel_async::SimpleAsyncConnection;
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use orders::Context;
use orders_client::types::{self, Order, OrderStatus};
use orders_client::{Error, ResponseValue};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::runtime::Runtime;
use tokio::time::sleep;

use crate::harness::{Harness, api_error, error_of, new_order};
use crate::invariants;

const CREATED_ORDERS: &str = "SELECT COUNT(*) AS n FROM orders WHERE status = 'CREATED'";
const EXPIRY_EVENTS: &str = "SELECT COUNT(*) AS n FROM order_events WHERE principal = 'system:expiry'";
const UNLOCKED_ORDERS: &str = "SELECT COUNT(*) AS n FROM orders FOR UPDATE SKIP LOCKED";
/// Time within which the expiry job must skip a locked order. If the job waited for the lock (up to 1 s per attempt, 5
/// retries), it would take longer.
const LOCK_RETRY_TIME: Duration = Duration::from_secs(5);

/// Creates an order as a service, so that its stock is reserved for a limited time. Retries while the server is busy.
async fn create_reserved(harness: &Harness, key: &str, lines: &[(i64, i64)]) -> Order {
    let create = || harness.service().order_create().x_idempotency_key(key).body(new_order(lines)).send();
    retry_while_unavailable(create).await.unwrap().into_inner()
}

/// Retries a request with the same key while the server is unavailable or times out.
async fn retry_while_unavailable<T, F>(send: impl Fn() -> F) -> Result<ResponseValue<T>, Error<types::Error>>
where
    F: Future<Output = Result<ResponseValue<T>, Error<types::Error>>>,
{
    loop {
        let response = send().await;
        let status = response.as_ref().err().and_then(Error::status);
        if !status.is_some_and(|status| matches!(status.as_u16(), 503 | 504)) {
            return response;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn create_many_reserved(harness: &Harness, count: usize, lines: &[(i64, i64)]) -> Vec<Order> {
    // Requests from services have a short time limit, so the number of requests in flight is limited to those that can
    // be served within it.
    let orders = (0..count).map(async |n| create_reserved(harness, &format!("k{n}"), lines).await);
    stream::iter(orders).buffered(16).collect().await
}

/// Sets the expiry time of the reservation to `seconds` seconds ago.
async fn expire_reservation(harness: &Harness, order: &Order, seconds: u32) {
    let until = format!("UTC_TIMESTAMP(6) - INTERVAL {seconds} SECOND");
    harness.sql(&format!("UPDATE orders SET reserved_until = {until} WHERE id = {}", order.id)).await;
}

async fn expire_all_reservations(harness: &Harness) {
    let passed = "UPDATE orders SET reserved_until = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND";
    harness.sql(&format!("{passed} WHERE reserved_until IS NOT NULL")).await;
}

async fn status(harness: &Harness, order: &Order) -> OrderStatus {
    harness.operator().order_view().id(order.id).send().await.unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn unconfirmed_order_expires_and_returns_its_stock() {
    let harness = Harness::start().await;
    let (a, b) = (harness.product("A", 10).await, harness.product("B", 5).await);
    let order = create_reserved(&harness, "k", &[(b, 5), (a, 3)]).await;
    expire_reservation(&harness, &order, 1).await;
    // The server that created the order cancels it in the next run of the job.
    harness.wait_for(CREATED_ORDERS, 0).await;
    let client = harness.operator();
    let expired = client.order_view().id(order.id).send().await.unwrap().into_inner();
    assert_eq!((expired.status, expired.version, expired.canceled_at.is_some()), (OrderStatus::Canceled, 2, true));
    assert_eq!((harness.stock(a).await, harness.stock(b).await), (10, 5));
    let events = client.order_event_list().id(order.id).send().await.unwrap().into_inner().data;
    assert_eq!((events[0].principal.as_str(), events[0].to_status), ("system:expiry", OrderStatus::Canceled));
    assert!(events[0].correlation_id.starts_with("expiry-"));
    let late = client.order_confirm().id(order.id).x_idempotency_key("late").send().await;
    assert_eq!(error_of(late), api_error(409, "order_canceled"));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmed_reserved_and_operator_orders_do_not_expire() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let (own, confirmed) = (harness.order(&[(a, 1)]).await, create_reserved(&harness, "c", &[(a, 1)]).await);
    let (running, passed) =
        (create_reserved(&harness, "r", &[(a, 1)]).await, create_reserved(&harness, "p", &[(a, 1)]).await);
    harness.operator().order_confirm().id(confirmed.id).x_idempotency_key("k").send().await.unwrap();
    // A confirmed order has no reservation. Even if it had one, it must not expire.
    expire_reservation(&harness, &confirmed, 9).await;
    // This reservation expires last: once its order is canceled, the job has processed all other orders.
    expire_reservation(&harness, &passed, 1).await;
    harness.wait_for(EXPIRY_EVENTS, 1).await;
    assert_eq!(status(&harness, &passed).await, OrderStatus::Canceled);
    assert_eq!(status(&harness, &confirmed).await, OrderStatus::Confirmed);
    assert_eq!(status(&harness, &own).await, OrderStatus::Created);
    assert_eq!(status(&harness, &running).await, OrderStatus::Created);
    assert_eq!(harness.stock(a).await, 7);
    harness.sql(&format!("UPDATE orders SET reserved_until = NULL WHERE id = {}", confirmed.id)).await;
    invariants::check(&harness).await;
}

/// Allowed outcomes of a race between confirm, cancel and expiry. Each entry contains the outcome of the confirm
/// request, the outcome of the cancel request, whether the cancel request required the order's first version, and the
/// order's events.
const LEGAL_OUTCOMES: [(&str, &str, bool, &str); 5] = [
    ("CONFIRMED", "precondition_failed", true, "'CREATED service,CONFIRMED service'"),
    ("order_canceled", "CANCELED", true, "'CREATED service,CANCELED operator:ann'"),
    ("order_canceled", "precondition_failed", true, "'CREATED service,CANCELED system:expiry'"),
    ("CONFIRMED", "CANCELED", false, "'CREATED service,CONFIRMED service,CANCELED operator:ann'"),
    (
        "order_canceled",
        "CANCELED",
        false,
        "'CREATED service,CANCELED operator:ann','CREATED service,CANCELED system:expiry'",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_confirm_cancel_and_expiry_end_in_a_legal_state() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10_000).await;
    let seed = rand::random();
    eprintln!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut ends = Vec::new();
    for round in 0..20 {
        let keys: Vec<_> = (0..25).map(|n| format!("k{round}-{n}")).collect();
        let lines: Vec<_> = (0..25).map(|n| [(a, 1 + n % 3)]).collect();
        let orders = join_all(keys.iter().zip(&lines).map(|(key, lines)| create_reserved(&harness, key, lines))).await;
        expire_all_reservations(&harness).await;
        let expiring = harness.start_server();
        let races = orders.iter().map(|order| {
            // About as long as the expiry job takes to cancel the orders one by one.
            let mut delay = || Duration::from_micros(rng.random_range(0..60_000));
            race(&harness, order, [delay(), delay()])
        });
        ends.extend(join_all(races).await);
        expiring.close().await;
    }
    let mut legal = 0;
    for (confirm, cancel, conditional, paths) in LEGAL_OUTCOMES {
        let outcome = (confirm.to_owned(), cancel.to_owned(), conditional);
        let ids: Vec<_> = ends.iter().filter(|(_, end)| *end == outcome).map(|(id, _)| id.to_string()).collect();
        let ids_or_none = if ids.is_empty() { "0".to_owned() } else { ids.join(",") };
        let paths_query = "SELECT order_id, GROUP_CONCAT(CONCAT(to_status, ' ', principal) ORDER BY id) AS path \
                    FROM order_events GROUP BY order_id";
        let paths_query = format!(
            "SELECT COUNT(*) AS n FROM ({paths_query}) w WHERE path IN ({paths}) AND order_id IN ({ids_or_none})"
        );
        assert_eq!(harness.number(&paths_query).await, i64::try_from(ids.len()).unwrap(), "{outcome:?}");
        eprintln!("{} orders ended with {outcome:?}", ids.len());
        legal += ids.len();
    }
    assert_eq!((ends.len(), legal), (500, 500), "{ends:?}");
    let kept = "SELECT CAST(COALESCE(SUM(qty), 0) AS SIGNED) AS n FROM order_items JOIN orders ON orders.id = order_id";
    let kept = harness.number(&format!("{kept} WHERE status = 'CONFIRMED'")).await;
    assert_eq!((harness.number(CREATED_ORDERS).await, harness.stock(a).await), (0, 10_000 - kept));
    invariants::check(&harness).await;
}

/// Confirms and cancels an order, each after a delay. Returns both outcomes. For every second order, the cancel request
/// requires the first version.
async fn race(harness: &Harness, order: &Order, delays: [Duration; 2]) -> (i64, (String, String, bool)) {
    let conditional = order.id % 2 == 0;
    let confirm = async {
        sleep(delays[0]).await;
        let key = format!("c{}", order.id);
        let confirm = || harness.service().order_confirm().id(order.id).x_idempotency_key(key.as_str()).send();
        retry_while_unavailable(confirm).await
    };
    let cancel = async {
        sleep(delays[1]).await;
        let cancel = harness.operator().order_cancel().id(order.id);
        if conditional { cancel.if_match("\"v1\"").send().await } else { cancel.send().await }
    };
    let (confirmed, canceled) = tokio::join!(confirm, cancel);
    let outcome = |response| match response {
        Ok(order) => ResponseValue::<Order>::into_inner(order).status.to_string(),
        refused => error_of(refused).1.unwrap_or_default(),
    };
    (order.id, (outcome(confirmed), outcome(canceled), conditional))
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_on_one_database_expire_each_order_once_in_one_run() {
    let mut harness = Harness::start().await;
    let (a, b) = (harness.product("A", 200).await, harness.product("B", 200).await);
    // More orders than the job reads per query.
    create_many_reserved(&harness, 120, &[(a, 1), (b, 1)]).await;
    harness.close().await;
    expire_all_reservations(&harness).await;
    let _expiring = [harness.start_server(), harness.start_server()];
    harness.wait_for(CREATED_ORDERS, 0).await;
    assert_eq!(harness.number(EXPIRY_EVENTS).await, 120);
    let runs = "SELECT COUNT(DISTINCT correlation_id) AS n FROM order_events WHERE principal = 'system:expiry'";
    assert!(harness.number(runs).await <= 2, "more than one run of each");
    assert_eq!(harness.number("SELECT COUNT(*) AS n FROM products WHERE stock = 200").await, 2);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_order_delays_expiry_of_no_other() {
    let mut harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let (first, second) =
        (create_reserved(&harness, "1", &[(a, 1)]).await, create_reserved(&harness, "2", &[(a, 1)]).await);
    harness.close().await;
    expire_reservation(&harness, &first, 9).await;
    expire_reservation(&harness, &second, 1).await;
    let mut other = harness.database.connection().await;
    other.batch_execute(&format!("BEGIN; SELECT id FROM orders WHERE id = {} FOR UPDATE", first.id)).await.unwrap();
    let started = Instant::now();
    let _expiring = harness.start_server();
    harness.wait_for(EXPIRY_EVENTS, 1).await;
    assert!(started.elapsed() < LOCK_RETRY_TIME, "the job waited for the locked order");
    assert_eq!(harness.number("SELECT id AS n FROM orders WHERE status = 'CANCELED'").await, second.id);
    other.batch_execute("COMMIT").await.unwrap();
    harness.wait_for(EXPIRY_EVENTS, 2).await;
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_keys_are_deleted_and_live_keys_are_kept() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let orders = create_many_reserved(&harness, 4, &[(a, 1)]).await;
    harness.sql("UPDATE idempotency_keys SET expires_at = UTC_TIMESTAMP(6) WHERE `key` IN ('k0', 'k1')").await;
    let _reaping = harness.start_server();
    harness.wait_for("SELECT COUNT(*) AS n FROM idempotency_keys WHERE `key` IN ('k0', 'k1')", 0).await;
    assert_eq!(harness.number("SELECT COUNT(*) AS n FROM idempotency_keys WHERE `key` IN ('k2', 'k3')").await, 2);
    for (n, order) in orders.iter().enumerate() {
        assert_eq!(
            create_reserved(&harness, &format!("k{n}"), &[(a, 1)]).await.id,
            order.id,
            "the order outlives its key"
        );
    }
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_closed_during_expiry_leaves_no_task_and_the_order_unchanged() {
    let mut harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let order = create_reserved(&harness, "k", &[(a, 3)]).await;
    harness.close().await;
    expire_reservation(&harness, &order, 1).await;
    let mut other = harness.database.connection().await;
    other.batch_execute(&format!("BEGIN; SELECT id FROM products WHERE id = {a} FOR UPDATE")).await.unwrap();
    let runtime = Runtime::new().unwrap();
    let server = start_server_on(&runtime, &harness);
    harness.wait_for(UNLOCKED_ORDERS, 0).await;
    server.close().await;
    wait_for_no_tasks(&runtime).await;
    harness.wait_for(UNLOCKED_ORDERS, 1).await;
    other.batch_execute("COMMIT").await.unwrap();
    assert_eq!((harness.number(CREATED_ORDERS).await, harness.number("SELECT stock AS n FROM products").await), (1, 7));
    invariants::check(&harness).await;
    runtime.shutdown_background();
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_server_leaves_no_task() {
    let harness = Harness::start().await;
    let runtime = Runtime::new().unwrap();
    drop(start_server_on(&runtime, &harness));
    wait_for_no_tasks(&runtime).await;
    runtime.shutdown_background();
}

/// Starts a server whose tasks are the only tasks on the runtime.
fn start_server_on(runtime: &Runtime, harness: &Harness) -> Running<Context> {
    let _entered = runtime.enter();
    let server = harness.start_server();
    assert!(runtime.metrics().num_alive_tasks() > 0);
    server
}

/// Waits until all tasks have ended: an aborted task ends only the next time it is scheduled.
async fn wait_for_no_tasks(runtime: &Runtime) {
    let started = Instant::now();
    while runtime.metrics().num_alive_tasks() > 0 {
        assert!(started.elapsed() < Duration::from_secs(4), "{} tasks are left", runtime.metrics().num_alive_tasks());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
