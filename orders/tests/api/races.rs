//! Concurrent requests: nothing is applied twice, no update is lost, and no caller sees a deadlock.

use std::time::{Duration, Instant};

use futures::future::join_all;
use orders_client::types::{self, ProductPatch};

use crate::fake_customers::{Behavior, FakeCustomers};
use crate::harness::{Harness, RawResponse, api_error, error_of, new_order};
use crate::invariants;

fn assert_same_response(responses: &[RawResponse], status: u16) {
    for response in responses {
        assert_eq!((response.status, &response.body), (status, &responses[0].body));
    }
    assert_eq!(
        responses.iter().filter(|response| !response.replayed).count(),
        1,
        "exactly one response is not a replay"
    );
}

/// Sends a request and, like a correct client, retries it with its key while the key is in progress or the server is
/// busy.
async fn send_until_settled(harness: &Harness, base_url: &str, path: &str, key: &str, body: &str) -> RawResponse {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let response = harness.post_to(base_url, path, key, body).await;
        let in_progress = response.status == 409 && response.body.contains("\"idempotency_in_progress\"");
        if !in_progress && !matches!(response.status, 503 | 504) {
            return response;
        }
        assert!(Instant::now() < deadline, "still {} {}", response.status, response.body);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_clients_with_the_same_fifty_keys_create_fifty_orders() {
    let harness = Harness::start().await;
    let a = harness.product("A", 1000).await;
    let keys: Vec<_> = (0..50).map(|n| (format!("k{n}"), order_body(a, 1 + n % 3))).collect();
    let another = harness.start_server();
    let servers = [harness.url(""), another.base_url()];
    let client = async |base_url: &str| {
        let mut responses = Vec::new();
        for (key, body) in &keys {
            responses.push(send_until_settled(&harness, base_url, "/orders", key, body).await);
        }
        responses
    };
    let mut responses = join_all(servers.iter().cycle().take(64).map(|base_url| client(base_url))).await;
    for _ in &keys {
        let of_one_key: Vec<_> = responses.iter_mut().filter_map(Vec::pop).collect();
        assert_eq!(of_one_key.len(), 64);
        assert_same_response(&of_one_key, 201);
    }
    assert_eq!(harness.number("SELECT COUNT(*) AS n FROM orders").await, 50);
    assert_eq!(harness.number("SELECT COUNT(*) AS n FROM stock_movements WHERE reason = 'order'").await, 50);
    let ordered: i64 = (0..50).map(|n| 1 + n % 3).sum();
    assert_eq!(harness.stock(a).await, 1000 - ordered);
    invariants::check(&harness).await;
}

fn order_body(product: i64, qty: i64) -> String {
    format!(r#"{{"customer_id":1,"items":[{{"product_id":{product},"qty":{qty}}}]}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn create_whose_key_was_used_and_has_expired_meanwhile_finds_the_order() {
    for (qty, expected) in [(2, (201, true)), (3, (422, false))] {
        let customers = FakeCustomers::start();
        let harness = Harness::with_customers_at(&customers.base_url()).await;
        let a = harness.product("A", 100).await;
        let body = |qty: i64| format!(r#"{{"customer_id":1,"items":[{{"product_id":{a},"qty":{qty}}}]}}"#);
        customers.set_behavior(Behavior::Held);
        let (slow_body, quick_body) = (body(qty), body(2));
        let slow = harness.post("/orders", "k", &slow_body);
        let quick = async {
            customers.wait_for_call().await;
            customers.set_behavior(Behavior::Healthy);
            let created = harness.post("/orders", "k", &quick_body).await;
            harness.sql("UPDATE idempotency_keys SET expires_at = UTC_TIMESTAMP(6)").await;
            customers.release();
            created
        };
        let (slow, quick) = tokio::join!(slow, quick);
        assert_eq!((quick.status, quick.replayed), (201, false));
        assert_eq!((slow.status, slow.replayed), expected);
        assert_eq!(slow.body == quick.body, slow.status == 201);
        assert_eq!(harness.stock(a).await, 98);
        invariants::check(&harness).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_confirms_with_one_key_are_one_transition() {
    let harness = Harness::start().await;
    let a = harness.product("A", 100).await;
    let path = format!("/orders/{}/confirm", harness.order(&[(a, 1)]).await.id);
    let responses = join_all((0..64).map(|_| harness.post(&path, "k", ""))).await;
    assert_same_response(&responses, 200);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_confirms_with_different_keys_are_one_transition() {
    let harness = Harness::start().await;
    let a = harness.product("A", 100).await;
    let path = format!("/orders/{}/confirm", harness.order(&[(a, 1)]).await.id);
    let responses = join_all((0..64).map(|n| {
        let (harness, path) = (&harness, &path);
        async move { harness.post(path, &format!("k{n}"), "").await }
    }))
    .await;
    for response in &responses {
        assert_eq!((response.status, response.replayed, &response.body), (200, false, &responses[0].body));
    }
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_cancels_return_the_stock_once() {
    let harness = Harness::start().await;
    let a = harness.product("A", 100).await;
    let id = harness.confirmed(&[(a, 7)]).await.id;
    let client = harness.operator();
    let responses = join_all((0..64).map(|_| client.order_cancel().id(id).send())).await;
    let first = (**responses[0].as_ref().unwrap()).clone();
    for response in responses {
        assert_eq!(response.unwrap().into_inner(), first);
    }
    assert_eq!(harness.stock(a).await, 100);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_hundred_buyers_of_a_stock_of_100_get_100_orders() {
    let harness = Harness::start().await;
    let another = harness.start_server();
    let servers = [harness.url(""), another.base_url()];
    for round in 1..=5 {
        let a = harness.product(&format!("A{round}"), 100).await;
        let body = order_body(a, 1);
        let keys: Vec<_> = (0..400).map(|n| format!("{round}-{n}")).collect();
        let buyers = keys.iter().zip(servers.iter().cycle());
        let responses =
            join_all(buyers.map(|(key, base_url)| send_until_settled(&harness, base_url, "/orders", key, &body))).await;
        let (bought, rejected): (Vec<_>, Vec<_>) = responses.iter().partition(|response| response.status == 201);
        assert_eq!((bought.len(), rejected.len(), harness.stock(a).await), (100, 300, 0), "round {round}");
        for RawResponse { status, body, .. } in rejected {
            assert!(*status == 409 && body.contains("\"insufficient_stock\""), "{status} {body}");
        }
    }
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_edits_and_orders_lose_no_update() {
    let harness = Harness::start().await;
    let a = harness.product("A", 1000).await;
    let client = harness.operator();
    let orders = join_all((0..40).map(|_| client.order_create().body(new_order(&[(a, 1)])).send()));
    let adjustments = join_all((0..20).map(|_| {
        let delivery = types::StockAdjustmentInput::builder().delta(10).reason("delivery");
        client.stock_adjustment_create().id(a).body(delivery).send()
    }));
    let edits = join_all(
        (0..20).map(|n| client.product_update().id(a).body(ProductPatch::builder().price_cents(100 + n)).send()),
    );
    let counts = join_all((0..10).map(|_| increment_stock(&harness, a)));
    let (orders, adjustments, edits, _) = tokio::join!(orders, adjustments, edits, counts);
    assert!(
        orders.iter().all(Result::is_ok) && adjustments.iter().all(Result::is_ok) && edits.iter().all(Result::is_ok)
    );
    let product = harness.operator().product_view().id(a).send().await.unwrap().into_inner();
    assert_eq!((product.stock, product.version), (1000 - 40 + 200 + 10, 1 + 40 + 20 + 20 + 10));
    for order in &orders {
        let item = &order.as_ref().unwrap().items[0];
        assert!((100..120).contains(&item.unit_price_cents));
    }
    invariants::check(&harness).await;
}

/// Reads the stock and sets it to one more. Retries until no other change occurs between the read and the update.
async fn increment_stock(harness: &Harness, product: i64) {
    loop {
        let seen = harness.stock(product).await;
        let patch = ProductPatch::builder().stock(seen + 1).expected_stock(seen);
        let set = harness.operator().product_update().id(product).body(patch).send().await;
        if set.is_ok() {
            return;
        }
        assert_eq!(error_of(set), api_error(409, "stock_changed"));
    }
}
