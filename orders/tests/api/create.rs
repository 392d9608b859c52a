//! Order creation.

use insta::assert_json_snapshot;
use orders_client::types::{self, OrderStatus};

use crate::harness::{CUSTOMER, Harness, api_error, error_of, expect_error, is_replay, new_order};
use crate::invariants;

#[tokio::test(flavor = "multi_thread")]
async fn create_allocates_stock_and_fixes_prices() {
    let harness = Harness::start().await;
    let (a, b) = (harness.product("A", 10).await, harness.product("B", 5).await);
    let client = harness.operator();
    let new =
        new_order(&[(b, 5), (a, 3)]).external_reference("PO-1".parse::<types::OrderInputExternalReference>().unwrap());
    let response = client.order_create().body(new).send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["location"], format!("/orders/{}", response.id));
    assert_eq!(response.headers()["etag"], "\"v1\"");
    assert!(!is_replay(&response));
    let order = response.into_inner();
    assert_eq!((harness.stock(a).await, harness.stock(b).await), (7, 0));
    let change =
        types::ProductPatch::builder().price_cents(900).name("Renamed".parse::<types::ProductPatchName>().unwrap());
    client.product_update().id(a).body(change).send().await.unwrap();
    let viewed = client.order_view().id(order.id).send().await.unwrap();
    assert_eq!(viewed.headers()["etag"], "\"v1\"");
    assert_eq!(viewed.into_inner(), order);
    let mut body = serde_json::to_value(&order).unwrap();
    body["created_at"] = "TIME".into();
    assert_json_snapshot!(body);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn published_example_works_on_seed_data() {
    let harness = Harness::seeded().await;
    let (product, customer) = (2, 1);
    let order = harness.operator().order_create().body(new_order(&[(product, 3)]).customer_id(customer)).send().await;
    let order = order.unwrap().into_inner();
    assert_eq!((order.total_cents, order.status), (389_700, OrderStatus::Created));
    let confirmed = harness.operator().order_confirm().id(order.id).x_idempotency_key("abc-123").send().await.unwrap();
    assert_eq!(confirmed.status, OrderStatus::Confirmed);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_one_product_are_added_up() {
    let harness = Harness::start().await;
    let a = harness.product("A", 5).await;
    let short = expect_error(harness.operator().order_create().body(new_order(&[(a, 3), (a, 3)])).send().await);
    assert_eq!(short.status(), 409);
    assert_eq!((short.details[0].requested, short.details[0].available), (Some(6), Some(5)));
    let order = harness.order(&[(a, 3), (a, 2)]).await;
    assert_eq!((order.items.len(), order.items[0].qty, order.total_cents), (1, 5, 500));
    assert_eq!(harness.stock(a).await, 0);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shortage_names_every_product_and_allocates_nothing() {
    let harness = Harness::start().await;
    let (a, b, c) = (harness.product("A", 1).await, harness.product("B", 9).await, harness.product("C", 2).await);
    let response = harness.operator().order_create().body(new_order(&[(a, 2), (b, 1), (c, 3)])).send().await;
    let mut error = expect_error(response).into_inner();
    error.request_id = "ID".to_owned();
    assert_json_snapshot!(error);
    assert_eq!((harness.stock(a).await, harness.stock(b).await, harness.stock(c).await), (1, 9, 2));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_unknown_product_is_named() {
    let harness = Harness::start().await;
    let a = harness.product("A", 1).await;
    let (x, y) = (1000, i64::MAX);
    let error = expect_error(harness.operator().order_create().body(new_order(&[(y, 1), (a, 9), (x, 1)])).send().await);
    assert_eq!((error.status().as_u16(), error.error_code.as_deref()), (404, Some("product_not_found")));
    let named: Vec<_> = error.details.iter().map(|detail| detail.product_id).collect();
    assert_eq!(named, [Some(1000), Some(i64::MAX)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn different_expected_total_is_rejected_with_the_current_total() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let create = |expected: i64| {
        let new = new_order(&[(a, 2)]).expected_total_cents(expected);
        harness.operator().order_create().x_idempotency_key(format!("k{expected}")).body(new).send()
    };
    for wrong in [0, -1, 199, i64::MAX] {
        let error = expect_error(create(wrong).await);
        assert_eq!((error.status().as_u16(), error.error_code.as_deref()), (409, Some("total_changed")));
        assert_eq!(error.details[0].total_cents, Some(200));
    }
    assert_eq!(harness.stock(a).await, 10);
    assert_eq!(create(200).await.unwrap().total_cents, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn total_of_the_largest_order_does_not_overflow() {
    let harness = Harness::start().await;
    let new =
        types::ProductInput::builder().sku("GOLD").name("Gold").price_cents(10_000_000_000_i64).stock(1_000_000_000);
    let gold = harness.operator().product_create().body(new).send().await.unwrap().id;
    let order = harness.order(&[(gold, 1_000_000); 100]).await;
    assert_eq!((order.total_cents, order.items[0].qty), (1_000_000_000_000_000_000, 100_000_000));
    let free = types::ProductInput::builder().sku("FREE").name("Free").price_cents(0).stock(1);
    let free = harness.operator().product_create().body(free).send().await.unwrap().id;
    assert_eq!(harness.order(&[(free, 1)]).await.total_cents, 0);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_creates_of_an_operator_without_a_key_are_two_orders() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    assert_ne!(harness.order(&[(a, 1)]).await.id, harness.order(&[(a, 1)]).await.id);
    assert_eq!(harness.stock(a).await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn create_of_a_service_without_a_key_is_rejected() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let error = expect_error(harness.service().order_create().body(new_order(&[(a, 1)])).send().await);
    assert_eq!((error.status().as_u16(), error.error_code.as_deref()), (400, Some("invalid_request")));
    assert_eq!(error.details[0].field.as_deref(), Some("X-Idempotency-Key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn same_key_and_request_replays_the_same_bytes() {
    let harness = Harness::start().await;
    let (a, b) = (harness.product("A", 10).await, harness.product("B", 10).await);
    let body = format!(r#"{{"customer_id":1,"items":[{{"product_id":{a},"qty":2}},{{"product_id":{b},"qty":1}}]}}"#);
    let first = harness.post("/orders", "k", &body).await;
    assert_eq!((first.status, first.replayed), (201, false));
    let reformatted = format!(
        " {{ \"items\" : [{{\"qty\":1,\"product_id\":{b}}},{{\"qty\":1,\"product_id\":{a}}},{{\"qty\":1,\"product_id\":{a}}}],\n\"customer_id\":1}}"
    );
    for retry in [&body, &reformatted] {
        let retry = harness.post("/orders", "k", retry).await;
        assert_eq!((retry.status, retry.replayed, &retry.body), (201, true, &first.body));
    }
    assert_eq!(harness.stock(a).await, 8);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_has_the_headers_of_the_first_response() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let client = harness.operator();
    let create = || client.order_create().x_idempotency_key("k").body(new_order(&[(a, 1)])).send();
    let first = create().await.unwrap();
    client.order_cancel().id(first.id).send().await.unwrap();
    let retry = create().await.unwrap();
    assert!(is_replay(&retry));
    for header in ["location", "etag"] {
        assert_eq!(first.headers()[header], retry.headers()[header]);
    }
    assert_eq!(first.into_inner(), retry.into_inner());
}

#[tokio::test(flavor = "multi_thread")]
async fn same_key_with_a_different_request_is_rejected() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let create =
        |new| harness.operator().order_create().x_idempotency_key("k").body::<types::builder::OrderInput>(new).send();
    create(new_order(&[(a, 1)])).await.unwrap();
    let others = [
        new_order(&[(a, 2)]),
        new_order(&[(a, 1)]).customer_id(CUSTOMER + 1),
        new_order(&[(a, 1)]).expected_total_cents(100),
        new_order(&[(a, 1)]).external_reference("x".parse::<types::OrderInputExternalReference>().unwrap()),
    ];
    for other in others {
        assert_eq!(error_of(create(other).await), api_error(422, "idempotency_key_reused"));
    }
    assert_eq!(harness.stock(a).await, 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_distinct_by_case_caller_and_operation() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let create = async |client: &orders_client::Client, key: &str| {
        let response = client.order_create().x_idempotency_key(key).body(new_order(&[(a, 1)])).send().await.unwrap();
        (response.id, is_replay(&response))
    };
    let ann = create(harness.operator(), "abc").await;
    let upper = create(harness.operator(), "ABC").await;
    let service = create(harness.service(), "abc").await;
    let ben = client_common::Outbound::new().bearer(&crate::harness::operator_token("ben"));
    let ben = create(&harness.client(ben), "abc").await;
    assert!([ann.1, upper.1, service.1, ben.1].iter().all(|replayed| !replayed));
    assert_eq!(harness.stock(a).await, 6);
    let confirm = harness.operator().order_confirm().id(ann.0).x_idempotency_key("abc").send().await.unwrap();
    assert!(!is_replay(&confirm));
    let cancel = harness.operator().order_cancel().id(ann.0).x_idempotency_key("abc").send().await.unwrap();
    assert!(!is_replay(&cancel));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_is_accepted_in_either_header() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let create = |headers: &'static [(&'static str, &'static str)]| {
        let mut request =
            harness.http().post(harness.url("/orders")).bearer_auth(crate::harness::operator_token("ann"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = format!(r#"{{"customer_id":1,"items":[{{"product_id":{a},"qty":1}}]}}"#);
        async move { request.body(body).send().await.unwrap().status().as_u16() }
    };
    for same in [
        &[("x-idempotency-key", "k")][..],
        &[("idempotency-key", "k")],
        &[("Idempotency-Key", "\"k\"")],
        &[("x-idempotency-key", "k"), ("idempotency-key", "k")],
    ] {
        assert_eq!(create(same).await, 201);
    }
    assert_eq!(harness.stock(a).await, 9);
    for bad in [
        &[("x-idempotency-key", "")][..],
        &[("x-idempotency-key", "a b")],
        &[("x-idempotency-key", "é")],
        &[("x-idempotency-key", "k"), ("x-idempotency-key", "k")],
        &[("x-idempotency-key", "k"), ("idempotency-key", "l")],
    ] {
        assert_eq!(create(bad).await, 400, "{bad:?}");
    }
    let body = format!(r#"{{"customer_id":1,"items":[{{"product_id":{a},"qty":1}}]}}"#);
    for (length, status) in [(256, 400), (255, 201)] {
        assert_eq!(harness.post("/orders", &"k".repeat(length), &body).await.status, status);
    }
    assert_eq!(harness.stock(a).await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_create_is_evaluated_again_with_the_same_key() {
    let harness = Harness::start().await;
    let a = harness.product("A", 1).await;
    let create = || harness.operator().order_create().x_idempotency_key("k").body(new_order(&[(a, 2)])).send();
    assert_eq!(error_of(create().await), api_error(409, "insufficient_stock"));
    let delivery = types::StockAdjustmentInput::builder().delta(1).reason("delivery");
    harness.operator().stock_adjustment_create().id(a).body(delivery).send().await.unwrap();
    let created = create().await.unwrap();
    assert!(!is_replay(&created));
    assert_eq!(created.status(), 201);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_key_never_creates_a_second_order() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let client = harness.operator();
    let create = |qty| client.order_create().x_idempotency_key("k").body(new_order(&[(a, qty)])).send();
    let first = create(1).await.unwrap().into_inner();
    let confirmed = client.order_confirm().id(first.id).x_idempotency_key("c").send().await.unwrap().into_inner();
    for expire in ["UPDATE idempotency_keys SET expires_at = UTC_TIMESTAMP(6)", "DELETE FROM idempotency_keys"] {
        harness.sql(expire).await;
        let retry = create(1).await.unwrap();
        assert!(is_replay(&retry));
        assert_eq!((retry.status().as_u16(), retry.into_inner()), (201, confirmed.clone()));
        assert_eq!(error_of(create(2).await), api_error(422, "idempotency_key_reused"));
    }
    assert_eq!(harness.stock(a).await, 9);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_orders_of_services_are_reserved_for_15_minutes() {
    let harness = Harness::start().await;
    let a = harness.product("A", 10).await;
    let of_operator = harness.order(&[(a, 1)]).await.id;
    let created =
        harness.service().order_create().x_idempotency_key("k").body(new_order(&[(a, 1)])).send().await.unwrap();
    let reserved =
        |id| format!("SELECT TIMESTAMPDIFF(SECOND, created_at, reserved_until) AS n FROM orders WHERE id = {id}");
    assert_eq!(harness.number(&reserved(created.id)).await, 900);
    assert_eq!(
        harness.number(&format!("SELECT reserved_until IS NULL AS n FROM orders WHERE id = {of_operator}")).await,
        1
    );
    harness.service().order_confirm().id(created.id).x_idempotency_key("c").send().await.unwrap();
    let id = created.id;
    assert_eq!(harness.number(&format!("SELECT reserved_until IS NULL AS n FROM orders WHERE id = {id}")).await, 1);
}
