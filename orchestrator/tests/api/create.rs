//! The second step: creating the order.

use orders_api::OrderStatus;
use serde_json::json;

use crate::fake_orders::{FIRST_STOCK, PRODUCT};
use crate::line::{ALWAYS, Mishap};
use crate::world::{World, order};

const CREATE: &str = "POST /orders";
const CONFIRM: &str = "POST /orders/{id}/confirm";
const CANCEL: &str = "POST /orders/{id}/cancel";
const ABANDON: &str = "POST /internal/orders/abandon";

#[tokio::test]
async fn too_little_stock_is_told_with_what_there_is() {
    let world = World::new().await;
    let mut body = order("a");
    body["items"][0]["qty"] = json!(FIRST_STOCK + 1);
    let reply = world.send(&body).await;
    reply.failed(409, "insufficient_stock", "create", "not_needed", true);
    let detail = json!([{ "product_id": PRODUCT, "requested": FIRST_STOCK + 1, "available": FIRST_STOCK }]);
    assert_eq!(reply.json()["error"]["details"], detail);
    assert_eq!(world.orders.seen(), [CREATE]);
}

#[tokio::test]
async fn a_product_nobody_knows_is_not_found() {
    let world = World::new().await;
    let mut body = order("a");
    body["items"][0]["product_id"] = json!(9);
    let reply = world.send(&body).await;
    reply.failed(404, "product_not_found", "create", "not_needed", false);
    assert_eq!(reply.json()["error"]["details"], json!([{ "product_id": 9 }]));
}

#[tokio::test]
async fn a_lost_request_or_a_lost_answer_still_makes_one_confirmed_order() {
    let mishaps = [
        Mishap::RequestLost,
        Mishap::AnswerLost,
        Mishap::RequestStuck,
        Mishap::AnswerStuck,
        Mishap::AnswerCut,
        Mishap::Gateway(502),
        Mishap::Error(409, "idempotency_in_progress"),
    ];
    for mishap in mishaps {
        let world = World::new().await;
        world.orders.on(CREATE, 1, mishap);
        world.order("a").await.succeeded();
        assert_eq!(world.orders.seen(), [CREATE, CREATE, CONFIRM], "{mishap:?}");
        assert_eq!(world.shop().only_order(), OrderStatus::Confirmed);
        assert_eq!(world.shop().stock(), FIRST_STOCK - 3);
    }
}

#[tokio::test]
async fn a_create_that_never_arrived_is_given_up() {
    for mishap in [Mishap::RequestStuck, Mishap::RequestLost, Mishap::Gateway(504)] {
        let world = World::new().await;
        world.orders.on(CREATE, ALWAYS, mishap);
        let reply = world.order("a").await;
        reply.failed(504, "create_outcome_unknown", "create", "not_needed", false);
        assert_eq!(reply.attempts(), 4);
        assert_eq!(world.orders.seen(), [CREATE, CREATE, CREATE, CREATE, ABANDON]);
        assert_eq!(world.shop().orders.len(), 0);
        assert_eq!(world.shop().stock(), FIRST_STOCK);
    }
}

#[tokio::test]
async fn a_create_that_had_arrived_is_taken_back() {
    for mishap in [Mishap::AnswerStuck, Mishap::AnswerLost, Mishap::AnswerCut] {
        let world = World::new().await;
        world.orders.on(CREATE, ALWAYS, mishap);
        let reply = world.order("a").await;
        reply.failed(504, "create_outcome_unknown", "create", "done", false);
        assert_eq!(reply.json()["error"]["order_id"], 101);
        assert_eq!(world.shop().only_order(), OrderStatus::Canceled);
        assert_eq!(world.shop().stock(), FIRST_STOCK);
    }
}

#[tokio::test]
async fn a_create_that_cannot_be_given_up_either_is_pending_and_the_same_key_resolves_it() {
    let world = World::new().await;
    world.orders.on(CREATE, 4, Mishap::AnswerStuck);
    world.orders.on(ABANDON, ALWAYS, Mishap::RequestStuck);
    world.order("a").await.failed(504, "compensation_pending", "create", "pending", true);
    assert_eq!(world.shop().only_order(), OrderStatus::Created);
    world.order("a").await.succeeded();
    assert_eq!(world.shop().only_order(), OrderStatus::Confirmed);
}

#[tokio::test]
async fn a_create_that_another_confirmed_meanwhile_is_a_success() {
    let world = World::new().await;
    world.order("a").await.succeeded();
    world.orders.on(CREATE, ALWAYS, Mishap::RequestLost);
    world.order("a").await.succeeded();
    assert_eq!(world.orders.seen().last().unwrap(), ABANDON);
    assert_eq!(world.shop().only_order(), OrderStatus::Confirmed);
}

#[tokio::test]
async fn a_create_that_arrives_after_it_was_given_up_is_refused() {
    let world = World::new().await;
    world.orders.on(CREATE, ALWAYS, Mishap::RequestStuck);
    world.order("a").await.failed(504, "create_outcome_unknown", "create", "not_needed", false);
    assert_eq!(world.orders.deliver_late().await, 409);
    assert_eq!(world.shop().orders.len(), 0);
}

#[tokio::test]
async fn a_create_still_on_its_way_when_another_attempt_is_refused_is_given_up() {
    let world = World::new().await;
    world.shop().taken = FIRST_STOCK;
    world.orders.on(CREATE, 1, Mishap::RequestStuck);
    world.order("a").await.failed(409, "insufficient_stock", "create", "not_needed", false);
    world.shop().taken = 0;
    assert_eq!(world.orders.deliver_late().await, 409);
    assert_eq!(world.shop().orders.len(), 0);
}

#[tokio::test]
async fn the_order_of_another_request_under_the_key_is_no_success() {
    let world = World::new().await;
    world.order("a").await.succeeded();
    world.orders.on(CREATE, ALWAYS, Mishap::AnswerLost);
    let mut other = order("a");
    other["items"][0]["qty"] = 2.into();
    world.send(&other).await.failed(422, "idempotency_key_reused", "create", "not_needed", false);
    assert_eq!(world.shop().only_order(), OrderStatus::Confirmed);
}

#[tokio::test]
async fn the_unconfirmed_order_of_another_request_under_the_key_is_not_given_up() {
    let world = World::new().await;
    world.orders.on(CONFIRM, 4, Mishap::RequestLost);
    world.orders.on(CANCEL, 4, Mishap::RequestLost);
    world.order("a").await.failed(504, "compensation_pending", "confirm", "pending", true);
    world.orders.on(CREATE, 4, Mishap::AnswerLost);
    let mut other = order("a");
    other["items"][0]["qty"] = 2.into();
    world.send(&other).await.failed(422, "idempotency_key_reused", "create", "not_needed", false);
    assert_eq!(world.shop().only_order(), OrderStatus::Created);
    world.order("a").await.succeeded();
}

#[tokio::test]
async fn a_create_that_surely_did_nothing_needs_no_undoing() {
    for code in ["customer_service_unavailable", "unavailable"] {
        let world = World::new().await;
        world.orders.on(CREATE, ALWAYS, Mishap::Error(503, code));
        world.order("a").await.failed(503, "upstream_unavailable", "create", "not_needed", true);
        assert_eq!(world.orders.seen(), [CREATE, CREATE, CREATE, CREATE], "{code}");
    }
}

#[tokio::test]
async fn a_create_that_was_refused_a_connection_needs_no_undoing() {
    let world = World::new().await;
    world.orders.close().await;
    let reply = world.order("a").await;
    reply.failed(503, "upstream_unavailable", "create", "not_needed", true);
    assert_eq!(reply.attempts(), 4);
}

#[tokio::test]
async fn credentials_refused_after_a_lost_request_leave_the_create_in_doubt() {
    let world = World::new().await;
    world.orders.on(CREATE, 1, Mishap::AnswerLost);
    world.orders.on(CREATE, ALWAYS, Mishap::Error(401, "unauthorized"));
    world.order("a").await.failed(504, "create_outcome_unknown", "create", "done", false);
    assert_eq!(world.shop().only_order(), OrderStatus::Canceled);
}

#[tokio::test]
async fn refused_credentials_are_our_fault() {
    let world = World::new().await;
    world.orders.on(CREATE, ALWAYS, Mishap::Error(401, "unauthorized"));
    let reply = world.order("a").await;
    reply.failed(502, "upstream_auth", "create", "not_needed", true);
    assert!(!reply.text.contains("hidden"), "{}", reply.text);
    assert_eq!(world.orders.seen(), [CREATE]);
}

#[tokio::test]
async fn whoever_finds_another_at_work_with_the_key_leaves_everything_to_it() {
    let world = World::new().await;
    world.orders.on(CREATE, ALWAYS, Mishap::Error(409, "idempotency_in_progress"));
    let reply = world.order("a").await;
    reply.failed(409, "idempotency_in_progress", "create", "not_needed", true);
    assert_eq!(reply.headers["retry-after"], "1");
    assert_eq!(world.orders.seen(), [CREATE, CREATE, CREATE, CREATE]);
}

#[tokio::test]
async fn whoever_lost_an_answer_and_then_finds_another_at_work_says_that_something_may_be_left() {
    let world = World::new().await;
    world.orders.on(CREATE, 1, Mishap::AnswerLost);
    world.orders.on(CREATE, ALWAYS, Mishap::Error(409, "idempotency_in_progress"));
    world.order("a").await.failed(409, "idempotency_in_progress", "create", "pending", true);
    assert_eq!(world.orders.seen(), [CREATE, CREATE, CREATE, CREATE]);
    world.orders.mend();
    world.order("a").await.succeeded();
    assert_eq!(world.shop().only_order(), OrderStatus::Confirmed);
}

#[tokio::test]
async fn whatever_refuses_a_later_attempt_the_one_in_doubt_is_given_up() {
    let refusals = [
        (404, "customer_not_found", 404, "customer_not_found"),
        (404, "product_not_found", 404, "product_not_found"),
        (400, "invalid_request", 504, "create_outcome_unknown"),
    ];
    for (refused, refusal, status, code) in refusals {
        let world = World::new().await;
        world.orders.on(CREATE, 1, Mishap::RequestStuck);
        world.orders.on(CREATE, ALWAYS, Mishap::Error(refused, refusal));
        world.order("a").await.failed(status, code, "create", "not_needed", false);
        assert_eq!(world.orders.seen(), [CREATE, CREATE, ABANDON], "{refusal}");
        assert_eq!(world.orders.deliver_late().await, 409);
        assert_eq!(world.shop().orders.len(), 0);
    }
}

#[tokio::test]
async fn a_gateway_with_a_number_of_its_own_leaves_a_doubt() {
    for status in [501, 520, 561] {
        let world = World::new().await;
        world.orders.on(CREATE, 1, Mishap::GatewayAfterwards(status));
        world.order("a").await.failed(504, "create_outcome_unknown", "create", "done", false);
        assert_eq!(world.shop().stock(), FIRST_STOCK);
    }
}

#[tokio::test]
async fn a_refusal_that_is_cut_off_is_no_answer() {
    let world = World::new().await;
    world.shop().taken = FIRST_STOCK;
    world.orders.on(CREATE, 1, Mishap::AnswerCut);
    world.order("a").await.failed(409, "insufficient_stock", "create", "not_needed", false);
    assert_eq!(world.orders.seen(), [CREATE, CREATE, ABANDON]);
}

#[tokio::test]
async fn a_create_in_doubt_to_the_end_is_given_up_whoever_made_the_order() {
    let world = World::new().await;
    world.orders.on(CONFIRM, 1, Mishap::RequestStuck);
    let maker = world.order("a");
    let other = async {
        world.orders.until_seen(CONFIRM).await;
        world.orders.on(CREATE, 4, Mishap::RequestLost);
        world.order("a").await
    };
    let (maker, other) = tokio::join!(maker, other);
    maker.failed(409, "order_canceled", "confirm", "done", false);
    other.failed(504, "create_outcome_unknown", "create", "done", false);
    let shop = world.shop();
    assert_eq!((shop.only_order(), shop.stock()), (OrderStatus::Canceled, FIRST_STOCK));
}
