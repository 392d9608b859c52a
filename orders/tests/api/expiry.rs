//! What the server does unasked: it ends reservations that have passed, and forgets keys that have expired.
//!
//! A server begins with both, so a test that needs them now starts another one.

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

use crate::harness::{Harness, new_order, refusal, refused};
use crate::invariants;

const CREATED: &str = "SELECT COUNT(*) AS n FROM orders WHERE status = 'CREATED'";
const EXPIRED: &str = "SELECT COUNT(*) AS n FROM order_events WHERE principal = 'system:expiry'";
const NOT_LOCKED: &str = "SELECT COUNT(*) AS n FROM orders FOR UPDATE SKIP LOCKED";
/// A transaction that waits for a lock does so for six times a second before it gives up.
const GIVES_UP: Duration = Duration::from_secs(5);

/// An order whose stock is reserved for some time. A service is not kept waiting by a busy server: it comes back.
async fn reserved(harness: &Harness, key: &str, lines: &[(i64, i64)]) -> Order {
    let create = || harness.service().order_create().x_idempotency_key(key).body(new_order(lines)).send();
    until_served(create).await.unwrap().into_inner()
}

/// Sends it under its key until the server is not too busy for it.
async fn until_served<T, F>(send: impl Fn() -> F) -> Result<ResponseValue<T>, Error<types::Error>>
where
    F: Future<Output = Result<ResponseValue<T>, Error<types::Error>>>,
{
    loop {
        let answer = send().await;
        let status = answer.as_ref().err().and_then(Error::status);
        if !status.is_some_and(|status| matches!(status.as_u16(), 503 | 504)) {
            return answer;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn reserved_many(harness: &Harness, count: usize, lines: &[(i64, i64)]) -> Vec<Order> {
    // A service is not kept waiting, so no more of them at once than are served in time.
    let orders = (0..count).map(async |n| reserved(harness, &format!("k{n}"), lines).await);
    stream::iter(orders).buffered(16).collect().await
}

/// Lets the reservation end so many seconds ago.
async fn let_pass(harness: &Harness, order: &Order, seconds: u32) {
    let until = format!("UTC_TIMESTAMP(6) - INTERVAL {seconds} SECOND");
    harness.sql(&format!("UPDATE orders SET reserved_until = {until} WHERE id = {}", order.id)).await;
}

async fn let_all_pass(harness: &Harness) {
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
    let order = reserved(&harness, "k", &[(b, 5), (a, 3)]).await;
    let_pass(&harness, &order, 1).await;
    // By the server that made it, at its next look.
    harness.becomes(CREATED, 0).await;
    let client = harness.operator();
    let expired = client.order_view().id(order.id).send().await.unwrap().into_inner();
    assert_eq!((expired.status, expired.version, expired.canceled_at.is_some()), (OrderStatus::Canceled, 2, true));
    assert_eq!((harness.stock(a).await, harness.stock(b).await), (10, 5));
    let events = client.order_event_list().id(order.id).send().await.unwrap().into_inner().data;
    assert_eq!((events[0].principal.as_str(), events[0].to_status), ("system:expiry", OrderStatus::Canceled));
    assert!(events[0].correlation_id.starts_with("expiry-"));
    let late = client.order_confirm().id(order.id).x_idempotency_key("late").send().await;
    assert_eq!(refusal(late), refused(409, "order_canceled"));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmed_reserved_and_operator_orders_do_not_expire() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let (own, confirmed) = (harness.order(&[(a, 1)]).await, reserved(&harness, "c", &[(a, 1)]).await);
    let (running, passed) = (reserved(&harness, "r", &[(a, 1)]).await, reserved(&harness, "p", &[(a, 1)]).await);
    harness.operator().order_confirm().id(confirmed.id).x_idempotency_key("k").send().await.unwrap();
    // Even if it kept its reservation.
    let_pass(&harness, &confirmed, 9).await;
    // The last of those that could expire: when its turn has come, so has that of the others.
    let_pass(&harness, &passed, 1).await;
    harness.becomes(EXPIRED, 1).await;
    assert_eq!(status(&harness, &passed).await, OrderStatus::Canceled);
    assert_eq!(status(&harness, &confirmed).await, OrderStatus::Confirmed);
    assert_eq!(status(&harness, &own).await, OrderStatus::Created);
    assert_eq!(status(&harness, &running).await, OrderStatus::Created);
    assert_eq!(harness.stock(a).await, 7);
    harness.sql(&format!("UPDATE orders SET reserved_until = NULL WHERE id = {}", confirmed.id)).await;
    invariants::check(&harness).await;
}

/// How a race of a confirm, a cancel and expiry may end: what the confirm and the cancel were told, whether the cancel
/// was for the order's first version only, and who changed the order.
const LEGAL: [(&str, &str, bool, &str); 5] = [
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
        let orders = join_all(keys.iter().zip(&lines).map(|(key, lines)| reserved(&harness, key, lines))).await;
        let_all_pass(&harness).await;
        let expiring = harness.another_server();
        let races = orders.iter().map(|order| {
            // Expiry takes the orders one by one, so that this is about when it comes to them.
            let mut start = || Duration::from_micros(rng.random_range(0..60_000));
            race(&harness, order, [start(), start()])
        });
        ends.extend(join_all(races).await);
        expiring.close().await;
    }
    let mut legal = 0;
    for (confirm, cancel, conditional, paths) in LEGAL {
        let told = (confirm.to_owned(), cancel.to_owned(), conditional);
        let ids: Vec<_> = ends.iter().filter(|(_, end)| *end == told).map(|(id, _)| id.to_string()).collect();
        let ids_or_none = if ids.is_empty() { "0".to_owned() } else { ids.join(",") };
        let went = "SELECT order_id, GROUP_CONCAT(CONCAT(to_status, ' ', principal) ORDER BY id) AS path \
                    FROM order_events GROUP BY order_id";
        let went =
            format!("SELECT COUNT(*) AS n FROM ({went}) w WHERE path IN ({paths}) AND order_id IN ({ids_or_none})");
        assert_eq!(harness.number(&went).await, i64::try_from(ids.len()).unwrap(), "{told:?}");
        eprintln!("{} orders were told {told:?}", ids.len());
        legal += ids.len();
    }
    assert_eq!((ends.len(), legal), (500, 500), "{ends:?}");
    let kept = "SELECT CAST(COALESCE(SUM(qty), 0) AS SIGNED) AS n FROM order_items JOIN orders ON orders.id = order_id";
    let kept = harness.number(&format!("{kept} WHERE status = 'CONFIRMED'")).await;
    assert_eq!((harness.number(CREATED).await, harness.stock(a).await), (0, 10_000 - kept));
    invariants::check(&harness).await;
}

/// What the confirm and the cancel were told, each of which starts after a time of its own. Every other order is
/// canceled only if nobody came before.
async fn race(harness: &Harness, order: &Order, starts: [Duration; 2]) -> (i64, (String, String, bool)) {
    let conditional = order.id % 2 == 0;
    let confirm = async {
        sleep(starts[0]).await;
        let key = format!("c{}", order.id);
        let confirm = || harness.service().order_confirm().id(order.id).x_idempotency_key(key.as_str()).send();
        until_served(confirm).await
    };
    let cancel = async {
        sleep(starts[1]).await;
        let cancel = harness.operator().order_cancel().id(order.id);
        if conditional { cancel.if_match("\"v1\"").send().await } else { cancel.send().await }
    };
    let (confirmed, canceled) = tokio::join!(confirm, cancel);
    let told = |answer| match answer {
        Ok(order) => ResponseValue::<Order>::into_inner(order).status.to_string(),
        refused => refusal(refused).1.unwrap_or_default(),
    };
    (order.id, (told(confirmed), told(canceled), conditional))
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_on_one_database_expire_each_order_once_in_one_run() {
    let mut harness = Harness::start().await;
    let (a, b) = (harness.product("A", 200).await, harness.product("B", 200).await);
    // More than are looked for at a time.
    reserved_many(&harness, 120, &[(a, 1), (b, 1)]).await;
    harness.close().await;
    let_all_pass(&harness).await;
    let _expiring = [harness.another_server(), harness.another_server()];
    harness.becomes(CREATED, 0).await;
    assert_eq!(harness.number(EXPIRED).await, 120);
    let runs = "SELECT COUNT(DISTINCT correlation_id) AS n FROM order_events WHERE principal = 'system:expiry'";
    assert!(harness.number(runs).await <= 2, "more than one run of each");
    assert_eq!(harness.number("SELECT COUNT(*) AS n FROM products WHERE stock = 200").await, 2);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_order_delays_expiry_of_no_other() {
    let mut harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let (first, second) = (reserved(&harness, "1", &[(a, 1)]).await, reserved(&harness, "2", &[(a, 1)]).await);
    harness.close().await;
    let_pass(&harness, &first, 9).await;
    let_pass(&harness, &second, 1).await;
    let mut at_work = harness.database.connection().await;
    at_work.batch_execute(&format!("BEGIN; SELECT id FROM orders WHERE id = {} FOR UPDATE", first.id)).await.unwrap();
    let started = Instant::now();
    let _expiring = harness.another_server();
    harness.becomes(EXPIRED, 1).await;
    assert!(started.elapsed() < GIVES_UP, "the first was waited for");
    assert_eq!(harness.number("SELECT id AS n FROM orders WHERE status = 'CANCELED'").await, second.id);
    at_work.batch_execute("COMMIT").await.unwrap();
    harness.becomes(EXPIRED, 2).await;
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_keys_are_deleted_and_live_keys_are_kept() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let orders = reserved_many(&harness, 4, &[(a, 1)]).await;
    harness.sql("UPDATE idempotency_keys SET expires_at = UTC_TIMESTAMP(6) WHERE `key` IN ('k0', 'k1')").await;
    let _reaping = harness.another_server();
    harness.becomes("SELECT COUNT(*) AS n FROM idempotency_keys WHERE `key` IN ('k0', 'k1')", 0).await;
    assert_eq!(harness.number("SELECT COUNT(*) AS n FROM idempotency_keys WHERE `key` IN ('k2', 'k3')").await, 2);
    for (n, order) in orders.iter().enumerate() {
        assert_eq!(reserved(&harness, &format!("k{n}"), &[(a, 1)]).await.id, order.id, "the order outlives its key");
    }
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_closed_during_expiry_leaves_no_task_and_the_order_unchanged() {
    let mut harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let order = reserved(&harness, "k", &[(a, 3)]).await;
    harness.close().await;
    let_pass(&harness, &order, 1).await;
    let mut in_the_way = harness.database.connection().await;
    in_the_way.batch_execute(&format!("BEGIN; SELECT id FROM products WHERE id = {a} FOR UPDATE")).await.unwrap();
    let runtime = Runtime::new().unwrap();
    let server = start_on(&runtime, &harness);
    harness.becomes(NOT_LOCKED, 0).await;
    server.close().await;
    has_no_tasks(&runtime).await;
    harness.becomes(NOT_LOCKED, 1).await;
    in_the_way.batch_execute("COMMIT").await.unwrap();
    assert_eq!((harness.number(CREATED).await, harness.number("SELECT stock AS n FROM products").await), (1, 7));
    invariants::check(&harness).await;
    runtime.shutdown_background();
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_server_leaves_no_task() {
    let harness = Harness::start().await;
    let runtime = Runtime::new().unwrap();
    drop(start_on(&runtime, &harness));
    has_no_tasks(&runtime).await;
    runtime.shutdown_background();
}

/// A server whose tasks are the only ones of the runtime.
fn start_on(runtime: &Runtime, harness: &Harness) -> Running<Context> {
    let _entered = runtime.enter();
    let server = harness.another_server();
    assert!(runtime.metrics().num_alive_tasks() > 0);
    server
}

/// An aborted task ends when its thread comes to it, so this may take a moment.
async fn has_no_tasks(runtime: &Runtime) {
    let started = Instant::now();
    while runtime.metrics().num_alive_tasks() > 0 {
        assert!(started.elapsed() < Duration::from_secs(4), "{} are left", runtime.metrics().num_alive_tasks());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
