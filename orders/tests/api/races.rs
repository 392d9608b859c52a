//! Many at once: nothing happens twice, nothing is lost, nobody hears of a deadlock.

use std::num::NonZeroU64;

use futures::future::join_all;
use orders_client::types::{self, OrderStatus, ProductPatch};

use crate::books;
use crate::fake_customers::{FakeCustomers, Mood};
use crate::harness::{Harness, Raw, new_order, refusal, refused};

fn all_the_same(answers: &[Raw], status: u16) {
    for answer in answers {
        assert_eq!((answer.status, &answer.body), (status, &answers[0].body));
    }
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1, "one of them was the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_creates_under_one_key_are_one_order() {
    let harness = Harness::start().await;
    let a = harness.product("A", 100).await;
    let body = format!(r#"{{"customer_id":1,"items":[{{"product_id":{a},"qty":2}}]}}"#);
    let answers = join_all((0..64).map(|_| harness.post("/orders", "k", &body))).await;
    all_the_same(&answers, 201);
    assert_eq!(harness.stock(a).await, 98);
    books::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_key_was_used_and_expired_meanwhile_finds_the_order() {
    for (qty, expected) in [(2, (201, true)), (3, (422, false))] {
        let customers = FakeCustomers::start();
        let harness = Harness::beside(&customers.base_url()).await;
        let a = harness.product("A", 100).await;
        let body = |qty: i64| format!(r#"{{"customer_id":1,"items":[{{"product_id":{a},"qty":{qty}}}]}}"#);
        customers.be(Mood::Held);
        let (slow_body, quick_body) = (body(qty), body(2));
        let slow = harness.post("/orders", "k", &slow_body);
        let quick = async {
            customers.holds_a_call().await;
            customers.be(Mood::Well);
            let made = harness.post("/orders", "k", &quick_body).await;
            harness.sql("UPDATE idempotency_keys SET expires_at = UTC_TIMESTAMP(6)").await;
            customers.release();
            made
        };
        let (slow, quick) = tokio::join!(slow, quick);
        assert_eq!((quick.status, quick.replayed), (201, false));
        assert_eq!((slow.status, slow.replayed), expected);
        assert_eq!(slow.body == quick.body, slow.status == 201);
        assert_eq!(harness.stock(a).await, 98);
        books::check(&harness).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_confirms_under_one_key_are_one_transition() {
    let harness = Harness::start().await;
    let a = harness.product("A", 100).await;
    let path = format!("/orders/{}/confirm", harness.order(&[(a, 1)]).await.id);
    let answers = join_all((0..64).map(|_| harness.post(&path, "k", ""))).await;
    all_the_same(&answers, 200);
    books::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_confirms_under_as_many_keys_are_one_transition() {
    let harness = Harness::start().await;
    let a = harness.product("A", 100).await;
    let path = format!("/orders/{}/confirm", harness.order(&[(a, 1)]).await.id);
    let answers = join_all((0..64).map(|n| {
        let (harness, path) = (&harness, &path);
        async move { harness.post(path, &format!("k{n}"), "").await }
    }))
    .await;
    for answer in &answers {
        assert_eq!((answer.status, answer.replayed, &answer.body), (200, false, &answers[0].body));
    }
    books::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_cancels_are_one_restock() {
    let harness = Harness::start().await;
    let a = harness.product("A", 100).await;
    let id = harness.confirmed(&[(a, 7)]).await.id;
    let client = harness.operator();
    let answers = join_all((0..64).map(|_| client.order_cancel().id(id).send())).await;
    let first = (**answers[0].as_ref().unwrap()).clone();
    for answer in answers {
        assert_eq!(answer.unwrap().into_inner(), first);
    }
    assert_eq!(harness.stock(a).await, 100);
    books::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_hundred_buyers_of_a_hundred_pieces_get_a_hundred() {
    let harness = Harness::start().await;
    let a = harness.product("A", 100).await;
    let client = harness.operator();
    let answers = join_all((0..400).map(|_| client.order_create().body(new_order(&[(a, 1)])).send())).await;
    let (bought, refusals): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    for answer in refusals {
        assert_eq!(refusal(answer), refused(409, "insufficient_stock"));
    }
    assert_eq!((bought.len(), harness.stock(a).await), (100, 0));
    books::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_of_two_products_in_opposite_orders_all_succeed() {
    let harness = Harness::start().await;
    let (a, b) = (harness.product("A", 1000).await, harness.product("B", 1000).await);
    let client = harness.operator();
    let worker = async |n: usize| {
        for _ in 0..4 {
            let lines = if n.is_multiple_of(2) { [(a, 1), (b, 1)] } else { [(b, 1), (a, 1)] };
            let order = client.order_create().body(new_order(&lines)).send().await.unwrap().into_inner();
            if n.is_multiple_of(3) {
                client.order_cancel().id(order.id).send().await.unwrap();
            }
        }
    };
    join_all((0..32).map(worker)).await;
    let canceled = 11 * 4;
    assert_eq!((harness.stock(a).await, harness.stock(b).await), (1000 - 128 + canceled, 1000 - 128 + canceled));
    books::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirm_and_a_cancel_at_once_end_in_a_canceled_order() {
    let harness = Harness::start().await;
    let a = harness.product("A", 1000).await;
    let client = harness.operator();
    let race = async |id: NonZeroU64| {
        let confirm = client.order_confirm().id(id).x_idempotency_key(format!("c{id}")).send();
        let (confirmed, canceled) = tokio::join!(confirm, client.order_cancel().id(id).send());
        assert_eq!(canceled.unwrap().status, OrderStatus::Canceled);
        if confirmed.is_err() {
            assert_eq!(refusal(confirmed), refused(409, "order_canceled"));
        }
    };
    let mut orders = Vec::new();
    for _ in 0..24 {
        orders.push(harness.order(&[(a, 1)]).await.id);
    }
    join_all(orders.into_iter().map(race)).await;
    assert_eq!(harness.stock(a).await, 1000);
    books::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_price_and_stock_lose_nothing_to_orders() {
    let harness = Harness::start().await;
    let a = harness.product("A", 1000).await;
    let client = harness.operator();
    let orders = join_all((0..40).map(|_| client.order_create().body(new_order(&[(a, 1)])).send()));
    let adjustments = join_all((0..20).map(|_| {
        let delivery = types::NewStockAdjustment::builder().delta(10).reason("delivery");
        client.stock_adjustment_create().id(a).body(delivery).send()
    }));
    let edits = join_all(
        (0..20).map(|n| client.product_update().id(a).body(ProductPatch::builder().price_cents(100 + n)).send()),
    );
    let (orders, adjustments, edits) = tokio::join!(orders, adjustments, edits);
    assert!(
        orders.iter().all(Result::is_ok) && adjustments.iter().all(Result::is_ok) && edits.iter().all(Result::is_ok)
    );
    let product = harness.operator().product_view().id(a).send().await.unwrap().into_inner();
    assert_eq!((product.stock, product.version), (1000 - 40 + 200, 1 + 40 + 20 + 20));
    for order in &orders {
        let item = &order.as_ref().unwrap().items[0];
        assert!((100..120).contains(&item.unit_price_cents));
    }
    books::check(&harness).await;
}
