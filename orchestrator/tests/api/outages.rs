//! What outlives a run: the orders server dies and comes back, the reservation passes, the customer goes, somebody else
//! holds the key. All of it with the real services.

use std::time::Duration;

use client_common::Retry;
use diesel_async::SimpleAsyncConnection;
use orchestrator::Policy;
use orders_client::types::OrderStatus;
use serde_json::{Value, json};

use crate::line::{ALWAYS, Mishap};
use crate::services::System;
use crate::world::{self, POLICY};

const VIEW: &str = "GET /internal/customers/{id}";
const CREATE: &str = "POST /orders";
const CONFIRM: &str = "POST /orders/{id}/confirm";
const CANCEL: &str = "POST /orders/{id}/cancel";
const ABANDON: &str = "POST /internal/orders/abandon";

/// In their own transaction, these let nobody change or insert a key.
const HOLD_ALL_KEYS: &str = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; BEGIN; \
     SELECT `key` FROM idempotency_keys FOR UPDATE";

/// Leaves an order that is neither confirmed nor canceled, and gives its id.
async fn leave_unconfirmed(system: &System) -> Value {
    system.orders.on(CONFIRM, 4, Mishap::RequestLost);
    system.orders.on(CANCEL, 4, Mishap::RequestLost);
    let reply = system.order("a").await;
    reply.failed(504, "compensation_pending", "confirm", "pending", true);
    reply.json()["error"]["order_id"].clone()
}

#[track_caller]
fn nothing_was_undone(system: &System) {
    let seen = system.orders.seen();
    assert!(!seen.iter().any(|request| [CANCEL, ABANDON].contains(&request.as_str())), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orders_server_that_dies_while_it_confirms_is_resolved_by_the_same_key() {
    let mut system = System::start().await;
    system.orders.on(CONFIRM, 1, Mishap::RequestStuck);
    let first = tokio::spawn(system.sending(&world::order("a")));
    system.orders.until_seen(CONFIRM).await;
    let id = system.newest_order().await;
    let mut in_the_way = system.connection().await;
    in_the_way.batch_execute(&format!("BEGIN; SELECT id FROM orders WHERE id = {id} FOR UPDATE")).await.unwrap();
    system.until_a_key_is_held().await;
    system.kill_orders();
    in_the_way.batch_execute("ROLLBACK").await.unwrap();
    first.await.unwrap().failed(504, "compensation_pending", "confirm", "pending", true);
    system.restart_orders();
    let reply = system.order("a").await;
    reply.succeeded();
    assert_eq!(reply.json()["data"]["order"]["id"], id);
    assert_eq!(system.taken().await, 3);
    let events = format!("SELECT COUNT(*) AS n FROM order_events WHERE order_id = {id}");
    assert_eq!(system.number(&events).await, 2, "it is made once and confirmed once");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_an_order_whose_reservation_has_passed_is_spent() {
    let system = System::start().await;
    let id = leave_unconfirmed(&system).await;
    assert_eq!(system.taken().await, 3);
    let pass = format!("UPDATE orders SET reserved_until = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND WHERE id = {id}");
    system.connection().await.batch_execute(&pass).await.unwrap();
    let canceled = format!("SELECT COUNT(*) AS n FROM orders WHERE id = {id} AND status = 'CANCELED'");
    system.becomes(&canceled, 1).await;
    assert_eq!(system.taken().await, 0);
    let reply = system.order("a").await;
    reply.failed(409, "idempotency_key_spent", "confirm", "not_needed", false);
    assert_eq!(reply.json()["error"]["order_id"], id);
    assert_eq!(system.taken().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_confirmed_order_of_a_customer_who_is_gone_is_told() {
    let system = System::start().await;
    // Lines of one product are one line of the order, and still the same request.
    let mut body = world::order("a");
    let line = body["items"][0].clone();
    body["items"].as_array_mut().unwrap().push(line);
    let first = system.sending(&body).await;
    first.succeeded();
    let id = &first.json()["data"]["order"]["id"];
    system.customers.on(VIEW, 4, Mishap::RequestLost);
    let reply = system.sending(&body).await;
    reply.failed(503, "upstream_unavailable", "validate", "not_needed", true);
    assert_eq!(&reply.json()["error"]["order_id"], id);
    system.delete_customer().await;
    let reply = system.sending(&body).await;
    reply.failed(404, "customer_not_found", "validate", "not_needed", false);
    assert_eq!(&reply.json()["error"]["order_id"], id);
    assert_eq!(system.view(id).await.status, OrderStatus::Confirmed);
    let reply = system.order("another").await;
    reply.failed(404, "customer_not_found", "validate", "not_needed", false);
    assert_eq!(reply.json()["error"]["order_id"], json!(null));
    assert_eq!(system.taken().await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_left_unconfirmed_by_a_customer_who_is_gone_is_pending() {
    let system = System::start().await;
    let id = leave_unconfirmed(&system).await;
    system.delete_customer().await;
    let reply = system.order("a").await;
    reply.failed(504, "compensation_pending", "validate", "pending", true);
    assert_eq!(reply.json()["error"]["order_id"], id);
    assert_eq!(system.view(&id).await.status, OrderStatus::Created);
}

/// Attempts long enough for a busy machine: that the orders service answers within a real one is shown there.
const TWO_ATTEMPTS: Policy = Policy {
    retry: Retry { total: Duration::from_secs(45), attempt: Duration::from_secs(10), attempts: 2, ..POLICY.retry },
    ..POLICY
};

#[tokio::test(flavor = "multi_thread")]
async fn a_create_key_that_another_holds_is_waited_for_and_nothing_is_undone() {
    let system = System::with_policy(TWO_ATTEMPTS).await;
    let mut other = system.connection().await;
    other.batch_execute(HOLD_ALL_KEYS).await.unwrap();
    system.order("a").await.failed(409, "idempotency_in_progress", "create", "not_needed", true);
    let waiting = tokio::spawn(system.sending(&world::order("a")));
    system.orders.until_seen_times(CREATE, 3).await;
    other.batch_execute("ROLLBACK").await.unwrap();
    waiting.await.unwrap().succeeded();
    nothing_was_undone(&system);
    assert_eq!(system.taken().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirm_key_that_another_holds_is_waited_for_and_nothing_is_undone() {
    let system = System::with_policy(TWO_ATTEMPTS).await;
    system.orders.on(CONFIRM, ALWAYS, Mishap::Error(409, "idempotency_in_progress"));
    system.order("a").await.failed(409, "idempotency_in_progress", "confirm", "not_needed", true);
    system.orders.mend();
    let mut other = system.connection().await;
    other.batch_execute(HOLD_ALL_KEYS).await.unwrap();
    let reply = system.order("a").await;
    reply.failed(409, "idempotency_in_progress", "confirm", "not_needed", true);
    assert_eq!(reply.json()["error"]["order_id"], json!(system.newest_order().await));
    other.batch_execute("ROLLBACK").await.unwrap();
    system.order("a").await.succeeded();
    nothing_was_undone(&system);
    assert_eq!(system.taken().await, 3);
}
