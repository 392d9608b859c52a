//! Step 1: validating the customer. If this step fails, the request has changed nothing, but an earlier request with
//! the same key may have left an order.

use orders_api::OrderStatus;
use serde_json::json;

use crate::fault_proxy::{ALWAYS, Fault};
use crate::harness::{Harness, order_body};

const VIEW: &str = "GET /internal/customers/{id}";
const LOOKUP: &str = "GET /internal/orders/lookup";
const CONFIRM: &str = "POST /orders/{id}/confirm";
const CANCEL: &str = "POST /orders/{id}/cancel";

#[tokio::test]
async fn unknown_customer_is_not_found() {
    let harness = Harness::new().await;
    let mut body = order_body("a");
    body["customer_id"] = json!(7);
    let reply = harness.send(&body).await;
    reply.assert_failed(404, "customer_not_found", "validate", "not_needed", false);
    assert_eq!(reply.attempts(), 1);
    assert_eq!(harness.orders.requests(), [LOOKUP]);
}

#[tokio::test]
async fn persistent_customers_failure_is_unavailable() {
    for fault in
        [Fault::GatewayResponse(502), Fault::Error(500, "internal"), Fault::RequestDropped, Fault::ResponseTruncated]
    {
        let harness = Harness::new().await;
        harness.customers.inject(VIEW, ALWAYS, fault);
        let reply = harness.order("a").await;
        reply.assert_failed(503, "upstream_unavailable", "validate", "not_needed", true);
        assert_eq!(reply.attempts(), 4, "{fault:?}");
        assert_eq!(reply.headers["retry-after"], "1");
        assert_eq!(harness.orders.requests(), [LOOKUP]);
    }
}

#[tokio::test]
async fn refused_customers_connection_is_unavailable() {
    let harness = Harness::new().await;
    harness.customers.close().await;
    let reply = harness.order("a").await;
    reply.assert_failed(503, "upstream_unavailable", "validate", "not_needed", true);
    assert_eq!(reply.attempts(), 4);
}

#[tokio::test]
async fn silent_customers_service_is_a_timeout() {
    let harness = Harness::new().await;
    harness.customers.inject(VIEW, ALWAYS, Fault::RequestStalled);
    let reply = harness.order("a").await;
    reply.assert_failed(504, "upstream_timeout", "validate", "not_needed", true);
    assert_eq!(reply.attempts(), 4);
    assert_eq!(harness.orders.requests(), [LOOKUP]);
}

#[tokio::test]
async fn two_customers_failures_are_retried() {
    let harness = Harness::new().await;
    harness.customers.inject(VIEW, 1, Fault::GatewayResponse(503));
    harness.customers.inject(VIEW, 1, Fault::RequestDropped);
    harness.order("a").await.assert_succeeded();
    assert_eq!(harness.customers.requests(), [VIEW, VIEW, VIEW]);
}

#[tokio::test]
async fn refused_credentials_are_upstream_auth_and_do_not_leak_the_message() {
    for fault in [Fault::Error(401, "unauthorized"), Fault::Error(403, "forbidden"), Fault::GatewayResponse(401)] {
        let harness = Harness::new().await;
        harness.customers.inject(VIEW, ALWAYS, fault);
        let reply = harness.order("a").await;
        reply.assert_failed(502, "upstream_auth", "validate", "not_needed", true);
        assert_eq!(reply.attempts(), 1);
        assert!(!reply.text.contains("hidden"), "{}", reply.text);
    }
}

#[tokio::test]
async fn request_refused_by_customers_is_not_retried() {
    let harness = Harness::new().await;
    harness.customers.inject(VIEW, ALWAYS, Fault::Error(400, "invalid_request"));
    let reply = harness.order("a").await;
    reply.assert_failed(502, "upstream_invalid", "validate", "not_needed", false);
    assert_eq!(harness.customers.requests(), [VIEW]);
}

#[tokio::test]
async fn order_confirmed_by_an_earlier_run_is_reported_despite_failed_validation() {
    let rows = [
        (Fault::GatewayResponse(503), 503, "upstream_unavailable", true),
        (NO_CUSTOMER, 404, "customer_not_found", false),
    ];
    for (fault, status, code, safe_to_retry) in rows {
        let harness = Harness::new().await;
        harness.order("a").await.assert_succeeded();
        harness.customers.inject(VIEW, ALWAYS, fault);
        let reply = harness.order("a").await;
        reply.assert_failed(status, code, "validate", "not_needed", safe_to_retry);
        assert_eq!(reply.json()["error"]["order_id"], 101);
        assert_eq!(harness.store().only_order(), OrderStatus::Confirmed);
    }
}

#[tokio::test]
async fn order_left_unconfirmed_by_an_earlier_run_is_pending() {
    for fault in [Fault::GatewayResponse(503), NO_CUSTOMER] {
        let harness = Harness::new().await;
        leave_unconfirmed(&harness).await;
        harness.customers.inject(VIEW, 4, fault);
        let reply = harness.order("a").await;
        reply.assert_failed(504, "compensation_pending", "validate", "pending", true);
        assert_eq!(reply.json()["error"]["order_id"], 101);
        assert_eq!(harness.store().only_order(), OrderStatus::Created);
    }
}

#[tokio::test]
async fn key_of_a_canceled_order_is_spent_despite_failed_validation() {
    let harness = Harness::new().await;
    leave_unconfirmed(&harness).await;
    harness.store().cancel_all();
    harness.customers.inject(VIEW, ALWAYS, Fault::GatewayResponse(503));
    let reply = harness.order("a").await;
    reply.assert_failed(409, "idempotency_key_spent", "validate", "not_needed", false);
    assert_eq!(reply.json()["error"]["order_id"], 101);
}

#[tokio::test]
async fn key_of_a_different_request_is_rejected_despite_failed_validation() {
    let harness = Harness::new().await;
    harness.order("a").await.assert_succeeded();
    harness.customers.inject(VIEW, ALWAYS, Fault::GatewayResponse(503));
    for (pointer, value) in [("/items/0/qty", 4), ("/items/0/product_id", 9), ("/customer_id", 2)] {
        let mut other = order_body("a");
        *other.pointer_mut(pointer).unwrap() = json!(value);
        let reply = harness.send(&other).await;
        reply.assert_failed(422, "idempotency_key_reused", "validate", "not_needed", false);
        assert_eq!(reply.json()["error"]["order_id"], json!(null), "the order belongs to a different request");
    }
}

#[tokio::test]
async fn both_upstreams_down_is_unavailable_with_nothing_done() {
    let harness = Harness::new().await;
    harness.customers.close().await;
    harness.orders.close().await;
    harness.order("a").await.assert_failed(503, "upstream_unavailable", "validate", "not_needed", true);
}

const NO_CUSTOMER: Fault = Fault::Error(404, "customer_not_found");

async fn leave_unconfirmed(harness: &Harness) {
    harness.orders.inject(CONFIRM, 4, Fault::RequestDropped);
    harness.orders.inject(CANCEL, 4, Fault::RequestDropped);
    harness.order("a").await.assert_failed(504, "compensation_pending", "confirm", "pending", true);
}
