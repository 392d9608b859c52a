//! Failures whose effects outlast a saga run, with the real services: a crash of the orders server, an expired
//! reservation, a deleted customer, and an idempotency key that another transaction has locked.

use std::time::Duration;

use client_common::Retry;
use diesel_async::SimpleAsyncConnection;
use orchestrator::Policy;
use orders_client::types::OrderStatus;
use serde_json::{Value, json};

use crate::fault_proxy::{ALWAYS, Fault};
use crate::harness::{self, POLICY};
use crate::services::System;

const VIEW: &str = "GET /internal/customers/{id}";
const CREATE: &str = "POST /orders";
const CONFIRM: &str = "POST /orders/{id}/confirm";
const CANCEL: &str = "POST /orders/{id}/cancel";
const ABANDON: &str = "POST /internal/orders/abandon";

/// Opens a transaction that blocks changes and inserts of idempotency keys.
const LOCK_ALL_KEYS: &str = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; BEGIN; \
     SELECT `key` FROM idempotency_keys FOR UPDATE";

/// Runs a saga that leaves an order that is neither confirmed nor canceled. Returns the ID of the order.
async fn leave_unconfirmed(system: &System) -> Value {
    system.orders.inject(CONFIRM, 4, Fault::RequestDropped);
    system.orders.inject(CANCEL, 4, Fault::RequestDropped);
    let reply = system.order("a").await;
    reply.assert_failed(504, "compensation_pending", "confirm", "pending", true);
    reply.json()["error"]["order_id"].clone()
}

#[track_caller]
fn assert_not_compensated(system: &System) {
    let seen = system.orders.requests();
    assert!(!seen.iter().any(|request| [CANCEL, ABANDON].contains(&request.as_str())), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn same_key_resolves_a_crash_of_the_orders_server_during_confirm() {
    let mut system = System::start().await;
    system.orders.inject(CONFIRM, 1, Fault::RequestStalled);
    let first = tokio::spawn(system.send(&harness::order_body("a")));
    system.orders.wait_for_request(CONFIRM).await;
    let id = system.newest_order().await;
    let mut blocker = system.connection().await;
    blocker.batch_execute(&format!("BEGIN; SELECT id FROM orders WHERE id = {id} FOR UPDATE")).await.unwrap();
    system.wait_until_key_is_locked().await;
    system.kill_orders();
    blocker.batch_execute("ROLLBACK").await.unwrap();
    first.await.unwrap().assert_failed(504, "compensation_pending", "confirm", "pending", true);
    system.restart_orders();
    let reply = system.order("a").await;
    reply.assert_succeeded();
    assert_eq!(reply.json()["data"]["order"]["id"], id);
    assert_eq!(system.allocated().await, 3);
    let events = format!("SELECT COUNT(*) AS n FROM order_events WHERE order_id = {id}");
    assert_eq!(system.query_number(&events).await, 2, "the order is created once and confirmed once");
}

#[tokio::test(flavor = "multi_thread")]
async fn key_of_an_order_with_expired_reservation_is_spent() {
    let system = System::start().await;
    let id = leave_unconfirmed(&system).await;
    assert_eq!(system.allocated().await, 3);
    let expire = format!("UPDATE orders SET reserved_until = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND WHERE id = {id}");
    system.connection().await.batch_execute(&expire).await.unwrap();
    let canceled = format!("SELECT COUNT(*) AS n FROM orders WHERE id = {id} AND status = 'CANCELED'");
    system.wait_until_count(&canceled, 1).await;
    assert_eq!(system.allocated().await, 0);
    let reply = system.order("a").await;
    reply.assert_failed(409, "idempotency_key_spent", "confirm", "not_needed", false);
    assert_eq!(reply.json()["error"]["order_id"], id);
    assert_eq!(system.allocated().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmed_order_of_a_deleted_customer_is_returned() {
    let system = System::start().await;
    // Two request lines for one product become one order line; the order still matches the request.
    let mut body = harness::order_body("a");
    let item = body["items"][0].clone();
    body["items"].as_array_mut().unwrap().push(item);
    let first = system.send(&body).await;
    first.assert_succeeded();
    let id = &first.json()["data"]["order"]["id"];
    system.customers.inject(VIEW, 4, Fault::RequestDropped);
    let reply = system.send(&body).await;
    reply.assert_failed(503, "upstream_unavailable", "validate", "not_needed", true);
    assert_eq!(&reply.json()["error"]["order_id"], id);
    system.delete_customer().await;
    let reply = system.send(&body).await;
    assert_eq!((reply.status, reply.text), (201, first.text.clone()));
    assert_eq!(system.view(id).await.status, OrderStatus::Confirmed);
    let reply = system.order("a").await;
    reply.assert_failed(422, "idempotency_key_reused", "validate", "not_needed", false);
    let reply = system.order("another").await;
    reply.assert_failed(404, "customer_not_found", "validate", "not_needed", false);
    assert_eq!(reply.json()["error"]["order_id"], json!(null));
    assert_eq!(system.allocated().await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn unconfirmed_order_of_a_deleted_customer_is_pending() {
    let system = System::start().await;
    let id = leave_unconfirmed(&system).await;
    system.delete_customer().await;
    let reply = system.order("a").await;
    reply.assert_failed(504, "compensation_pending", "validate", "pending", true);
    assert_eq!(reply.json()["error"]["order_id"], id);
    assert_eq!(system.view(&id).await.status, OrderStatus::Created);
}

/// Policy whose attempts have enough time on a busy machine. The orders service's tests verify that it responds within
/// the attempt time limit of the default policy.
const TWO_ATTEMPTS: Policy = Policy {
    retry: Retry { total: Duration::from_secs(45), attempt: Duration::from_secs(10), attempts: 2, ..POLICY.retry },
    ..POLICY
};

#[tokio::test(flavor = "multi_thread")]
async fn create_key_held_elsewhere_is_waited_for_and_not_compensated() {
    let system = System::with_policy(TWO_ATTEMPTS).await;
    let mut other = system.connection().await;
    other.batch_execute(LOCK_ALL_KEYS).await.unwrap();
    system.order("a").await.assert_failed(409, "idempotency_in_progress", "create", "not_needed", true);
    let waiting = tokio::spawn(system.send(&harness::order_body("a")));
    system.orders.wait_for_requests(CREATE, 3).await;
    other.batch_execute("ROLLBACK").await.unwrap();
    waiting.await.unwrap().assert_succeeded();
    assert_not_compensated(&system);
    assert_eq!(system.allocated().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn confirm_key_held_elsewhere_is_waited_for_and_not_compensated() {
    let system = System::with_policy(TWO_ATTEMPTS).await;
    system.orders.inject(CONFIRM, ALWAYS, Fault::Error(409, "idempotency_in_progress"));
    system.order("a").await.assert_failed(409, "idempotency_in_progress", "confirm", "not_needed", true);
    system.orders.restore();
    let mut other = system.connection().await;
    other.batch_execute(LOCK_ALL_KEYS).await.unwrap();
    let reply = system.order("a").await;
    reply.assert_failed(409, "idempotency_in_progress", "confirm", "not_needed", true);
    assert_eq!(reply.json()["error"]["order_id"], json!(system.newest_order().await));
    other.batch_execute("ROLLBACK").await.unwrap();
    system.order("a").await.assert_succeeded();
    assert_not_compensated(&system);
    assert_eq!(system.allocated().await, 3);
}
