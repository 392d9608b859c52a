//! The real services on a seeded database, with the same accidents on the lines to them.

use orders_client::types::OrderStatus;
use serde_json::json;

use crate::fake_orders::{PRICE_CENTS, PRODUCT};
use crate::line::{ALWAYS, Mishap};
use crate::services::System;
use crate::world;

const CREATE: &str = "POST /orders";
const CONFIRM: &str = "POST /orders/{id}/confirm";
const CANCEL: &str = "POST /orders/{id}/cancel";
const ABANDON: &str = "POST /internal/orders/abandon";

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_request_makes_a_confirmed_order_and_again_the_same() {
    let system = System::start().await;
    let first = system.order("abc-123").await;
    first.succeeded();
    let body = first.json();
    assert_eq!(body["correlationId"], "req-789");
    assert_eq!(body["data"]["customer"]["email"], "ops@acme.com");
    let order = &body["data"]["order"];
    assert_eq!(order["total_cents"], PRICE_CENTS * 3);
    let item = json!({
        "product_id": PRODUCT, "qty": 3, "unit_price_cents": PRICE_CENTS, "subtotal_cents": PRICE_CENTS * 3
    });
    assert_eq!(order["items"], json!([item]));
    let second = system.order("abc-123").await;
    assert_eq!((second.status, &second.text), (201, &first.text));
    assert_eq!(system.taken().await, 3);
    let mut other = world::order("abc-123");
    other["items"][0]["qty"] = json!(4);
    system.sending(&other).await.failed(422, "idempotency_key_reused", "create", "not_needed", false);
    assert_eq!(system.taken().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_services_refuse_is_told() {
    let system = System::start().await;
    let changed = |pointer: &str, value: i64| {
        let mut body = world::order("a");
        *body.pointer_mut(pointer).unwrap() = json!(value);
        system.sending(&body)
    };
    let unknown = 1_000_000_000;
    let reply = changed("/customer_id", unknown).await;
    reply.failed(404, "customer_not_found", "validate", "not_needed", false);
    let reply = changed("/items/0/product_id", unknown).await;
    reply.failed(404, "product_not_found", "create", "not_needed", false);
    assert_eq!(reply.json()["error"]["details"][0]["product_id"], unknown);
    let requested = system.first_stock() + 1;
    let reply = changed("/items/0/qty", requested).await;
    reply.failed(409, "insufficient_stock", "create", "not_needed", true);
    let detail = json!([{ "product_id": PRODUCT, "requested": requested, "available": system.first_stock() }]);
    assert_eq!(reply.json()["error"]["details"], detail);
    assert_eq!(system.taken().await, 0);
    system.order("a").await.succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_requests_and_answers_make_one_confirmed_order() {
    let system = System::start().await;
    let mishaps = [Mishap::RequestLost, Mishap::AnswerLost, Mishap::AnswerCut, Mishap::Gateway(502)];
    let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let rows = [CREATE, CONFIRM].iter().flat_map(|request| mishaps.map(|mishap| (*request, mishap)));
    for ((request, mishap), key) in rows.zip(keys) {
        system.orders.on(request, 1, mishap);
        system.order(key).await.succeeded();
    }
    assert_eq!(system.taken().await, 3 * 8);
}

/// From now on every step and every undo arrives twice, except for these failures first.
fn all_twice_but(system: &System, first: Option<(&'static str, Mishap)>) {
    system.orders.mend();
    if let Some((request, mishap)) = first {
        system.orders.on(request, 4, mishap);
    }
    for request in [CREATE, CONFIRM, CANCEL, ABANDON] {
        system.orders.on(request, ALWAYS, Mishap::SentTwice);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_and_undos_that_are_delivered_twice_have_one_effect() {
    let system = System::start().await;
    all_twice_but(&system, None);
    system.order("a").await.succeeded();
    all_twice_but(&system, Some((CONFIRM, Mishap::RequestLost)));
    system.order("b").await.failed(503, "confirm_failed", "confirm", "done", false);
    all_twice_but(&system, Some((CREATE, Mishap::AnswerLost)));
    system.order("c").await.failed(504, "create_outcome_unknown", "create", "done", false);
    assert_eq!(system.taken().await, 3);
    for (status, events) in [("CREATED", 3), ("CONFIRMED", 1), ("CANCELED", 2)] {
        let counted = format!("SELECT COUNT(*) AS n FROM order_events WHERE to_status = '{status}'");
        assert_eq!(system.number(&counted).await, events, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_in_doubt_is_given_up_and_its_key_is_spent() {
    let system = System::start().await;
    system.orders.on(CREATE, 4, Mishap::RequestLost);
    system.order("never").await.failed(504, "create_outcome_unknown", "create", "not_needed", false);
    system.order("never").await.failed(409, "idempotency_key_spent", "create", "not_needed", false);
    system.orders.on(CREATE, 4, Mishap::AnswerLost);
    let reply = system.order("arrived").await;
    reply.failed(504, "create_outcome_unknown", "create", "done", false);
    assert_eq!(system.view(&reply.json()["error"]["order_id"]).await.status, OrderStatus::Canceled);
    system.order("arrived").await.failed(409, "idempotency_key_spent", "confirm", "not_needed", false);
    assert_eq!(system.taken().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_comes_late_is_refused() {
    let system = System::start().await;
    system.orders.on(CREATE, 4, Mishap::RequestStuck);
    system.order("a").await.failed(504, "create_outcome_unknown", "create", "not_needed", false);
    assert_eq!(system.orders.deliver_late().await, 409);
    assert_eq!(system.taken().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_be_confirmed_is_canceled_once() {
    let system = System::start().await;
    system.orders.on(CONFIRM, 4, Mishap::RequestLost);
    system.orders.on(CANCEL, 1, Mishap::AnswerLost);
    let reply = system.order("a").await;
    reply.failed(503, "confirm_failed", "confirm", "done", false);
    assert_eq!(system.view(&reply.json()["error"]["order_id"]).await.status, OrderStatus::Canceled);
    assert_eq!(system.taken().await, 0);
    system.order("a").await.failed(409, "idempotency_key_spent", "confirm", "not_needed", false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_that_came_through_unnoticed_is_a_success() {
    let system = System::start().await;
    system.orders.on(CONFIRM, ALWAYS, Mishap::AnswerLost);
    let reply = system.order("a").await;
    reply.succeeded();
    assert_eq!(system.view(&reply.json()["data"]["order"]["id"]).await.status, OrderStatus::Confirmed);
    assert_eq!(system.taken().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pending_is_resolved_by_the_same_key() {
    let system = System::start().await;
    system.orders.on(CONFIRM, 4, Mishap::RequestLost);
    system.orders.on(CANCEL, 4, Mishap::RequestLost);
    let reply = system.order("a").await;
    reply.failed(504, "compensation_pending", "confirm", "pending", true);
    assert_eq!(system.view(&reply.json()["error"]["order_id"]).await.status, OrderStatus::Created);
    system.order("a").await.succeeded();
    assert_eq!(system.taken().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_an_operator_canceled_is_told() {
    let system = System::start().await;
    system.orders.on(CONFIRM, 1, Mishap::RequestStuck);
    let (reply, ()) = tokio::join!(system.order("a"), async {
        system.orders.until_seen(CONFIRM).await;
        let newest = system.newest_order().await;
        client_common::send(system.operator().order_cancel().id(newest).send()).await.unwrap();
    });
    reply.failed(409, "order_canceled", "confirm", "done", false);
    assert_eq!(system.taken().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_32_times_at_once_makes_one_order_also_when_answers_are_lost() {
    let system = System::start().await;
    // One fewer than the attempts of a run: none of them can lose all of its answers.
    system.orders.on(CREATE, 3, Mishap::AnswerLost);
    system.orders.on(CONFIRM, 3, Mishap::AnswerLost);
    let body = world::order("a");
    let replies = tokio::task::JoinSet::from_iter((0..32).map(|_| system.sending(&body))).join_all().await;
    let (confirmed, others): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 201);
    assert!(!confirmed.is_empty(), "{}", others[0].text);
    for reply in &confirmed {
        assert_eq!(reply.text, confirmed[0].text);
    }
    for other in others {
        assert_eq!((other.status, &other.json()["error"]["code"]), (409, &json!("idempotency_in_progress")));
    }
    let undoing = [CANCEL, ABANDON];
    assert!(!system.orders.seen().iter().any(|request| undoing.contains(&request.as_str())));
    assert_eq!(system.taken().await, 3);
}
