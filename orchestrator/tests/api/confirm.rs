//! Step 3: confirming the order, and compensating the create step if the confirmation fails.

use std::time::Duration;

use client_common::Retry;
use orchestrator::Policy;
use orders_api::OrderStatus;

use crate::fake_orders::INITIAL_STOCK;
use crate::fault_proxy::{ALWAYS, Fault};
use crate::harness::{Harness, POLICY};

const CREATE: &str = "POST /orders";
const CONFIRM: &str = "POST /orders/{id}/confirm";
const CANCEL: &str = "POST /orders/{id}/cancel";
const VIEW: &str = "GET /orders/{id}";

#[tokio::test]
async fn failed_confirm_is_retried_and_applied_once() {
    for fault in
        [Fault::Error(503, "unavailable"), Fault::ResponseDropped, Fault::ResponseStalled, Fault::ResponseTruncated]
    {
        let harness = Harness::new().await;
        harness.orders.inject(CONFIRM, 1, fault);
        harness.order("a").await.assert_succeeded();
        assert_eq!(harness.orders.requests(), [CREATE, CONFIRM, CONFIRM], "{fault:?}");
        assert_eq!(harness.store().confirmations, 1);
    }
}

#[tokio::test]
async fn order_canceled_by_an_operator_stays_canceled() {
    let harness = Harness::new().await;
    harness.orders.inject(CONFIRM, 1, Fault::RequestStalled);
    let (reply, ()) = tokio::join!(harness.order("a"), async {
        harness.orders.wait_for_request(CONFIRM).await;
        harness.store().cancel_all();
    });
    reply.assert_failed(409, "order_canceled", "confirm", "done", false);
    assert_eq!(reply.json()["error"]["order_id"], 101);
    assert_eq!(harness.store().only_order(), OrderStatus::Canceled);
    assert_eq!(harness.store().cancellations, 1);
}

#[tokio::test]
async fn unconfirmable_order_is_canceled() {
    let rows = [(Fault::GatewayResponse(503), 503), (Fault::RequestDropped, 503), (Fault::RequestStalled, 504)];
    for (fault, status) in rows {
        let harness = Harness::new().await;
        harness.orders.inject(CONFIRM, ALWAYS, fault);
        let reply = harness.order("a").await;
        reply.assert_failed(status, "confirm_failed", "confirm", "done", false);
        assert_eq!((reply.attempts().as_u64(), reply.json()["error"]["order_id"].as_u64()), (Some(4), Some(101)));
        assert_eq!(harness.orders.requests(), [CREATE, CONFIRM, CONFIRM, CONFIRM, CONFIRM, CANCEL], "{fault:?}");
        assert_eq!(harness.store().only_order(), OrderStatus::Canceled);
        assert_eq!(harness.store().stock(), INITIAL_STOCK);
    }
}

#[tokio::test]
async fn order_is_canceled_at_once_after_a_final_confirm_refusal() {
    let rows = [("unauthorized", 401, "upstream_auth"), ("order_not_found", 404, "upstream_invalid")];
    for (refusal, status, code) in rows {
        let harness = Harness::new().await;
        harness.orders.inject(CONFIRM, ALWAYS, Fault::Error(status, refusal));
        let reply = harness.order("a").await;
        reply.assert_failed(502, code, "confirm", "done", false);
        assert!(!reply.text.contains("hidden"), "{}", reply.text);
        assert_eq!(harness.orders.requests(), [CREATE, CONFIRM, CANCEL]);
        assert_eq!(harness.store().stock(), INITIAL_STOCK);
    }
}

#[tokio::test]
async fn applied_confirm_with_lost_responses_succeeds() {
    for fault in [Fault::ResponseStalled, Fault::ResponseDropped] {
        let harness = Harness::new().await;
        harness.orders.inject(CONFIRM, ALWAYS, fault);
        let reply = harness.order("a").await;
        reply.assert_succeeded();
        assert_eq!(harness.orders.requests()[5..], [CANCEL, VIEW]);
        assert_eq!(harness.store().only_order(), OrderStatus::Confirmed);
        assert_eq!(harness.store().cancellations, 0);
    }
}

#[tokio::test]
async fn failed_confirm_and_cancel_leave_compensation_pending() {
    let harness = Harness::new().await;
    harness.orders.inject(CONFIRM, 1, Fault::PortClosed);
    let reply = harness.order("a").await;
    reply.assert_failed(504, "compensation_pending", "confirm", "pending", true);
    assert_eq!(reply.json()["error"]["order_id"], 101);
    assert_eq!(harness.store().only_order(), OrderStatus::Created);
}

#[tokio::test]
async fn reserved_time_is_used_for_compensation() {
    let retry = Retry { total: Duration::from_millis(5_800), ..POLICY.retry };
    let harness = Harness::with_policy(Policy { retry, compensation: Duration::from_secs(5), ..POLICY }).await;
    harness.orders.inject(CONFIRM, ALWAYS, Fault::RequestStalled);
    let reply = harness.order("a").await;
    reply.assert_failed(504, "confirm_failed", "confirm", "done", false);
    assert!(reply.attempts().as_u64().unwrap() < u64::from(POLICY.retry.attempts), "{}", reply.text);
    assert_eq!(harness.store().only_order(), OrderStatus::Canceled);
}

#[tokio::test]
async fn same_key_resolves_pending_compensation() {
    let harness = Harness::new().await;
    harness.orders.inject(CONFIRM, 4, Fault::RequestDropped);
    harness.orders.inject(CANCEL, ALWAYS, Fault::RequestDropped);
    harness.order("a").await.assert_failed(504, "compensation_pending", "confirm", "pending", true);
    harness.order("a").await.assert_succeeded();
    assert_eq!(harness.store().only_order(), OrderStatus::Confirmed);
}

#[tokio::test]
async fn retried_cancel_restores_stock_once() {
    for fault in [Fault::ResponseDropped, Fault::ResponseStalled] {
        let harness = Harness::new().await;
        harness.orders.inject(CONFIRM, ALWAYS, Fault::GatewayResponse(503));
        harness.orders.inject(CANCEL, 1, fault);
        harness.order("a").await.assert_failed(503, "confirm_failed", "confirm", "done", false);
        assert_eq!(harness.orders.requests()[5..], [CANCEL, CANCEL]);
        assert_eq!(harness.store().cancellations, 1);
        assert_eq!(harness.store().stock(), INITIAL_STOCK);
    }
}

#[tokio::test]
async fn confirm_in_progress_elsewhere_is_not_compensated() {
    let harness = Harness::new().await;
    harness.orders.inject(CONFIRM, ALWAYS, Fault::Error(409, "idempotency_in_progress"));
    harness.order("a").await.assert_failed(409, "idempotency_in_progress", "confirm", "not_needed", true);
    assert_eq!(harness.orders.requests(), [CREATE, CONFIRM, CONFIRM, CONFIRM, CONFIRM]);
    assert_eq!(harness.store().only_order(), OrderStatus::Created);
}

#[tokio::test]
async fn order_created_by_another_run_is_not_canceled() {
    let harness = Harness::new().await;
    harness.orders.inject(CONFIRM, 4, Fault::RequestDropped);
    harness.orders.inject(CANCEL, 4, Fault::RequestDropped);
    harness.order("a").await.assert_failed(504, "compensation_pending", "confirm", "pending", true);
    harness.orders.inject(CONFIRM, ALWAYS, Fault::RequestDropped);
    harness.order("a").await.assert_failed(504, "compensation_pending", "confirm", "pending", true);
    assert_eq!(harness.orders.requests().last().unwrap(), VIEW);
    assert_eq!(harness.store().only_order(), OrderStatus::Created);
}

#[tokio::test]
async fn ambiguous_confirm_in_progress_is_canceled_unless_applied() {
    let rows = [(Fault::RequestDropped, OrderStatus::Canceled), (Fault::ResponseDropped, OrderStatus::Confirmed)];
    for (fault, expected) in rows {
        let harness = Harness::new().await;
        harness.orders.inject(CONFIRM, 1, fault);
        harness.orders.inject(CONFIRM, ALWAYS, Fault::Error(409, "idempotency_in_progress"));
        let reply = harness.order("a").await;
        match expected {
            OrderStatus::Confirmed => reply.assert_succeeded(),
            _ => reply.assert_failed(503, "confirm_failed", "confirm", "done", false),
        }
        assert_eq!(harness.store().only_order(), expected);
    }
}

#[tokio::test]
async fn order_with_unknown_creator_is_not_canceled() {
    let harness = Harness::new().await;
    harness.orders.inject(CREATE, 1, Fault::ResponseDropped);
    harness.orders.inject(CONFIRM, ALWAYS, Fault::RequestDropped);
    harness.order("a").await.assert_failed(504, "compensation_pending", "confirm", "pending", true);
    assert_eq!(harness.orders.requests().last().unwrap(), VIEW);
    harness.orders.restore();
    harness.order("a").await.assert_succeeded();
    assert_eq!(harness.store().only_order(), OrderStatus::Confirmed);
}
