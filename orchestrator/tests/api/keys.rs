//! Idempotency keys: retries after a success, a failure and a crash.

use lambda_http::{Context, LambdaEvent};
use orchestrator::lambda;
use orders_api::OrderStatus;
use serde_json::json;

use crate::entry_points::event;
use crate::fake_orders::INITIAL_STOCK;
use crate::fault_proxy::{ALWAYS, Fault};
use crate::harness::{Harness, order_body};

const CREATE: &str = "POST /orders";
const CONFIRM: &str = "POST /orders/{id}/confirm";

#[tokio::test]
async fn repeated_request_returns_the_same_bytes() {
    let harness = Harness::new().await;
    let first = harness.order("a").await;
    first.assert_succeeded();
    let second = harness.order("a").await;
    assert_eq!((second.status, second.text), (201, first.text));
    assert_eq!(harness.store().confirmations, 1);
    assert_eq!(harness.store().stock(), INITIAL_STOCK - 3);
}

#[tokio::test]
async fn different_correlation_id_is_a_replay() {
    let harness = Harness::new().await;
    harness.order("a").await.assert_succeeded();
    let mut retry = order_body("a");
    retry["correlation_id"] = json!("another");
    let reply = harness.send(&retry).await;
    reply.assert_succeeded();
    assert_eq!(reply.json()["correlationId"], "another");
    assert_eq!(harness.store().orders.len(), 1);
}

#[tokio::test]
async fn same_key_with_a_different_request_is_rejected() {
    let harness = Harness::new().await;
    harness.order("a").await.assert_succeeded();
    let mut other = order_body("a");
    other["items"][0]["qty"] = json!(4);
    harness.send(&other).await.assert_failed(422, "idempotency_key_reused", "create", "not_needed", false);
    assert_eq!(harness.store().stock(), INITIAL_STOCK - 3);
}

#[tokio::test]
async fn key_of_a_canceled_order_is_spent() {
    let harness = Harness::new().await;
    harness.orders.inject(CONFIRM, 4, Fault::GatewayResponse(503));
    harness.order("a").await.assert_failed(503, "confirm_failed", "confirm", "done", false);
    let reply = harness.order("a").await;
    reply.assert_failed(409, "idempotency_key_spent", "confirm", "not_needed", false);
    assert_eq!(reply.json()["error"]["order_id"], 101);
    assert_eq!(harness.store().only_order(), OrderStatus::Canceled);
    harness.order("b").await.assert_succeeded();
}

#[tokio::test]
async fn abandoned_key_is_spent() {
    let harness = Harness::new().await;
    harness.orders.inject(CREATE, 4, Fault::RequestDropped);
    harness.order("a").await.assert_failed(504, "create_outcome_unknown", "create", "not_needed", false);
    harness.order("a").await.assert_failed(409, "idempotency_key_spent", "create", "not_needed", false);
    assert_eq!(harness.store().orders.len(), 0);
}

#[tokio::test]
async fn same_key_resumes_after_a_function_is_killed() {
    let harness = Harness::new().await;
    harness.orders.inject(CONFIRM, 1, Fault::RequestStalled);
    let function = harness.function();
    let event = LambdaEvent::new(event(&order_body("a")), Context::default());
    tokio::select! {
        _ = lambda::answer(&function, event) => panic!("the function responded before it was killed"),
        () = harness.orders.wait_for_request(CONFIRM) => {}
    }
    assert_eq!(harness.store().only_order(), OrderStatus::Created);
    harness.order("a").await.assert_succeeded();
    assert_eq!(harness.store().only_order(), OrderStatus::Confirmed);
}

#[tokio::test]
async fn refused_key_succeeds_after_restocking() {
    let harness = Harness::new().await;
    harness.store().allocated = INITIAL_STOCK;
    harness.order("a").await.assert_failed(409, "insufficient_stock", "create", "not_needed", true);
    harness.store().allocated = 0;
    harness.order("a").await.assert_succeeded();
}

#[tokio::test]
async fn different_keys_create_different_orders() {
    let harness = Harness::new().await;
    harness.order("a").await.assert_succeeded();
    harness.order("A").await.assert_succeeded();
    assert_eq!(harness.store().orders.len(), 2);
}

#[tokio::test]
async fn replay_succeeds_while_confirm_fails() {
    let harness = Harness::new().await;
    harness.order("a").await.assert_succeeded();
    harness.orders.inject(CONFIRM, ALWAYS, Fault::GatewayResponse(503));
    harness.order("a").await.assert_succeeded();
    assert_eq!(harness.store().only_order(), OrderStatus::Confirmed);
}
