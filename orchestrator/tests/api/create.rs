//! Step 2: creating the order.

use orders_api::OrderStatus;
use serde_json::json;

use crate::fake_orders::{INITIAL_STOCK, PRODUCT};
use crate::fault_proxy::{ALWAYS, Fault};
use crate::harness::{Harness, order_body};

const CREATE: &str = "POST /orders";
const CONFIRM: &str = "POST /orders/{id}/confirm";
const CANCEL: &str = "POST /orders/{id}/cancel";
const ABANDON: &str = "POST /internal/orders/abandon";

#[tokio::test]
async fn insufficient_stock_reports_the_available_quantity() {
    let harness = Harness::new().await;
    let mut body = order_body("a");
    body["items"][0]["qty"] = json!(INITIAL_STOCK + 1);
    let reply = harness.send(&body).await;
    reply.assert_failed(409, "insufficient_stock", "create", "not_needed", true);
    let detail = json!([{ "product_id": PRODUCT, "requested": INITIAL_STOCK + 1, "available": INITIAL_STOCK }]);
    assert_eq!(reply.json()["error"]["details"], detail);
    assert_eq!(harness.orders.requests(), [CREATE]);
}

#[tokio::test]
async fn unknown_product_is_not_found() {
    let harness = Harness::new().await;
    let mut body = order_body("a");
    body["items"][0]["product_id"] = json!(9);
    let reply = harness.send(&body).await;
    reply.assert_failed(404, "product_not_found", "create", "not_needed", false);
    assert_eq!(reply.json()["error"]["details"], json!([{ "product_id": 9 }]));
}

#[tokio::test]
async fn lost_request_or_response_still_yields_one_confirmed_order() {
    let faults = [
        Fault::RequestDropped,
        Fault::ResponseDropped,
        Fault::RequestStalled,
        Fault::ResponseStalled,
        Fault::ResponseTruncated,
        Fault::GatewayResponse(502),
        Fault::Error(409, "idempotency_in_progress"),
    ];
    for fault in faults {
        let harness = Harness::new().await;
        harness.orders.inject(CREATE, 1, fault);
        harness.order("a").await.assert_succeeded();
        assert_eq!(harness.orders.requests(), [CREATE, CREATE, CONFIRM], "{fault:?}");
        assert_eq!(harness.store().only_order(), OrderStatus::Confirmed);
        assert_eq!(harness.store().stock(), INITIAL_STOCK - 3);
    }
}

#[tokio::test]
async fn create_that_never_arrived_is_abandoned() {
    for fault in [Fault::RequestStalled, Fault::RequestDropped, Fault::GatewayResponse(504)] {
        let harness = Harness::new().await;
        harness.orders.inject(CREATE, ALWAYS, fault);
        let reply = harness.order("a").await;
        reply.assert_failed(504, "create_outcome_unknown", "create", "not_needed", false);
        assert_eq!(reply.attempts(), 4);
        assert_eq!(harness.orders.requests(), [CREATE, CREATE, CREATE, CREATE, ABANDON]);
        assert_eq!(harness.store().orders.len(), 0);
        assert_eq!(harness.store().stock(), INITIAL_STOCK);
    }
}

#[tokio::test]
async fn create_that_arrived_is_compensated() {
    for fault in [Fault::ResponseStalled, Fault::ResponseDropped, Fault::ResponseTruncated] {
        let harness = Harness::new().await;
        harness.orders.inject(CREATE, ALWAYS, fault);
        let reply = harness.order("a").await;
        reply.assert_failed(504, "create_outcome_unknown", "create", "done", false);
        assert_eq!(reply.json()["error"]["order_id"], 101);
        assert_eq!(harness.store().only_order(), OrderStatus::Canceled);
        assert_eq!(harness.store().stock(), INITIAL_STOCK);
    }
}

#[tokio::test]
async fn failed_abandon_is_pending_and_the_same_key_resolves_it() {
    let harness = Harness::new().await;
    harness.orders.inject(CREATE, 4, Fault::ResponseStalled);
    harness.orders.inject(ABANDON, ALWAYS, Fault::RequestStalled);
    harness.order("a").await.assert_failed(504, "compensation_pending", "create", "pending", true);
    assert_eq!(harness.store().only_order(), OrderStatus::Created);
    harness.order("a").await.assert_succeeded();
    assert_eq!(harness.store().only_order(), OrderStatus::Confirmed);
}

#[tokio::test]
async fn ambiguous_create_confirmed_by_another_run_succeeds() {
    let harness = Harness::new().await;
    harness.order("a").await.assert_succeeded();
    harness.orders.inject(CREATE, ALWAYS, Fault::RequestDropped);
    harness.order("a").await.assert_succeeded();
    assert_eq!(harness.orders.requests().last().unwrap(), ABANDON);
    assert_eq!(harness.store().only_order(), OrderStatus::Confirmed);
}

#[tokio::test]
async fn create_arriving_after_abandon_is_refused() {
    let harness = Harness::new().await;
    harness.orders.inject(CREATE, ALWAYS, Fault::RequestStalled);
    harness.order("a").await.assert_failed(504, "create_outcome_unknown", "create", "not_needed", false);
    assert_eq!(harness.orders.deliver_held().await, 409);
    assert_eq!(harness.store().orders.len(), 0);
}

#[tokio::test]
async fn create_in_flight_is_abandoned_after_a_refused_retry() {
    let harness = Harness::new().await;
    harness.store().allocated = INITIAL_STOCK;
    harness.orders.inject(CREATE, 1, Fault::RequestStalled);
    harness.order("a").await.assert_failed(409, "insufficient_stock", "create", "not_needed", false);
    harness.store().allocated = 0;
    assert_eq!(harness.orders.deliver_held().await, 409);
    assert_eq!(harness.store().orders.len(), 0);
}

#[tokio::test]
async fn confirmed_order_of_a_different_request_is_not_returned() {
    let harness = Harness::new().await;
    harness.order("a").await.assert_succeeded();
    harness.orders.inject(CREATE, ALWAYS, Fault::ResponseDropped);
    let mut other = order_body("a");
    other["items"][0]["qty"] = 2.into();
    harness.send(&other).await.assert_failed(422, "idempotency_key_reused", "create", "not_needed", false);
    assert_eq!(harness.store().only_order(), OrderStatus::Confirmed);
}

#[tokio::test]
async fn unconfirmed_order_of_a_different_request_is_not_abandoned() {
    let harness = Harness::new().await;
    harness.orders.inject(CONFIRM, 4, Fault::RequestDropped);
    harness.orders.inject(CANCEL, 4, Fault::RequestDropped);
    harness.order("a").await.assert_failed(504, "compensation_pending", "confirm", "pending", true);
    harness.orders.inject(CREATE, 4, Fault::ResponseDropped);
    let mut other = order_body("a");
    other["items"][0]["qty"] = 2.into();
    harness.send(&other).await.assert_failed(422, "idempotency_key_reused", "create", "not_needed", false);
    assert_eq!(harness.store().only_order(), OrderStatus::Created);
    harness.order("a").await.assert_succeeded();
}

#[tokio::test]
async fn create_known_to_have_no_effect_is_not_compensated() {
    for code in ["customer_service_unavailable", "unavailable"] {
        let harness = Harness::new().await;
        harness.orders.inject(CREATE, ALWAYS, Fault::Error(503, code));
        harness.order("a").await.assert_failed(503, "upstream_unavailable", "create", "not_needed", true);
        assert_eq!(harness.orders.requests(), [CREATE, CREATE, CREATE, CREATE], "{code}");
    }
}

#[tokio::test]
async fn create_with_refused_connection_is_not_compensated() {
    let harness = Harness::new().await;
    harness.orders.close().await;
    let reply = harness.order("a").await;
    reply.assert_failed(503, "upstream_unavailable", "create", "not_needed", true);
    assert_eq!(reply.attempts(), 4);
}

#[tokio::test]
async fn refused_credentials_after_a_lost_response_leave_the_outcome_unknown() {
    let harness = Harness::new().await;
    harness.orders.inject(CREATE, 1, Fault::ResponseDropped);
    harness.orders.inject(CREATE, ALWAYS, Fault::Error(401, "unauthorized"));
    harness.order("a").await.assert_failed(504, "create_outcome_unknown", "create", "done", false);
    assert_eq!(harness.store().only_order(), OrderStatus::Canceled);
}

#[tokio::test]
async fn refused_credentials_are_reported_as_upstream_auth() {
    let harness = Harness::new().await;
    harness.orders.inject(CREATE, ALWAYS, Fault::Error(401, "unauthorized"));
    let reply = harness.order("a").await;
    reply.assert_failed(502, "upstream_auth", "create", "not_needed", true);
    assert!(!reply.text.contains("hidden"), "{}", reply.text);
    assert_eq!(harness.orders.requests(), [CREATE]);
}

#[tokio::test]
async fn create_in_progress_elsewhere_is_not_compensated() {
    let harness = Harness::new().await;
    harness.orders.inject(CREATE, ALWAYS, Fault::Error(409, "idempotency_in_progress"));
    let reply = harness.order("a").await;
    reply.assert_failed(409, "idempotency_in_progress", "create", "not_needed", true);
    assert_eq!(reply.headers["retry-after"], "1");
    assert_eq!(harness.orders.requests(), [CREATE, CREATE, CREATE, CREATE]);
}

#[tokio::test]
async fn lost_response_then_in_progress_reports_pending() {
    let harness = Harness::new().await;
    harness.orders.inject(CREATE, 1, Fault::ResponseDropped);
    harness.orders.inject(CREATE, ALWAYS, Fault::Error(409, "idempotency_in_progress"));
    harness.order("a").await.assert_failed(409, "idempotency_in_progress", "create", "pending", true);
    assert_eq!(harness.orders.requests(), [CREATE, CREATE, CREATE, CREATE]);
    harness.orders.restore();
    harness.order("a").await.assert_succeeded();
    assert_eq!(harness.store().only_order(), OrderStatus::Confirmed);
}

#[tokio::test]
async fn ambiguous_create_is_abandoned_after_any_refusal() {
    let refusals = [
        (404, "customer_not_found", 404, "customer_not_found"),
        (404, "product_not_found", 404, "product_not_found"),
        (400, "invalid_request", 504, "create_outcome_unknown"),
    ];
    for (refused, refusal, status, code) in refusals {
        let harness = Harness::new().await;
        harness.orders.inject(CREATE, 1, Fault::RequestStalled);
        harness.orders.inject(CREATE, ALWAYS, Fault::Error(refused, refusal));
        harness.order("a").await.assert_failed(status, code, "create", "not_needed", false);
        assert_eq!(harness.orders.requests(), [CREATE, CREATE, ABANDON], "{refusal}");
        assert_eq!(harness.orders.deliver_held().await, 409);
        assert_eq!(harness.store().orders.len(), 0);
    }
}

#[tokio::test]
async fn nonstandard_gateway_status_leaves_the_outcome_unknown() {
    for status in [501, 520, 561] {
        let harness = Harness::new().await;
        harness.orders.inject(CREATE, 1, Fault::GatewayResponseAfterExecution(status));
        harness.order("a").await.assert_failed(504, "create_outcome_unknown", "create", "done", false);
        assert_eq!(harness.store().stock(), INITIAL_STOCK);
    }
}

#[tokio::test]
async fn truncated_refusal_is_retried() {
    let harness = Harness::new().await;
    harness.store().allocated = INITIAL_STOCK;
    harness.orders.inject(CREATE, 1, Fault::ResponseTruncated);
    harness.order("a").await.assert_failed(409, "insufficient_stock", "create", "not_needed", false);
    assert_eq!(harness.orders.requests(), [CREATE, CREATE, ABANDON]);
}

#[tokio::test]
async fn ambiguous_create_is_abandoned_regardless_of_creator() {
    let harness = Harness::new().await;
    harness.orders.inject(CONFIRM, 1, Fault::RequestStalled);
    let creator = harness.order("a");
    let other = async {
        harness.orders.wait_for_request(CONFIRM).await;
        harness.orders.inject(CREATE, 4, Fault::RequestDropped);
        harness.order("a").await
    };
    let (creator, other) = tokio::join!(creator, other);
    creator.assert_failed(409, "order_canceled", "confirm", "done", false);
    other.assert_failed(504, "create_outcome_unknown", "create", "done", false);
    let store = harness.store();
    assert_eq!((store.only_order(), store.stock()), (OrderStatus::Canceled, INITIAL_STOCK));
}
