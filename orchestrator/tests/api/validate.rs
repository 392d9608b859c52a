//! The first step: asking whether the customer exists. Whatever fails here, nothing was done.

use serde_json::json;

use crate::line::{ALWAYS, Mishap};
use crate::world::{World, order};

const VIEW: &str = "GET /internal/customers/{id}";

#[tokio::test]
async fn a_customer_nobody_knows_is_not_found() {
    let world = World::new().await;
    let mut body = order("a");
    body["customer_id"] = json!(7);
    let reply = world.send(&body).await;
    reply.failed(404, "customer_not_found", "validate", "not_needed", false);
    assert_eq!(reply.attempts(), 1);
    assert_eq!(world.orders.seen(), [] as [&str; 0]);
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
        assert_eq!(world.orders.seen(), [] as [&str; 0]);
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
    assert_eq!(world.orders.seen(), [] as [&str; 0]);
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
    reply.failed(502, "upstream_invalid", "validate", "not_needed", true);
    assert_eq!(world.customers.seen(), [VIEW]);
}
