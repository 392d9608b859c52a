//! Order cancellation, which is final and returns the stock exactly once.

use diesel_async::SimpleAsyncConnection;
use orders_client::types::{self, OrderStatus};

use crate::harness::{Harness, api_error, error_of, expect_error, is_replay};
use crate::invariants;

#[tokio::test(flavor = "multi_thread")]
async fn cancel_of_a_created_order_returns_its_stock() {
    let harness = Harness::start().await;
    let (a, b) = (harness.product("A", 10).await, harness.product("B", 10).await);
    let order = harness.order(&[(a, 4), (b, 1)]).await;
    let response = harness.operator().order_cancel().id(order.id).send().await.unwrap();
    assert_eq!(response.headers()["etag"], "\"v2\"");
    assert_eq!((response.status, response.confirmed_at), (OrderStatus::Canceled, None));
    assert!(response.canceled_at.unwrap() > order.created_at);
    assert_eq!((harness.stock(a).await, harness.stock(b).await), (10, 10));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_of_a_canceled_order_changes_nothing() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let id = harness.order(&[(a, 4)]).await.id;
    let cancel = || harness.operator().order_cancel().id(id).send();
    let first = cancel().await.unwrap().into_inner();
    assert_eq!(cancel().await.unwrap().into_inner(), first);
    assert_eq!(harness.stock(a).await, 10);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_order_can_be_canceled_for_ten_minutes() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let within = harness.confirmed(&[(a, 1)]).await;
    let too_late = harness.confirmed(&[(a, 2)]).await;
    let confirmed_ago = async |id, seconds: u32| {
        let at = format!("UTC_TIMESTAMP(6) - INTERVAL {seconds} SECOND");
        let tables = "orders o JOIN order_events e ON e.order_id = o.id AND e.to_status = 'CONFIRMED'";
        let moved = format!("UPDATE {tables} SET o.confirmed_at = {at}, e.created_at = {at} WHERE o.id = {id}");
        harness.sql(&moved).await;
    };
    confirmed_ago(within.id, 590).await;
    confirmed_ago(too_late.id, 601).await;
    let canceled = harness.operator().order_cancel().id(within.id).send().await.unwrap();
    assert_eq!((canceled.status, canceled.version), (OrderStatus::Canceled, 3));
    assert!(canceled.confirmed_at.is_some());
    let refusal_of_late = harness.operator().order_cancel().id(too_late.id).x_idempotency_key("k").send().await;
    assert_eq!(error_of(refusal_of_late), api_error(409, "cancel_window_passed"));
    assert_eq!(harness.stock(a).await, 8);
    assert_eq!(harness.number("SELECT COUNT(*) AS n FROM idempotency_keys WHERE scope = 'order.cancel'").await, 0);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_with_a_key_is_replayed() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let (id, other) = (harness.order(&[(a, 1)]).await.id, harness.order(&[(a, 1)]).await.id);
    let path = format!("/orders/{id}/cancel");
    let first = harness.post(&path, "k", "{}").await;
    assert_eq!((first.status, first.replayed), (200, false));
    let retry = harness.post(&path, "k", "").await;
    assert_eq!((retry.status, retry.replayed, retry.body), (200, true, first.body));
    let reused = harness.operator().order_cancel().id(other).x_idempotency_key("k").send().await;
    assert_eq!(error_of(reused), api_error(422, "idempotency_key_reused"));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_version_is_rejected_except_on_a_replay() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let id = harness.confirmed(&[(a, 1)]).await.id;
    let cancel =
        |tag: &'static str| harness.operator().order_cancel().id(id).x_idempotency_key("k").if_match(tag).send();
    let error = expect_error(cancel("\"v1\"").await);
    assert_eq!(error.status(), 412);
    assert!(error.details[0].message.as_deref().unwrap().contains("\"v2\""));
    assert_eq!(cancel("\"v2\"").await.unwrap().version, 3);
    assert!(is_replay(&cancel("\"v2\"").await.unwrap()));
    let stale = harness.operator().order_cancel().id(id).if_match("\"v2\"").send().await;
    assert_eq!(error_of(stale), api_error(412, "precondition_failed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_order_is_not_found() {
    let harness = Harness::start().await;
    let response = harness.operator().order_cancel().id(5).send().await;
    assert_eq!(error_of(response), api_error(404, "order_not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_returns_stock_even_above_the_stock_limit() {
    let harness = Harness::start().await;
    let a = harness.product("A", 1_000_000_000).await;
    let id = harness.order(&[(a, 5)]).await.id;
    let refill = types::StockAdjustmentInput::builder().delta(5).reason("delivery");
    harness.operator().stock_adjustment_create().id(a).body(refill).send().await.unwrap();
    harness.operator().order_cancel().id(id).send().await.unwrap();
    assert_eq!(harness.stock(a).await, 1_000_000_005);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn second_stock_return_violates_a_unique_key_of_the_ledger() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let id = harness.order(&[(a, 4)]).await.id;
    harness.operator().order_cancel().id(id).send().await.unwrap();
    let retry = "INSERT INTO stock_movements (product_id, delta, reason, order_id, principal) \
                 SELECT product_id, delta, reason, order_id, principal FROM stock_movements WHERE reason = 'cancel'";
    let error = harness.database.connection().await.batch_execute(retry).await.unwrap_err();
    assert!(error.to_string().contains("uq_stock_movements_once"), "{error}");
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_record_status_and_principal_newest_first() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let id = harness.order(&[(a, 1)]).await.id;
    let service = client_common::Outbound::new().bearer(crate::harness::SERVICE_TOKEN).correlation_id("saga-7");
    harness.client(service).order_confirm().id(id).x_idempotency_key("k").send().await.unwrap();
    harness.operator().order_cancel().id(id).send().await.unwrap();
    let page = harness.operator().order_event_list().id(id).send().await.unwrap().into_inner();
    assert_eq!((page.has_more, &page.next_cursor), (false, &None));
    let transitions: Vec<_> =
        page.data.iter().map(|event| (event.from_status, event.to_status, event.principal.as_str())).collect();
    use OrderStatus::{Canceled, Confirmed, Created};
    assert_eq!(
        transitions,
        [
            (Some(Confirmed), Canceled, "operator:ann"),
            (Some(Created), Confirmed, "service"),
            (None, Created, "operator:ann")
        ]
    );
    assert_eq!(page.data[1].correlation_id, "saga-7");
    let order = harness.operator().order_view().id(id).send().await.unwrap();
    assert_eq!((Some(page.data[0].created_at), page.data[2].created_at), (order.canceled_at, order.created_at));
    assert_eq!(error_of(harness.operator().order_event_list().id(99).send().await), api_error(404, "order_not_found"));
}
