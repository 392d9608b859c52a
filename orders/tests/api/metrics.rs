//! Metrics after requests with known outcomes.

use std::time::Duration;

use common_server::testing::{Program, Scrape};

use crate::harness::{Harness, env, new_order, operator_token};

/// Starts the program on the harness's database.
async fn start_program(harness: &Harness) -> Program {
    let base = harness.customers_base();
    let env = env(harness.database.url(), base);
    let names = ["DATABASE_URL", "CUSTOMERS_API_BASE", "JWT_SECRET", "SERVICE_TOKEN"];
    let settings = names.map(|name| (name, env.get(name).unwrap()));
    let more = [("METRICS_PORT", "0".to_owned()), ("DB_POOL_SIZE", "7".to_owned())];
    Program::start(env!("CARGO_BIN_EXE_orders"), settings.into_iter().chain(more)).await
}

fn keyed_requests(scrape: &Scrape, operation: &str) -> [f64; 4] {
    ["run", "replayed", "reused", "not_done"]
        .map(|outcome| scrape.sum("idempotency_requests_total", &[("operation", operation), ("outcome", outcome)]))
}

fn responses(scrape: &Scrape, method: &str, operation: &str, status: &str) -> f64 {
    let labels = [("method", method), ("operation", operation), ("status", status)];
    scrape.sum("http_server_request_duration_seconds_count", &labels)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_keys_and_transactions_are_counted_by_outcome() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let program = start_program(&harness).await;
    let outbound = client_common::Outbound::new().bearer(&operator_token("ann"));
    let client = orders_client::Client::new_with_client(&program.base_url, harness.http().clone(), outbound);
    let before = program.scrape().await;
    let create =
        |key: &'static str, qty| client.order_create().x_idempotency_key(key).body(new_order(&[(a, qty)])).send();
    let order = create("a", 1).await.unwrap().id;
    create("a", 1).await.unwrap();
    create("a", 2).await.unwrap_err();
    create("b", 11).await.unwrap_err();
    client.order_confirm().id(order).x_idempotency_key("c").send().await.unwrap();
    client.order_confirm().id(order).x_idempotency_key("c").send().await.unwrap();
    client.order_view().id(order).send().await.unwrap();
    client.order_view().id(i64::MAX).send().await.unwrap_err();
    let after = program.scrape().await;
    assert_eq!(
        (keyed_requests(&before, "order.create"), keyed_requests(&after, "order.create")),
        ([0.0; 4], [1.0, 1.0, 1.0, 1.0])
    );
    assert_eq!(keyed_requests(&after, "order.confirm"), [1.0, 1.0, 0.0, 0.0]);
    let statuses = ["201", "422", "409"].map(|status| responses(&after, "POST", "order_create", status));
    assert_eq!(statuses, [2.0, 1.0, 1.0]);
    assert_eq!(responses(&after, "POST", "order_confirm", "200"), 2.0);
    let views = ["200", "404"].map(|status| responses(&after, "GET", "order_view", status));
    assert_eq!(views, [1.0, 1.0]);
    let transactions = |scrape: &Scrape, outcome| scrape.sum("db_transactions_total", &[("outcome", outcome)]);
    // Committed transactions: a create, a confirm, and those of the background jobs. Rejected transactions: the create
    // with insufficient stock.
    assert!(transactions(&after, "committed") - transactions(&before, "committed") >= 2.0);
    assert_eq!(transactions(&after, "refused"), 1.0);
    assert_eq!(transactions(&after, "unknown") + transactions(&after, "failed"), 0.0);
    let connections = |state| after.sum("db_pool_connections", &[("state", state)]);
    assert_eq!(after.sum("db_pool_connections_max", &[]), 7.0);
    assert!(connections("idle") >= 1.0 && connections("idle") + connections("busy") <= 7.0);
    assert_eq!(after.sum("db_pool_waiting", &[]), 0.0);
    assert!(after.sum("db_pool_wait_seconds_count", &[("outcome", "served")]) > 0.0);
    let checks = [("service", "customers"), ("operation", "internal_customer_view"), ("outcome", "200")];
    // The replay and the request with a reused key need no customer check.
    assert_eq!(after.sum("http_client_request_duration_seconds_count", &checks), 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_reservation_is_counted() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    harness.service().order_create().x_idempotency_key("k").body(new_order(&[(a, 1)])).send().await.unwrap();
    // Otherwise, the harness's server could cancel the order.
    let mut harness = harness;
    harness.close().await;
    harness.sql("UPDATE orders SET reserved_until = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND").await;
    let program = start_program(&harness).await;
    harness.wait_for("SELECT COUNT(*) AS n FROM orders WHERE status = 'CANCELED'", 1).await;
    program.line(|line| line["job"] == "cancel orders whose reservation has expired").await;
    assert_eq!(program.scrape().await.sum("reservations_expired_total", &[]), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_retries_are_counted_by_cause() {
    use diesel_async::SimpleAsyncConnection;

    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let program = start_program(&harness).await;
    let outbound = client_common::Outbound::new().bearer(&operator_token("ann"));
    let client = orders_client::Client::new_with_client(&program.base_url, harness.http().clone(), outbound);
    let mut other = harness.database.connection().await;
    other.batch_execute("BEGIN; SELECT id FROM products FOR UPDATE").await.unwrap();
    let retries = |scrape: &Scrape, cause| scrape.sum("db_transaction_retries_total", &[("cause", cause)]);
    // The time limit for an operator's request is longer than the lock timeout of every supported database.
    let create = client.order_create().x_idempotency_key("k").body(new_order(&[(a, 1)])).send();
    let (created, ()) = tokio::join!(create, async {
        while retries(&program.scrape().await, "lock_timeout") == 0.0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        other.batch_execute("ROLLBACK").await.unwrap();
    });
    created.unwrap();
    let scrape = program.scrape().await;
    assert_eq!(retries(&scrape, "deadlock"), 0.0);
    assert_eq!(scrape.sum("db_transactions_total", &[("outcome", "failed")]), 0.0);
}
