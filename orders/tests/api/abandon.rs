//! Giving a create up, and finding out what became of one.

use orders_client::types::{self, AbandonOutcome, AbandonRequest, Abandoned, OrderStatus};
use orders_client::{Error, ResponseValue};
use reqwest::Method;
use serde_json::{Value, json};

use crate::books;
use crate::harness::{Harness, SERVICE_TOKEN, is_replay, new_order, refusal, refused};

/// Gives up a create of so many pieces.
async fn abandon(harness: &Harness, key: &str, product: i64, qty: i64) -> Abandoned {
    abandoning(harness, key, product, qty).await.unwrap().into_inner()
}

async fn abandoning(
    harness: &Harness,
    key: &str,
    product: i64,
    qty: i64,
) -> Result<ResponseValue<Abandoned>, Error<types::Error>> {
    let order: types::NewOrder = new_order(&[(product, qty)]).try_into().unwrap();
    let request = AbandonRequest::builder().create_key(key).order(order);
    harness.service().internal_order_abandon().body(request).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_never_arrived_is_refused_from_then_on() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    for _ in 0..2 {
        let ended = abandon(&harness, "k", a, 1).await;
        assert_eq!((ended.outcome, ended.order), (AbandonOutcome::NeverCreated, None));
    }
    let create =
        |key: &'static str| harness.service().order_create().x_idempotency_key(key).body(new_order(&[(a, 1)])).send();
    assert_eq!(refusal(create("k").await), refused(409, "idempotency_key_abandoned"));
    assert_eq!(harness.stock(a).await, 10);
    assert!(create("other").await.is_ok());
    let operator = harness.operator().order_create().x_idempotency_key("k").body(new_order(&[(a, 1)])).send().await;
    assert!(operator.is_ok(), "the keys of others are not concerned");
    books::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_arrived_is_canceled() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let create = || harness.service().order_create().x_idempotency_key("k").body(new_order(&[(a, 3)])).send();
    let made = create().await.unwrap().into_inner();
    let first = abandon(&harness, "k", a, 3).await;
    let order = first.order.clone().unwrap();
    assert_eq!((first.outcome, order.id, order.status), (AbandonOutcome::Canceled, made.id, OrderStatus::Canceled));
    assert_eq!(abandon(&harness, "k", a, 3).await, first);
    assert_eq!(harness.stock(a).await, 10);
    let late = create().await.unwrap();
    assert!(is_replay(&late));
    assert_eq!(late.into_inner(), made);
    assert_eq!(harness.number("SELECT COUNT(*) AS n FROM orders").await, 1);
    books::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_confirmed_stays_confirmed() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let client = harness.service();
    let made = client.order_create().x_idempotency_key("k").body(new_order(&[(a, 3)])).send().await.unwrap();
    let confirmed = client.order_confirm().id(made.id).x_idempotency_key("c").send().await.unwrap().into_inner();
    for _ in 0..2 {
        let ended = abandon(&harness, "k", a, 3).await;
        assert_eq!((ended.outcome, ended.order.as_ref()), (AbandonOutcome::Confirmed, Some(&confirmed)));
    }
    assert_eq!(harness.stock(a).await, 7);
    books::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_another_request_under_the_key_is_left_alone() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let create = || harness.service().order_create().x_idempotency_key("k").body(new_order(&[(a, 3)])).send();
    create().await.unwrap();
    let reused = refused(422, "idempotency_key_reused");
    assert_eq!(refusal(abandoning(&harness, "k", a, 4).await), reused);
    harness.sql("UPDATE idempotency_keys SET expires_at = UTC_TIMESTAMP(6)").await;
    assert_eq!(refusal(abandoning(&harness, "k", a, 4).await), reused, "the order tells where the key cannot");
    assert_eq!(harness.stock(a).await, 7);
    assert!(is_replay(&create().await.unwrap()));
    books::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_canceled_also_when_its_key_has_expired() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let create = || harness.service().order_create().x_idempotency_key("k").body(new_order(&[(a, 3)])).send();
    create().await.unwrap();
    harness.sql("UPDATE idempotency_keys SET expires_at = UTC_TIMESTAMP(6)").await;
    assert_eq!(abandon(&harness, "k", a, 3).await.outcome, AbandonOutcome::Canceled);
    assert_eq!(harness.stock(a).await, 10);
    assert_eq!(refusal(create().await), refused(409, "idempotency_key_abandoned"));
    books::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_and_its_abandon_at_once_leave_no_order_alive() {
    let harness = Harness::start().await;
    let a = harness.product("A", 100).await;
    let client = harness.service();
    for n in 0..16 {
        let key = format!("k{n}");
        let create = client.order_create().x_idempotency_key(key.clone()).body(new_order(&[(a, 1)])).send();
        let (created, ended) = tokio::join!(create, abandon(&harness, &key, a, 1));
        match ended.outcome {
            AbandonOutcome::NeverCreated => assert_eq!(refusal(created), refused(409, "idempotency_key_abandoned")),
            AbandonOutcome::Canceled => assert_eq!(Some(created.unwrap().id), ended.order.map(|order| order.id)),
            AbandonOutcome::Confirmed => panic!("nobody confirmed it"),
        }
    }
    assert_eq!(harness.stock(a).await, 100);
    books::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_found_by_the_key_it_was_made_under_and_by_its_maker_only() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let made = harness.service().order_create().x_idempotency_key("k").body(new_order(&[(a, 3)])).send().await.unwrap();
    harness.operator().order_create().x_idempotency_key("ann").body(new_order(&[(a, 1)])).send().await.unwrap();
    let lookup = |key: &'static str| harness.service().internal_order_lookup().create_key(key).send();
    let found = lookup("k").await.unwrap();
    assert_eq!(found.headers()["etag"], "\"v1\"");
    assert_eq!(found.into_inner(), made.into_inner());
    for other in ["K", "ann", "none"] {
        assert_eq!(refusal(lookup(other).await), refused(404, "order_not_found"), "{other}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_no_header_can_carry_is_refused() {
    let harness = Harness::start().await;
    let service = |method, path| harness.http().request(method, harness.url(path)).bearer_auth(SERVICE_TOKEN);
    for bad in ["a b", "é", "株", ""] {
        let order = json!({ "customer_id": 1, "items": [{ "product_id": 1, "qty": 1 }] });
        let abandon = json!({ "create_key": bad, "order": order });
        let abandon = service(Method::POST, "/internal/orders/abandon").json(&abandon);
        let lookup = service(Method::GET, "/internal/orders/lookup").query(&[("create_key", bad)]);
        for request in [abandon, lookup] {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 400, "{bad}");
            let body: Value = answer.json().await.unwrap();
            assert_eq!(body["details"][0]["field"], "create_key", "{body}");
        }
    }
    assert_eq!(harness.number("SELECT COUNT(*) AS n FROM idempotency_keys").await, 0);
}
