//! Customer check: the orders service asks the customers service whether the customer of a new order exists. If the
//! check fails, nothing changes.

use std::pin::pin;
use std::time::{Duration, Instant};

use client_common::Outbound;
use orders_client::Client;

use crate::fake_customers::{Behavior, FakeCustomers, SECRET};
use crate::harness::{Harness, SERVICE_TOKEN, api_error, error_of, expect_error, is_replay, new_order};
use crate::invariants;

async fn assert_nothing_changed(harness: &Harness) {
    for table in ["orders", "idempotency_keys"] {
        assert_eq!(harness.number(&format!("SELECT COUNT(*) AS n FROM {table}")).await, 0, "{table}");
    }
    assert_eq!(harness.number("SELECT COUNT(*) AS n FROM stock_movements WHERE reason = 'order'").await, 0);
    invariants::check(harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_or_deleted_customer_is_not_found() {
    let harness = Harness::start().await;
    let product = harness.product("A", 10).await;
    let unknown = new_order(&[(product, 1)]).customer_id(77);
    let error = expect_error(harness.operator().order_create().body(unknown).send().await);
    assert_eq!((error.status().as_u16(), error.error_code.as_deref()), (404, Some("customer_not_found")));
    assert_eq!(error.details[0].field.as_deref(), Some("customer_id"));
    harness.sql("UPDATE customers SET deleted_at = UTC_TIMESTAMP(6), email_key = NULL").await;
    let deleted = harness.operator().order_create().body(new_order(&[(product, 1)])).send().await;
    assert_eq!(error_of(deleted), api_error(404, "customer_not_found"));
    assert_nothing_changed(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn customer_without_a_database_row_is_not_found() {
    let customers = FakeCustomers::start();
    let harness = Harness::with_customers_at(&customers.base_url()).await;
    let product = harness.product("A", 10).await;
    let elsewhere = new_order(&[(product, 1)]).customer_id(77);
    let response = harness.operator().order_create().x_idempotency_key("k").body(elsewhere).send().await;
    assert_eq!(error_of(response), api_error(404, "customer_not_found"));
    assert_eq!(harness.stock(product).await, 10);
    assert_nothing_changed(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_customers_service_is_unavailable_and_its_errors_stay_hidden() {
    let customers = FakeCustomers::start();
    let harness = Harness::with_customers_at(&customers.base_url()).await;
    let product = harness.product("A", 10).await;
    let create = || harness.operator().order_create().x_idempotency_key("k").body(new_order(&[(product, 1)])).send();
    let cases = [
        (Behavior::Status(500), 3),
        (Behavior::Status(408), 3),
        (Behavior::Status(429), 3),
        (Behavior::Status(501), 1),
        (Behavior::Failing(9), 3),
        (Behavior::InvalidJson, 3),
        (Behavior::Status(401), 1),
        (Behavior::Status(403), 1),
        (Behavior::Status(404), 1),
    ];
    for (behavior, attempts) in cases {
        customers.set_behavior(behavior);
        let before = customers.calls().len();
        let error = expect_error(create().await);
        assert_eq!(
            (error.status().as_u16(), error.error_code.as_deref()),
            (503, Some("customer_service_unavailable")),
            "{behavior:?}"
        );
        assert_eq!(error.headers()["retry-after"], "1");
        assert!(!format!("{error:?}").contains(SECRET), "{behavior:?}");
        assert_eq!(customers.calls().len() - before, attempts, "{behavior:?}");
    }
    assert_nothing_changed(&harness).await;
    customers.set_behavior(Behavior::Healthy);
    assert!(!is_replay(&create().await.unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn unresponsive_customers_service_times_out_after_five_seconds() {
    let customers = FakeCustomers::start();
    let harness = Harness::with_customers_at(&customers.base_url()).await;
    let product = harness.product("A", 10).await;
    customers.set_behavior(Behavior::Unresponsive);
    let started = Instant::now();
    let response = harness.operator().order_create().body(new_order(&[(product, 1)])).send().await;
    assert_eq!(error_of(response), api_error(504, "customer_service_unavailable"));
    assert!((Duration::from_secs(5)..Duration::from_secs(8)).contains(&started.elapsed()), "{:?}", started.elapsed());
    assert_eq!(customers.calls().len(), 3);
    assert_nothing_changed(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable_customers_service_is_unavailable() {
    let harness = Harness::with_customers_at("http://127.0.0.1:1").await;
    let product = harness.product("A", 10).await;
    let response = harness.operator().order_create().body(new_order(&[(product, 1)])).send().await;
    assert_eq!(error_of(response), api_error(503, "customer_service_unavailable"));
    assert_nothing_changed(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_customer_check_is_retried() {
    let customers = FakeCustomers::start();
    let harness = Harness::with_customers_at(&customers.base_url()).await;
    let product = harness.product("A", 10).await;
    customers.set_behavior(Behavior::Failing(2));
    harness.order(&[(product, 1)]).await;
    assert_eq!(customers.calls().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_honored_within_the_time_limit() {
    let customers = FakeCustomers::start();
    let harness = Harness::with_customers_at(&customers.base_url()).await;
    let product = harness.product("A", 10).await;
    customers.set_behavior(Behavior::RetryAfter(1));
    let started = Instant::now();
    harness.order(&[(product, 1)]).await;
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(customers.calls().len(), 2);
    for too_long in [6, u64::MAX] {
        customers.set_behavior(Behavior::RetryAfter(too_long));
        let before = customers.calls().len();
        let response = harness.operator().order_create().body(new_order(&[(product, 1)])).send().await;
        assert_eq!(error_of(response), api_error(503, "customer_service_unavailable"));
        assert_eq!(customers.calls().len() - before, 1);
    }
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unresponsive_customers_service_delays_no_other_operation() {
    let customers = FakeCustomers::start();
    let harness = Harness::with_customers_at(&customers.base_url()).await;
    let product = harness.product("A", 10).await;
    let order = harness.order(&[(product, 1)]).await;
    customers.set_behavior(Behavior::Unresponsive);
    // More requests than the pool has database connections.
    let client = harness.operator();
    let creates =
        futures::future::join_all((0..40).map(|_| client.order_create().body(new_order(&[(product, 1)])).send()));
    let confirm = async {
        let started = Instant::now();
        let confirmed = client.order_confirm().id(order.id).x_idempotency_key("k").send().await.unwrap();
        (confirmed.version, started.elapsed())
    };
    let (created, (version, took)) = tokio::join!(creates, confirm);
    assert_eq!(version, 2);
    assert!(took < Duration::from_secs(2), "the confirm waited for the creates: {took:?}");
    for response in created {
        assert_eq!(error_of(response).0, 504);
    }
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_transaction_is_open_during_the_customer_check() {
    let customers = FakeCustomers::start();
    let harness = Harness::with_customers_at(&customers.base_url()).await;
    let product = harness.product("A", 10).await;
    customers.set_behavior(Behavior::Held);
    let create = harness.operator().order_create().x_idempotency_key("k").body(new_order(&[(product, 1)])).send();
    let mut create = pin!(create);
    let check = async {
        customers.wait_for_call().await;
        harness.assert_no_transaction_uses(&["idempotency_keys", "order_items", "orders", "products"]).await;
        harness.sql("UPDATE products SET price_cents = 101").await;
    };
    tokio::select! {
        response = &mut create => panic!("response during the customer check: {response:?}"),
        () = check => {}
    }
    customers.release();
    assert_eq!(create.await.unwrap().total_cents, 101);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn customer_check_sends_service_token_correlation_id_and_trace() {
    let customers = FakeCustomers::start();
    let harness = Harness::with_customers_at(&customers.base_url()).await;
    let product = harness.product("A", 10).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let outbound = Outbound::new().bearer(SERVICE_TOKEN).correlation_id("req-789").trace(trace, "vendor=1");
    let client: Client = harness.client(outbound);
    client.order_create().x_idempotency_key("k").body(new_order(&[(product, 1)])).send().await.unwrap();
    let seen = customers.calls();
    assert_eq!(seen[0]["authorization"], format!("Bearer {SERVICE_TOKEN}"));
    assert_eq!(
        (&seen[0]["x-correlation-id"], &seen[0]["tracestate"]),
        (&"req-789".parse().unwrap(), &"vendor=1".parse().unwrap())
    );
    // The trace is the same, and the parent is a span of the orders service.
    let [_, passed_on, span, flags] = seen[0]["traceparent"].to_str().unwrap().split('-').collect::<Vec<_>>()[..]
    else {
        panic!("{:?}", seen[0]["traceparent"])
    };
    assert_eq!((passed_on, flags), (&trace[3..35], "01"));
    assert_ne!(span, &trace[36..52]);
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_is_independent_of_customers_service_customer_and_price() {
    let customers = FakeCustomers::start();
    let harness = Harness::with_customers_at(&customers.base_url()).await;
    let product = harness.product("A", 10).await;
    let body = format!(r#"{{"customer_id":1,"items":[{{"product_id":{product},"qty":2}}]}}"#);
    let first = harness.post("/orders", "k", &body).await;
    assert_eq!((first.status, first.replayed), (201, false));
    harness.sql("UPDATE products SET price_cents = 999; UPDATE customers SET deleted_at = UTC_TIMESTAMP(6)").await;
    customers.set_behavior(Behavior::Unresponsive);
    let retry = harness.post("/orders", "k", &body).await;
    assert_eq!((retry.status, retry.replayed, retry.body), (201, true, first.body));
    assert_eq!(customers.calls().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn order_of_an_expired_key_is_returned_although_its_customer_was_deleted() {
    let harness = Harness::start().await;
    let product = harness.product("A", 10).await;
    let create = || harness.operator().order_create().x_idempotency_key("k").body(new_order(&[(product, 2)])).send();
    let first = create().await.unwrap().into_inner();
    harness
        .sql("DELETE FROM idempotency_keys; UPDATE customers SET deleted_at = UTC_TIMESTAMP(6), email_key = NULL")
        .await;
    let retry = create().await.unwrap();
    assert!(is_replay(&retry));
    assert_eq!(retry.into_inner(), first);
    assert_eq!(harness.stock(product).await, 8);
}
