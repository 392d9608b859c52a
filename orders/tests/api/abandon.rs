//! Abandoning a create request, and looking up the order for a create key.

use orders_client::types::{self, AbandonOutcome, AbandonRequest, Abandoned, OrderStatus};
use orders_client::{Error, ResponseValue};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Harness, SERVICE_TOKEN, api_error, error_of, is_replay, new_order};
use crate::invariants;

/// Abandons the request to create an order for `qty` pieces.
async fn abandon(harness: &Harness, key: &str, product: i64, qty: i64) -> Abandoned {
    try_abandon(harness, key, product, qty).await.unwrap().into_inner()
}

async fn try_abandon(
    harness: &Harness,
    key: &str,
    product: i64,
    qty: i64,
) -> Result<ResponseValue<Abandoned>, Error<types::Error>> {
    let order: types::OrderInput = new_order(&[(product, qty)]).try_into().unwrap();
    let request = AbandonRequest::builder().create_key(key).order(order);
    harness.service().internal_order_abandon().body(request).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn abandoned_key_rejects_a_late_create() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    for _ in 0..2 {
        let abandoned = abandon(&harness, "k", a, 1).await;
        assert_eq!((abandoned.outcome, abandoned.order), (AbandonOutcome::NeverCreated, None));
    }
    let create =
        |key: &'static str| harness.service().order_create().x_idempotency_key(key).body(new_order(&[(a, 1)])).send();
    assert_eq!(error_of(create("k").await), api_error(409, "idempotency_key_abandoned"));
    assert_eq!(harness.stock(a).await, 10);
    assert!(create("other").await.is_ok());
    let operator = harness.operator().order_create().x_idempotency_key("k").body(new_order(&[(a, 1)])).send().await;
    assert!(operator.is_ok(), "the keys of other callers are not affected");
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn abandon_cancels_a_created_order() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let create = || harness.service().order_create().x_idempotency_key("k").body(new_order(&[(a, 3)])).send();
    let created = create().await.unwrap().into_inner();
    let first = abandon(&harness, "k", a, 3).await;
    let order = first.order.clone().unwrap();
    assert_eq!((first.outcome, order.id, order.status), (AbandonOutcome::Canceled, created.id, OrderStatus::Canceled));
    assert_eq!(abandon(&harness, "k", a, 3).await, first);
    assert_eq!(harness.stock(a).await, 10);
    let late = create().await.unwrap();
    assert!(is_replay(&late));
    assert_eq!(late.into_inner(), created);
    assert_eq!(harness.number("SELECT COUNT(*) AS n FROM orders").await, 1);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn abandon_keeps_a_confirmed_order() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let client = harness.service();
    let created = client.order_create().x_idempotency_key("k").body(new_order(&[(a, 3)])).send().await.unwrap();
    let confirmed = client.order_confirm().id(created.id).x_idempotency_key("c").send().await.unwrap().into_inner();
    for _ in 0..2 {
        let abandoned = abandon(&harness, "k", a, 3).await;
        assert_eq!((abandoned.outcome, abandoned.order.as_ref()), (AbandonOutcome::Confirmed, Some(&confirmed)));
    }
    assert_eq!(harness.stock(a).await, 7);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn abandon_with_different_content_is_rejected_and_changes_nothing() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let create = || harness.service().order_create().x_idempotency_key("k").body(new_order(&[(a, 3)])).send();
    create().await.unwrap();
    let reused = api_error(422, "idempotency_key_reused");
    assert_eq!(error_of(try_abandon(&harness, "k", a, 4).await), reused);
    harness.sql("UPDATE idempotency_keys SET expires_at = UTC_TIMESTAMP(6)").await;
    assert_eq!(error_of(try_abandon(&harness, "k", a, 4).await), reused, "the hash is stored with the order, too");
    assert_eq!(harness.stock(a).await, 7);
    assert!(is_replay(&create().await.unwrap()));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn abandon_cancels_the_order_of_an_expired_key() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let create = || harness.service().order_create().x_idempotency_key("k").body(new_order(&[(a, 3)])).send();
    create().await.unwrap();
    harness.sql("UPDATE idempotency_keys SET expires_at = UTC_TIMESTAMP(6)").await;
    assert_eq!(abandon(&harness, "k", a, 3).await.outcome, AbandonOutcome::Canceled);
    assert_eq!(harness.stock(a).await, 10);
    assert_eq!(error_of(create().await), api_error(409, "idempotency_key_abandoned"));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_create_and_abandon_leave_no_active_order() {
    let harness = Harness::start().await;
    let a = harness.product("A", 100).await;
    let client = harness.service();
    for n in 0..16 {
        let key = format!("k{n}");
        let create = client.order_create().x_idempotency_key(key.clone()).body(new_order(&[(a, 1)])).send();
        let (created, abandoned) = tokio::join!(create, abandon(&harness, &key, a, 1));
        match abandoned.outcome {
            AbandonOutcome::NeverCreated => assert_eq!(error_of(created), api_error(409, "idempotency_key_abandoned")),
            AbandonOutcome::Canceled => assert_eq!(Some(created.unwrap().id), abandoned.order.map(|order| order.id)),
            AbandonOutcome::Confirmed => panic!("the order was not confirmed"),
        }
    }
    assert_eq!(harness.stock(a).await, 100);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lookup_by_create_key_finds_only_orders_of_the_same_service() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let created =
        harness.service().order_create().x_idempotency_key("k").body(new_order(&[(a, 3)])).send().await.unwrap();
    harness.operator().order_create().x_idempotency_key("ann").body(new_order(&[(a, 1)])).send().await.unwrap();
    let lookup = |key: &'static str| harness.service().internal_order_lookup().create_key(key).send();
    let found = lookup("k").await.unwrap();
    assert_eq!(found.headers()["etag"], "\"v1\"");
    assert_eq!(found.into_inner(), created.into_inner());
    for other in ["K", "ann", "none"] {
        assert_eq!(error_of(lookup(other).await), api_error(404, "order_not_found"), "{other}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn create_key_that_is_no_valid_header_value_is_rejected() {
    let harness = Harness::start().await;
    let service = |method, path| harness.http().request(method, harness.url(path)).bearer_auth(SERVICE_TOKEN);
    for bad in ["a b", "é", "株", ""] {
        let order = json!({ "customer_id": 1, "items": [{ "product_id": 1, "qty": 1 }] });
        let abandon = json!({ "create_key": bad, "order": order });
        let abandon = service(Method::POST, "/internal/orders/abandon").json(&abandon);
        let lookup = service(Method::GET, "/internal/orders/lookup").query(&[("create_key", bad)]);
        for request in [abandon, lookup] {
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 400, "{bad}");
            let body: Value = response.json().await.unwrap();
            assert_eq!(body["details"][0]["field"], "create_key", "{body}");
        }
    }
    assert_eq!(harness.number("SELECT COUNT(*) AS n FROM idempotency_keys").await, 0);
}
