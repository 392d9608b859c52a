//! The first step: asking whether the customer exists. Whatever fails here, this request did nothing; an earlier one with
//! the key may have.

use orders_api::OrderStatus;
use serde_json::json;

use crate::line::{ALWAYS, Mishap};
use crate::world::{World, order};

const VIEW: &str = "GET /internal/customers/{id}";
const LOOKUP: &str = "GET /internal/orders/lookup";
const CONFIRM: &str = "POST /orders/{id}/confirm";
const CANCEL: &str = "POST /orders/{id}/cancel";

#[tokio::test]
async fn a_customer_nobody_knows_is_not_found() {
    let world = World::new().await;
    let mut body = order("a");
    body["customer_id"] = json!(7);
    let reply = world.send(&body).await;
    reply.failed(404, "customer_not_found", "validate", "not_needed", false);
    assert_eq!(reply.attempts(), 1);
    assert_eq!(world.orders.seen(), [LOOKUP]);
}

#[tokio::test]
async fn a_customers_service_that_keeps_failing_is_unavailable() {
    for mishap in [Mishap::Gateway(502), Mishap::Error(500, "internal"), Mishap::RequestLost, Mishap::AnswerCut] {
        let world = World::new().await;
        world.customers.on(VIEW, ALWAYS, mishap);
        let reply = world.order("a").await;
        reply.failed(503, "upstream_unavailable", "validate", "not_needed", true);
        assert_eq!(reply.attempts(), 4, "{mishap:?}");
        assert_eq!(reply.headers["retry-after"], "1");
        assert_eq!(world.orders.seen(), [LOOKUP]);
    }
}

#[tokio::test]
async fn a_customers_service_that_refuses_connections_is_unavailable() {
    let world = World::new().await;
    world.customers.close().await;
    let reply = world.order("a").await;
    reply.failed(503, "upstream_unavailable", "validate", "not_needed", true);
    assert_eq!(reply.attempts(), 4);
}

#[tokio::test]
async fn a_customers_service_that_never_answers_is_a_timeout() {
    let world = World::new().await;
    world.customers.on(VIEW, ALWAYS, Mishap::RequestStuck);
    let reply = world.order("a").await;
    reply.failed(504, "upstream_timeout", "validate", "not_needed", true);
    assert_eq!(reply.attempts(), 4);
    assert_eq!(world.orders.seen(), [LOOKUP]);
}

#[tokio::test]
async fn a_customers_service_that_fails_twice_and_then_answers_is_good_enough() {
    let world = World::new().await;
    world.customers.on(VIEW, 1, Mishap::Gateway(503));
    world.customers.on(VIEW, 1, Mishap::RequestLost);
    world.order("a").await.succeeded();
    assert_eq!(world.customers.seen(), [VIEW, VIEW, VIEW]);
}

#[tokio::test]
async fn refused_credentials_are_our_fault_and_what_was_said_does_not_leak() {
    for mishap in [Mishap::Error(401, "unauthorized"), Mishap::Error(403, "forbidden"), Mishap::Gateway(401)] {
        let world = World::new().await;
        world.customers.on(VIEW, ALWAYS, mishap);
        let reply = world.order("a").await;
        reply.failed(502, "upstream_auth", "validate", "not_needed", true);
        assert_eq!(reply.attempts(), 1);
        assert!(!reply.text.contains("hidden"), "{}", reply.text);
    }
}

#[tokio::test]
async fn a_request_that_the_customers_service_refuses_is_not_sent_again() {
    let world = World::new().await;
    world.customers.on(VIEW, ALWAYS, Mishap::Error(400, "invalid_request"));
    let reply = world.order("a").await;
    reply.failed(502, "upstream_invalid", "validate", "not_needed", false);
    assert_eq!(world.customers.seen(), [VIEW]);
}

#[tokio::test]
async fn the_order_that_an_earlier_run_confirmed_is_told_also_when_nobody_can_ask_for_its_customer() {
    let rows =
        [(Mishap::Gateway(503), 503, "upstream_unavailable", true), (NO_CUSTOMER, 404, "customer_not_found", false)];
    for (mishap, status, code, safe_to_retry) in rows {
        let world = World::new().await;
        world.order("a").await.succeeded();
        world.customers.on(VIEW, ALWAYS, mishap);
        let reply = world.order("a").await;
        reply.failed(status, code, "validate", "not_needed", safe_to_retry);
        assert_eq!(reply.json()["error"]["order_id"], 101);
        assert_eq!(world.shop().only_order(), OrderStatus::Confirmed);
    }
}

#[tokio::test]
async fn the_order_that_an_earlier_run_left_unconfirmed_is_pending() {
    for mishap in [Mishap::Gateway(503), NO_CUSTOMER] {
        let world = World::new().await;
        leave_unconfirmed(&world).await;
        world.customers.on(VIEW, 4, mishap);
        let reply = world.order("a").await;
        reply.failed(504, "compensation_pending", "validate", "pending", true);
        assert_eq!(reply.json()["error"]["order_id"], 101);
        assert_eq!(world.shop().only_order(), OrderStatus::Created);
    }
}

#[tokio::test]
async fn the_key_of_an_order_that_was_canceled_is_spent_whoever_fails() {
    let world = World::new().await;
    leave_unconfirmed(&world).await;
    world.shop().cancel_all();
    world.customers.on(VIEW, ALWAYS, Mishap::Gateway(503));
    let reply = world.order("a").await;
    reply.failed(409, "idempotency_key_spent", "validate", "not_needed", false);
    assert_eq!(reply.json()["error"]["order_id"], 101);
}

#[tokio::test]
async fn the_key_of_another_order_is_no_good_whoever_fails() {
    let world = World::new().await;
    world.order("a").await.succeeded();
    world.customers.on(VIEW, ALWAYS, Mishap::Gateway(503));
    for (pointer, value) in [("/items/0/qty", 4), ("/items/0/product_id", 9), ("/customer_id", 2)] {
        let mut other = order("a");
        *other.pointer_mut(pointer).unwrap() = json!(value);
        let reply = world.send(&other).await;
        reply.failed(422, "idempotency_key_reused", "validate", "not_needed", false);
        assert_eq!(reply.json()["error"]["order_id"], json!(null), "the order is another request's");
    }
}

#[tokio::test]
async fn with_both_services_gone_this_request_has_done_nothing_at_least() {
    let world = World::new().await;
    world.customers.close().await;
    world.orders.close().await;
    world.order("a").await.failed(503, "upstream_unavailable", "validate", "not_needed", true);
}

const NO_CUSTOMER: Mishap = Mishap::Error(404, "customer_not_found");

async fn leave_unconfirmed(world: &World) {
    world.orders.on(CONFIRM, 4, Mishap::RequestLost);
    world.orders.on(CANCEL, 4, Mishap::RequestLost);
    world.order("a").await.failed(504, "compensation_pending", "confirm", "pending", true);
}
