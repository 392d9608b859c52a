//! The saga with the real services on a seeded database, behind fault proxies.

use orders_client::types::OrderStatus;
use serde_json::json;

use crate::fake_orders::{PRICE_CENTS, PRODUCT};
use crate::fault_proxy::{ALWAYS, Fault};
use crate::harness;
use crate::services::System;

const CREATE: &str = "POST /orders";
const CONFIRM: &str = "POST /orders/{id}/confirm";
const CANCEL: &str = "POST /orders/{id}/cancel";
const ABANDON: &str = "POST /internal/orders/abandon";

#[tokio::test(flavor = "multi_thread")]
async fn sample_request_creates_a_confirmed_order_and_replays_it() {
    let system = System::start().await;
    let first = system.order("abc-123").await;
    first.assert_succeeded();
    let body = first.json();
    assert_eq!(body["correlationId"], "req-789");
    assert_eq!(body["data"]["customer"]["email"], "ops@acme.com");
    let order = &body["data"]["order"];
    assert_eq!(order["total_cents"], PRICE_CENTS * 3);
    let item = json!({
        "product_id": PRODUCT, "qty": 3, "unit_price_cents": PRICE_CENTS, "subtotal_cents": PRICE_CENTS * 3
    });
    assert_eq!(order["items"], json!([item]));
    let second = system.order("abc-123").await;
    assert_eq!((second.status, &second.text), (201, &first.text));
    assert_eq!(system.allocated().await, 3);
    let mut other = harness::order_body("abc-123");
    other["items"][0]["qty"] = json!(4);
    system.send(&other).await.assert_failed(422, "idempotency_key_reused", "create", "not_needed", false);
    assert_eq!(system.allocated().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn upstream_refusals_are_reported() {
    let system = System::start().await;
    let changed = |pointer: &str, value: i64| {
        let mut body = harness::order_body("a");
        *body.pointer_mut(pointer).unwrap() = json!(value);
        system.send(&body)
    };
    let unknown = 1_000_000_000;
    let reply = changed("/customer_id", unknown).await;
    reply.assert_failed(404, "customer_not_found", "validate", "not_needed", false);
    let reply = changed("/items/0/product_id", unknown).await;
    reply.assert_failed(404, "product_not_found", "create", "not_needed", false);
    assert_eq!(reply.json()["error"]["details"][0]["product_id"], unknown);
    let requested = system.initial_stock() + 1;
    let reply = changed("/items/0/qty", requested).await;
    reply.assert_failed(409, "insufficient_stock", "create", "not_needed", true);
    let detail = json!([{ "product_id": PRODUCT, "requested": requested, "available": system.initial_stock() }]);
    assert_eq!(reply.json()["error"]["details"], detail);
    assert_eq!(system.allocated().await, 0);
    system.order("a").await.assert_succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_requests_and_responses_yield_one_confirmed_order_each() {
    let system = System::start().await;
    let faults = [Fault::RequestDropped, Fault::ResponseDropped, Fault::ResponseTruncated, Fault::GatewayResponse(502)];
    let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let rows = [CREATE, CONFIRM].iter().flat_map(|request| faults.map(|fault| (*request, fault)));
    for ((request, fault), key) in rows.zip(keys) {
        system.orders.inject(request, 1, fault);
        system.order(key).await.assert_succeeded();
    }
    assert_eq!(system.allocated().await, 3 * 8);
}

/// Duplicates every request of a step or compensation. Before that, another fault may be applied to the first 4
/// requests of one kind.
fn duplicate_all_requests(system: &System, first: Option<(&'static str, Fault)>) {
    system.orders.restore();
    if let Some((request, fault)) = first {
        system.orders.inject(request, 4, fault);
    }
    for request in [CREATE, CONFIRM, CANCEL, ABANDON] {
        system.orders.inject(request, ALWAYS, Fault::Duplicated);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicated_steps_and_compensations_have_one_effect() {
    let system = System::start().await;
    duplicate_all_requests(&system, None);
    system.order("a").await.assert_succeeded();
    duplicate_all_requests(&system, Some((CONFIRM, Fault::RequestDropped)));
    system.order("b").await.assert_failed(503, "confirm_failed", "confirm", "done", false);
    duplicate_all_requests(&system, Some((CREATE, Fault::ResponseDropped)));
    system.order("c").await.assert_failed(504, "create_outcome_unknown", "create", "done", false);
    assert_eq!(system.allocated().await, 3);
    for (status, events) in [("CREATED", 3), ("CONFIRMED", 1), ("CANCELED", 2)] {
        let counted = format!("SELECT COUNT(*) AS n FROM order_events WHERE to_status = '{status}'");
        assert_eq!(system.query_number(&counted).await, events, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_create_is_abandoned_and_its_key_is_spent() {
    let system = System::start().await;
    system.orders.inject(CREATE, 4, Fault::RequestDropped);
    system.order("never").await.assert_failed(504, "create_outcome_unknown", "create", "not_needed", false);
    system.order("never").await.assert_failed(409, "idempotency_key_spent", "create", "not_needed", false);
    system.orders.inject(CREATE, 4, Fault::ResponseDropped);
    let reply = system.order("arrived").await;
    reply.assert_failed(504, "create_outcome_unknown", "create", "done", false);
    assert_eq!(system.view(&reply.json()["error"]["order_id"]).await.status, OrderStatus::Canceled);
    system.order("arrived").await.assert_failed(409, "idempotency_key_spent", "confirm", "not_needed", false);
    assert_eq!(system.allocated().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_create_is_refused() {
    let system = System::start().await;
    system.orders.inject(CREATE, 4, Fault::RequestStalled);
    system.order("a").await.assert_failed(504, "create_outcome_unknown", "create", "not_needed", false);
    assert_eq!(system.orders.deliver_held().await, 409);
    assert_eq!(system.allocated().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn unconfirmable_order_is_canceled_once() {
    let system = System::start().await;
    system.orders.inject(CONFIRM, 4, Fault::RequestDropped);
    system.orders.inject(CANCEL, 1, Fault::ResponseDropped);
    let reply = system.order("a").await;
    reply.assert_failed(503, "confirm_failed", "confirm", "done", false);
    assert_eq!(system.view(&reply.json()["error"]["order_id"]).await.status, OrderStatus::Canceled);
    assert_eq!(system.allocated().await, 0);
    system.order("a").await.assert_failed(409, "idempotency_key_spent", "confirm", "not_needed", false);
}

#[tokio::test(flavor = "multi_thread")]
async fn confirm_with_lost_responses_succeeds() {
    let system = System::start().await;
    system.orders.inject(CONFIRM, ALWAYS, Fault::ResponseDropped);
    let reply = system.order("a").await;
    reply.assert_succeeded();
    assert_eq!(system.view(&reply.json()["data"]["order"]["id"]).await.status, OrderStatus::Confirmed);
    assert_eq!(system.allocated().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn same_key_resolves_pending_compensation() {
    let system = System::start().await;
    system.orders.inject(CONFIRM, 4, Fault::RequestDropped);
    system.orders.inject(CANCEL, 4, Fault::RequestDropped);
    let reply = system.order("a").await;
    reply.assert_failed(504, "compensation_pending", "confirm", "pending", true);
    assert_eq!(system.view(&reply.json()["error"]["order_id"]).await.status, OrderStatus::Created);
    system.order("a").await.assert_succeeded();
    assert_eq!(system.allocated().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn order_canceled_by_an_operator_is_reported() {
    let system = System::start().await;
    system.orders.inject(CONFIRM, 1, Fault::RequestStalled);
    let (reply, ()) = tokio::join!(system.order("a"), async {
        system.orders.wait_for_request(CONFIRM).await;
        let newest = system.newest_order().await;
        client_common::send(system.operator().order_cancel().id(newest).send()).await.unwrap();
    });
    reply.assert_failed(409, "order_canceled", "confirm", "done", false);
    assert_eq!(system.allocated().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn same_key_32_times_concurrently_creates_one_order_despite_lost_responses() {
    let system = System::start().await;
    // One fewer than the number of attempts in a run, so that no run loses all of its responses.
    system.orders.inject(CREATE, 3, Fault::ResponseDropped);
    system.orders.inject(CONFIRM, 3, Fault::ResponseDropped);
    let body = harness::order_body("a");
    let replies = tokio::task::JoinSet::from_iter((0..32).map(|_| system.send(&body))).join_all().await;
    let (confirmed, others): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 201);
    assert!(!confirmed.is_empty(), "{}", others[0].text);
    for reply in &confirmed {
        assert_eq!(reply.text, confirmed[0].text);
    }
    for other in others {
        assert_eq!((other.status, &other.json()["error"]["code"]), (409, &json!("idempotency_in_progress")));
    }
    let compensations = [CANCEL, ABANDON];
    assert!(!system.orders.requests().iter().any(|request| compensations.contains(&request.as_str())));
    assert_eq!(system.allocated().await, 3);
}
