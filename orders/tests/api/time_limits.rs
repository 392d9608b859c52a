//! Time limits for requests from services, which wait 2 s for a response. If a dependency is slow, the server responds
//! with an error within this time: without a response, the service could not know whether its order was created.

use std::time::{Duration, Instant};

use client_common::Outbound;
use common_server::settings::Env;
use diesel_async::SimpleAsyncConnection;
use futures::future::join_all;
use orders_client::Client;

use crate::fake_customers::{Behavior, FakeCustomers};
use crate::harness::{
    Harness, SERVICE_TOKEN, api_error, config_from, env, error_of, expect_error, is_replay, new_order, operator_token,
};
use crate::invariants;

/// Returns a client with the 2 s timeout that services use. A timeout fails the test.
fn service_client(base_url: &str) -> Client {
    let http = client_common::http_client(Duration::from_millis(500), Duration::from_secs(2)).unwrap();
    Client::new_with_client(base_url, http, Outbound::new().bearer(SERVICE_TOKEN))
}

#[tokio::test(flavor = "multi_thread")]
async fn unresponsive_customers_service_is_reported_in_time() {
    let customers = FakeCustomers::start();
    let harness = Harness::with_customers_at(&customers.base_url()).await;
    let a = harness.product("A", 10).await;
    let client = service_client(&harness.url(""));
    let create = || client.order_create().x_idempotency_key("k").body(new_order(&[(a, 1)])).send();
    customers.set_behavior(Behavior::Unresponsive);
    assert_eq!(error_of(create().await), api_error(504, "customer_service_unavailable"));
    // The delay requested by `Retry-After` is longer than the remaining time.
    customers.set_behavior(Behavior::RetryAfter(1));
    assert_eq!(error_of(create().await), api_error(503, "customer_service_unavailable"));
    assert!(!is_replay(&create().await.unwrap()));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_held_by_another_request_is_reported_in_time() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let id = harness.order(&[(a, 1)]).await.id;
    let client = service_client(&harness.url(""));
    let create = || client.order_create().x_idempotency_key("k").body(new_order(&[(a, 1)])).send();
    let confirm = || client.order_confirm().id(id).x_idempotency_key("k").send();
    let mut running = harness.database.connection().await;
    let insert = "INSERT INTO idempotency_keys (scope, principal, `key`, nonce, request_hash, created_at, expires_at) \
                 SELECT scope, 'service', 'k', REPEAT('n', 16), REPEAT('h', 32), UTC_TIMESTAMP(6), \
                 UTC_TIMESTAMP(6) + INTERVAL 1 DAY FROM (SELECT 'order.create' AS scope UNION SELECT 'order.confirm') s";
    running.batch_execute(&format!("BEGIN; {insert}")).await.unwrap();
    let (created, confirmed) = tokio::join!(create(), confirm());
    // The database checks for lock timeouts once per second, so the time limit for the service's request may expire
    // first.
    let in_time = [api_error(409, "idempotency_in_progress"), api_error(503, "unavailable")];
    let (created, confirmed) = (error_of(created), error_of(confirmed));
    assert!(in_time.contains(&created) && in_time.contains(&confirmed), "{created:?} {confirmed:?}");
    running.batch_execute("ROLLBACK").await.unwrap();
    assert!(!is_replay(&create().await.unwrap()) && !is_replay(&confirm().await.unwrap()));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_row_is_reported_in_time() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let id = harness.order(&[(a, 1)]).await.id;
    let client = service_client(&harness.url(""));
    let create = || client.order_create().x_idempotency_key("k").body(new_order(&[(a, 1)])).send();
    let confirm = || client.order_confirm().id(id).x_idempotency_key("k").send();
    let cancel = || client.order_cancel().id(id).x_idempotency_key("k").send();
    let mut other = harness.database.connection().await;
    let lock = format!("SELECT id FROM orders WHERE id = {id} FOR UPDATE; SELECT id FROM products FOR UPDATE");
    other.batch_execute(&format!("BEGIN; {lock}")).await.unwrap();
    let (created, confirmed, canceled) = tokio::join!(create(), confirm(), cancel());
    let errors = [expect_error(created), expect_error(confirmed), expect_error(canceled)];
    for error in errors {
        assert_eq!((error.status().as_u16(), error.error_code.as_deref()), (503, Some("unavailable")));
        assert_eq!(error.headers()["retry-after"], "1");
    }
    other.batch_execute("ROLLBACK").await.unwrap();
    assert!(!is_replay(&create().await.unwrap()) && !is_replay(&confirm().await.unwrap()));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exhausted_pool_is_reported_in_time_and_the_server_stays_ready() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let (id, other) = (harness.order(&[(a, 1)]).await.id, harness.order(&[(a, 1)]).await.id);
    let with_one_connection = Env::new(|name| match name {
        "DB_POOL_SIZE" => Some("1".to_owned()),
        name => env(harness.database.url(), "http://127.0.0.1:1").get(name),
    });
    let server = orders::start(config_from(&with_one_connection)).unwrap();
    let client = service_client(&server.base_url());
    let slow = "CREATE TRIGGER slow AFTER INSERT ON idempotency_keys FOR EACH ROW DO SLEEP(5)";
    harness.sql(slow).await;
    let ann = Outbound::new().bearer(&operator_token("ann"));
    let operator_client = Client::new_with_client(&server.base_url(), harness.http().clone(), ann);
    let mut busy = std::pin::pin!(operator_client.order_confirm().id(id).x_idempotency_key("k").send());
    let check = async {
        harness.wait_for_key_after(0).await;
        let view = client.order_view().id(other).send();
        let confirm = client.order_confirm().id(other).x_idempotency_key("l").send();
        let (viewed, confirmed) = tokio::join!(view, confirm);
        assert_eq!(error_of(viewed), api_error(503, "unavailable"));
        assert_eq!(error_of(confirmed), api_error(503, "unavailable"));
        assert_eq!(client.readiness_view().send().await.unwrap().status, "ready");
    };
    tokio::pin!(check);
    tokio::select! {
        _ = &mut busy => panic!("the connection was free"),
        () = &mut check => {}
    }
}

/// Time for which a row stays locked while many orders wait for the row and other operations continue.
const LOCKED_FOR: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread")]
async fn orders_for_a_locked_product_do_not_starve_other_operations() {
    let harness = Harness::with_connections(3).await;
    let (a, b) = (harness.product("A", 1000).await, harness.product("B", 1000).await);
    let client = service_client(&harness.url(""));
    let create = async |key: &str, product: i64| {
        client.order_create().x_idempotency_key(key).body(new_order(&[(product, 1)])).send().await
    };
    let mut other = harness.database.connection().await;
    let lock = format!("BEGIN; SELECT id FROM products WHERE id = {a} FOR UPDATE");
    other.batch_execute(&lock).await.unwrap();
    let keys = Vec::from_iter((0..16).map(|n| format!("a{n}")));
    let blocked = join_all(keys.iter().map(|key| create(key, a)));
    let others = async {
        let (started, mut orders) = (Instant::now(), 0);
        while started.elapsed() < LOCKED_FOR {
            let id = create(&format!("b{orders}"), b).await.unwrap().id;
            client.order_confirm().id(id).x_idempotency_key(format!("c{orders}")).send().await.unwrap();
            client.order_view().id(id).send().await.unwrap();
            orders += 1;
        }
        orders
    };
    let (blocked, orders) = tokio::join!(blocked, others);
    for response in blocked {
        assert_eq!(error_of(response), api_error(503, "unavailable"));
    }
    other.batch_execute("ROLLBACK").await.unwrap();
    assert!(!is_replay(&create("a0", a).await.unwrap()));
    assert_eq!((harness.stock(a).await, harness.stock(b).await), (999, 1000 - orders));
    invariants::check(&harness).await;
}

/// Longer than the first wait for the locked row, after which the batch of this test fails.
const FAILED_WITHIN: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn orders_of_a_failed_batch_do_not_starve_other_operations() {
    let harness = Harness::with_connections(4).await;
    let (a, b) = (harness.product("A", 1000).await, harness.product("B", 1000).await);
    // As if the customer had been deleted. The batch fails before it locks the product.
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON idempotency_keys FOR EACH ROW IF NEW.`key` = 'refused' THEN \
                  SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1452, MESSAGE_TEXT = 'CONSTRAINT `fk_orders_customer`'; \
                  END IF";
    harness.sql(refuse).await;
    let mut other = harness.database.connection().await;
    other.batch_execute(&format!("BEGIN; SELECT id FROM products WHERE id = {a} FOR UPDATE")).await.unwrap();
    let wants_a = async |key: &str| {
        harness.operator().order_create().x_idempotency_key(key).body(new_order(&[(a, 1)])).send().await
    };
    let service = service_client(&harness.url(""));
    let keys = Vec::from_iter((0..16).map(|n| format!("a{n}")));
    let rest = async {
        // The first order waits for the product. The next batch has all others, and fails.
        harness.wait_for_key_after(0).await;
        let others = async {
            let (started, mut orders) = (Instant::now(), 0);
            while started.elapsed() < FAILED_WITHIN {
                let ready = harness.http().get(harness.url("/ready")).send().await.unwrap();
                assert_eq!(ready.status(), 200);
                let key = format!("b{orders}");
                service.order_create().x_idempotency_key(key).body(new_order(&[(b, 1)])).send().await.unwrap();
                orders += 1;
            }
            let late = service.order_create().x_idempotency_key("late").body(new_order(&[(a, 1)])).send().await;
            assert_eq!(error_of(late), api_error(503, "unavailable"));
            other.batch_execute("ROLLBACK").await.unwrap();
            orders
        };
        tokio::join!(join_all(keys.iter().map(|key| wants_a(key))), wants_a("refused"), others)
    };
    let (first, (created, refused, orders)) = tokio::join!(wants_a("first"), rest);
    assert!(first.is_ok() && created.iter().all(Result::is_ok), "{first:?} {created:?}");
    assert_eq!(error_of(refused), api_error(404, "customer_not_found"));
    assert_eq!((harness.stock(a).await, harness.stock(b).await), (1000 - 17, 1000 - orders));
    invariants::check(&harness).await;
}
