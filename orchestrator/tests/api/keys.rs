//! The same key again: in sequence, at once, after a failure, after a death.

use lambda_http::{Context, LambdaEvent};
use orchestrator::lambda;
use orders_api::OrderStatus;
use serde_json::json;

use crate::fake_orders::FIRST_STOCK;
use crate::fronts::event;
use crate::line::{ALWAYS, Mishap};
use crate::world::{World, order};

const CREATE: &str = "POST /orders";
const CONFIRM: &str = "POST /orders/{id}/confirm";

#[tokio::test]
async fn the_same_request_again_is_answered_with_the_same_bytes() {
    let world = World::new().await;
    let first = world.order("a").await;
    first.succeeded();
    let second = world.order("a").await;
    assert_eq!((second.status, second.text), (201, first.text));
    assert_eq!(world.shop().confirmations, 1);
    assert_eq!(world.shop().stock(), FIRST_STOCK - 3);
}

#[tokio::test]
async fn another_correlation_id_is_no_other_request() {
    let world = World::new().await;
    world.order("a").await.succeeded();
    let mut again = order("a");
    again["correlation_id"] = json!("another");
    let reply = world.send(&again).await;
    reply.succeeded();
    assert_eq!(reply.json()["correlationId"], "another");
    assert_eq!(world.shop().orders.len(), 1);
}

#[tokio::test]
async fn another_request_under_the_same_key_is_refused() {
    let world = World::new().await;
    world.order("a").await.succeeded();
    let mut other = order("a");
    other["items"][0]["qty"] = json!(4);
    world.send(&other).await.failed(422, "idempotency_key_reused", "create", "not_needed", false);
    assert_eq!(world.shop().stock(), FIRST_STOCK - 3);
}

#[tokio::test]
async fn a_key_whose_order_was_undone_is_spent() {
    let world = World::new().await;
    world.orders.on(CONFIRM, 4, Mishap::Gateway(503));
    world.order("a").await.failed(503, "confirm_failed", "confirm", "done", false);
    let reply = world.order("a").await;
    reply.failed(409, "idempotency_key_spent", "confirm", "not_needed", false);
    assert_eq!(reply.json()["error"]["order_id"], 101);
    assert_eq!(world.shop().only_order(), OrderStatus::Canceled);
    world.order("b").await.succeeded();
}

#[tokio::test]
async fn a_key_that_was_given_up_is_spent() {
    let world = World::new().await;
    world.orders.on(CREATE, 4, Mishap::RequestLost);
    world.order("a").await.failed(504, "create_outcome_unknown", "create", "not_needed", false);
    world.order("a").await.failed(409, "idempotency_key_spent", "create", "not_needed", false);
    assert_eq!(world.shop().orders.len(), 0);
}

#[tokio::test]
async fn a_function_killed_after_the_create_is_resumed_by_the_same_key() {
    let world = World::new().await;
    world.orders.on(CONFIRM, 1, Mishap::RequestStuck);
    let function = world.function();
    let event = LambdaEvent::new(event(&order("a")), Context::default());
    tokio::select! {
        _ = lambda::answer(&function, event) => panic!("answered before it was killed"),
        () = world.orders.until_seen(CONFIRM) => {}
    }
    assert_eq!(world.shop().only_order(), OrderStatus::Created);
    world.order("a").await.succeeded();
    assert_eq!(world.shop().only_order(), OrderStatus::Confirmed);
}

#[tokio::test]
async fn stock_that_comes_back_makes_a_refused_key_good_again() {
    let world = World::new().await;
    world.shop().taken = FIRST_STOCK;
    world.order("a").await.failed(409, "insufficient_stock", "create", "not_needed", true);
    world.shop().taken = 0;
    world.order("a").await.succeeded();
}

#[tokio::test]
async fn two_keys_are_two_orders() {
    let world = World::new().await;
    world.order("a").await.succeeded();
    world.order("A").await.succeeded();
    assert_eq!(world.shop().orders.len(), 2);
}

#[tokio::test]
async fn a_replay_while_the_orders_service_fails_changes_nothing() {
    let world = World::new().await;
    world.order("a").await.succeeded();
    world.orders.on(CONFIRM, ALWAYS, Mishap::Gateway(503));
    world.order("a").await.succeeded();
    assert_eq!(world.shop().only_order(), OrderStatus::Confirmed);
}
