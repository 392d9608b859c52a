//! The third step, confirming the order, and taking the create back where that fails.

use std::time::Duration;

use client_common::Retry;
use orchestrator::Policy;
use orders_api::OrderStatus;

use crate::fake_orders::FIRST_STOCK;
use crate::line::{ALWAYS, Mishap};
use crate::world::{POLICY, World};

const CREATE: &str = "POST /orders";
const CONFIRM: &str = "POST /orders/{id}/confirm";
const CANCEL: &str = "POST /orders/{id}/cancel";
const VIEW: &str = "GET /orders/{id}";

#[tokio::test]
async fn a_confirmation_that_fails_once_is_made_once() {
    for mishap in [Mishap::Error(503, "unavailable"), Mishap::AnswerLost, Mishap::AnswerStuck, Mishap::AnswerCut] {
        let world = World::new().await;
        world.orders.on(CONFIRM, 1, mishap);
        world.order("a").await.succeeded();
        assert_eq!(world.orders.seen(), [CREATE, CONFIRM, CONFIRM], "{mishap:?}");
        assert_eq!(world.shop().confirmations, 1);
    }
}

#[tokio::test]
async fn an_order_that_an_operator_canceled_stays_canceled() {
    let world = World::new().await;
    world.orders.on(CONFIRM, 1, Mishap::RequestStuck);
    let (reply, ()) = tokio::join!(world.order("a"), async {
        world.orders.until_seen(CONFIRM).await;
        world.shop().cancel_all();
    });
    reply.failed(409, "order_canceled", "confirm", "done", false);
    assert_eq!(reply.json()["error"]["order_id"], 101);
    assert_eq!(world.shop().only_order(), OrderStatus::Canceled);
    assert_eq!(world.shop().cancelations, 1);
}

#[tokio::test]
async fn an_order_that_cannot_be_confirmed_is_canceled() {
    let rows = [(Mishap::Gateway(503), 503), (Mishap::RequestLost, 503), (Mishap::RequestStuck, 504)];
    for (mishap, status) in rows {
        let world = World::new().await;
        world.orders.on(CONFIRM, ALWAYS, mishap);
        let reply = world.order("a").await;
        reply.failed(status, "confirm_failed", "confirm", "done", false);
        assert_eq!((reply.attempts().as_u64(), reply.json()["error"]["order_id"].as_u64()), (Some(4), Some(101)));
        assert_eq!(world.orders.seen(), [CREATE, CONFIRM, CONFIRM, CONFIRM, CONFIRM, CANCEL], "{mishap:?}");
        assert_eq!(world.shop().only_order(), OrderStatus::Canceled);
        assert_eq!(world.shop().stock(), FIRST_STOCK);
    }
}

#[tokio::test]
async fn an_order_whose_confirmation_is_refused_for_good_is_canceled_at_once() {
    let rows = [("unauthorized", 401, "upstream_auth"), ("order_not_found", 404, "upstream_invalid")];
    for (refusal, status, code) in rows {
        let world = World::new().await;
        world.orders.on(CONFIRM, ALWAYS, Mishap::Error(status, refusal));
        let reply = world.order("a").await;
        reply.failed(502, code, "confirm", "done", false);
        assert!(!reply.text.contains("hidden"), "{}", reply.text);
        assert_eq!(world.orders.seen(), [CREATE, CONFIRM, CANCEL]);
        assert_eq!(world.shop().stock(), FIRST_STOCK);
    }
}

#[tokio::test]
async fn a_confirmation_that_had_been_made_is_a_success() {
    for mishap in [Mishap::AnswerStuck, Mishap::AnswerLost] {
        let world = World::new().await;
        world.orders.on(CONFIRM, ALWAYS, mishap);
        let reply = world.order("a").await;
        reply.succeeded();
        assert_eq!(world.orders.seen()[5..], [CANCEL, VIEW]);
        assert_eq!(world.shop().only_order(), OrderStatus::Confirmed);
        assert_eq!(world.shop().cancelations, 0);
    }
}

#[tokio::test]
async fn an_order_that_can_neither_be_confirmed_nor_canceled_is_pending() {
    let world = World::new().await;
    world.orders.on(CONFIRM, 1, Mishap::PortCloses);
    let reply = world.order("a").await;
    reply.failed(504, "compensation_pending", "confirm", "pending", true);
    assert_eq!(reply.json()["error"]["order_id"], 101);
    assert_eq!(world.shop().only_order(), OrderStatus::Created);
}

#[tokio::test]
async fn when_the_time_for_going_forward_is_up_the_rest_is_used_for_undoing() {
    let retry = Retry { total: Duration::from_millis(5_800), ..POLICY.retry };
    let world = World::with_policy(Policy { retry, compensation: Duration::from_secs(5), ..POLICY }).await;
    world.orders.on(CONFIRM, ALWAYS, Mishap::RequestStuck);
    let reply = world.order("a").await;
    reply.failed(504, "confirm_failed", "confirm", "done", false);
    assert!(reply.attempts().as_u64().unwrap() < u64::from(POLICY.retry.attempts), "{}", reply.text);
    assert_eq!(world.shop().only_order(), OrderStatus::Canceled);
}

#[tokio::test]
async fn the_same_key_resolves_what_is_pending() {
    let world = World::new().await;
    world.orders.on(CONFIRM, 4, Mishap::RequestLost);
    world.orders.on(CANCEL, ALWAYS, Mishap::RequestLost);
    world.order("a").await.failed(504, "compensation_pending", "confirm", "pending", true);
    world.order("a").await.succeeded();
    assert_eq!(world.shop().only_order(), OrderStatus::Confirmed);
}

#[tokio::test]
async fn a_cancelation_whose_answer_is_lost_gives_the_stock_back_once() {
    for mishap in [Mishap::AnswerLost, Mishap::AnswerStuck] {
        let world = World::new().await;
        world.orders.on(CONFIRM, ALWAYS, Mishap::Gateway(503));
        world.orders.on(CANCEL, 1, mishap);
        world.order("a").await.failed(503, "confirm_failed", "confirm", "done", false);
        assert_eq!(world.orders.seen()[5..], [CANCEL, CANCEL]);
        assert_eq!(world.shop().cancelations, 1);
        assert_eq!(world.shop().stock(), FIRST_STOCK);
    }
}

#[tokio::test]
async fn whoever_finds_another_confirming_with_the_key_leaves_the_order_to_it() {
    let world = World::new().await;
    world.orders.on(CONFIRM, ALWAYS, Mishap::Error(409, "idempotency_in_progress"));
    world.order("a").await.failed(409, "idempotency_in_progress", "confirm", "not_needed", true);
    assert_eq!(world.orders.seen(), [CREATE, CONFIRM, CONFIRM, CONFIRM, CONFIRM]);
    assert_eq!(world.shop().only_order(), OrderStatus::Created);
}

#[tokio::test]
async fn whoever_did_not_make_the_order_does_not_cancel_it() {
    let world = World::new().await;
    world.orders.on(CONFIRM, 4, Mishap::RequestLost);
    world.orders.on(CANCEL, 4, Mishap::RequestLost);
    world.order("a").await.failed(504, "compensation_pending", "confirm", "pending", true);
    world.orders.on(CONFIRM, ALWAYS, Mishap::RequestLost);
    world.order("a").await.failed(504, "compensation_pending", "confirm", "pending", true);
    assert_eq!(world.orders.seen().last().unwrap(), VIEW);
    assert_eq!(world.shop().only_order(), OrderStatus::Created);
}

#[tokio::test]
async fn a_confirmation_in_doubt_that_another_seems_to_make_is_undone_unless_it_was_made() {
    let rows = [(Mishap::RequestLost, OrderStatus::Canceled), (Mishap::AnswerLost, OrderStatus::Confirmed)];
    for (mishap, left) in rows {
        let world = World::new().await;
        world.orders.on(CONFIRM, 1, mishap);
        world.orders.on(CONFIRM, ALWAYS, Mishap::Error(409, "idempotency_in_progress"));
        let reply = world.order("a").await;
        match left {
            OrderStatus::Confirmed => reply.succeeded(),
            _ => reply.failed(503, "confirm_failed", "confirm", "done", false),
        }
        assert_eq!(world.shop().only_order(), left);
    }
}

#[tokio::test]
async fn an_order_that_this_run_may_not_have_made_is_not_canceled_by_it() {
    let world = World::new().await;
    world.orders.on(CREATE, 1, Mishap::AnswerLost);
    world.orders.on(CONFIRM, ALWAYS, Mishap::RequestLost);
    world.order("a").await.failed(504, "compensation_pending", "confirm", "pending", true);
    assert_eq!(world.orders.seen().last().unwrap(), VIEW);
    world.orders.mend();
    world.order("a").await.succeeded();
    assert_eq!(world.shop().only_order(), OrderStatus::Confirmed);
}
