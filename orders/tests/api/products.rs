//! Creating, updating and reading products.

use insta::assert_json_snapshot;
use orders_client::types::{self, ProductPatch, ProductPatchName};

use crate::harness::{Harness, api_error, error_of, expect_error};
use crate::invariants;

#[tokio::test(flavor = "multi_thread")]
async fn created_product_has_location_and_etag() {
    let harness = Harness::start().await;
    let client = harness.operator();
    let new = types::ProductInput::builder().sku("WIDGET-1").name("Widget").price_cents(129_900).stock(25);
    let response = client.product_create().body(new).send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["location"], format!("/products/{}", response.id));
    assert_eq!(response.headers()["etag"], "\"v1\"");
    let mut body = serde_json::to_value(&*response).unwrap();
    for field in ["created_at", "updated_at"] {
        body[field] = "TIME".into();
    }
    assert_json_snapshot!(body);
    let viewed = client.product_view().id(response.id).send().await.unwrap();
    assert_eq!(viewed.headers()["etag"], "\"v1\"");
    assert_eq!(viewed.into_inner(), response.into_inner());
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sku_is_unique_and_case_sensitive() {
    let harness = Harness::start().await;
    harness.product("Widget", 1).await;
    let new = |sku: &str| types::ProductInput::builder().sku(sku).name("Other").price_cents(1).stock(5);
    let error = expect_error(harness.operator().product_create().body(new("Widget")).send().await);
    assert_eq!((error.status().as_u16(), error.error_code.as_deref()), (409, Some("sku_taken")));
    assert_eq!(error.details[0].field.as_deref(), Some("sku"));
    assert!(harness.operator().product_create().body(new("WIDGET")).send().await.is_ok());
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unicode_text_is_stored_unchanged() {
    let harness = Harness::start().await;
    let client = harness.operator();
    for (n, name) in ["Żółć & Söhne", "株式会社", "🦀 \"quoted\" 'n' \\ %_", "e\u{301}", " spaced "].iter().enumerate()
    {
        let new = types::ProductInput::builder().sku(format!("S{n}")).name(*name).price_cents(0).stock(0);
        let id = client.product_create().body(new).send().await.unwrap().id;
        assert_eq!(client.product_view().id(id).send().await.unwrap().name, *name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn patch_changes_only_the_given_fields() {
    let harness = Harness::start().await;
    let id = harness.product("A", 5).await;
    let client = harness.operator();
    let patch = |patch: types::builder::ProductPatch| client.product_update().id(id).body(patch).send();
    let named = patch(ProductPatch::builder().name("New".parse::<ProductPatchName>().unwrap())).await.unwrap();
    assert_eq!(named.headers()["etag"], "\"v2\"");
    assert_eq!((named.name.as_str(), named.price_cents, named.stock, named.version), ("New", 100, 5, 2));
    assert!(named.updated_at > named.created_at);
    let priced = patch(ProductPatch::builder().price_cents(0)).await.unwrap();
    assert_eq!((priced.name.as_str(), priced.price_cents, priced.stock, priced.version), ("New", 0, 5, 3));
    let stocked = patch(ProductPatch::builder().stock(9)).await.unwrap();
    assert_eq!((stocked.price_cents, stocked.stock, stocked.version), (0, 9, 4));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_patch_changes_nothing() {
    let harness = Harness::start().await;
    let id = harness.product("A", 5).await;
    let before = harness.operator().product_view().id(id).send().await.unwrap().into_inner();
    let patch = |patch: types::builder::ProductPatch| harness.operator().product_update().id(id).body(patch).send();
    for nothing in [ProductPatch::builder(), ProductPatch::builder().expected_stock(5)] {
        assert_eq!(patch(nothing).await.unwrap().into_inner(), before);
    }
    assert_eq!(error_of(patch(ProductPatch::builder().expected_stock(4)).await), api_error(409, "stock_changed"));
    assert_eq!(harness.operator().product_view().id(id).send().await.unwrap().into_inner(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn update_with_a_wrong_version_is_rejected() {
    let harness = Harness::start().await;
    let id = harness.product("A", 5).await;
    let update = |tag: &str| {
        harness.operator().product_update().id(id).if_match(tag).body(ProductPatch::builder().stock(9)).send()
    };
    let error = expect_error(update("\"v2\"").await);
    assert_eq!((error.status().as_u16(), error.error_code.as_deref()), (412, Some("precondition_failed")));
    assert!(error.details[0].message.as_deref().unwrap().contains("\"v1\""));
    harness.order(&[(id, 1)]).await;
    assert_eq!(error_of(update("\"v1\"").await).0, 412, "an order changes the stock, and with it the version");
    assert_eq!(update("\"v2\"").await.unwrap().stock, 9);
    assert_eq!(update("*").await.unwrap().version, 4);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_is_not_set_unless_it_equals_the_expected_stock() {
    let harness = Harness::start().await;
    let id = harness.product("A", 5).await;
    let set = |expected: i64| {
        let patch = ProductPatch::builder().stock(9).price_cents(7).expected_stock(expected);
        harness.operator().product_update().id(id).body(patch).send()
    };
    let error = expect_error(set(4).await);
    assert_eq!((error.status().as_u16(), error.error_code.as_deref()), (409, Some("stock_changed")));
    assert_eq!(error.details[0].available, Some(5));
    let unchanged = harness.operator().product_view().id(id).send().await.unwrap();
    assert_eq!((unchanged.stock, unchanged.price_cents, unchanged.version), (5, 100, 1));
    assert_eq!(set(5).await.unwrap().stock, 9);
    assert_eq!(error_of(set(5).await), api_error(409, "stock_changed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_product_is_not_found() {
    let harness = Harness::start().await;
    let client = harness.operator();
    let unknown = i64::MAX;
    let error = expect_error(client.product_view().id(unknown).send().await);
    assert_eq!((error.status().as_u16(), error.error_code.as_deref()), (404, Some("product_not_found")));
    assert_eq!(error.details[0].product_id, Some(i64::MAX));
    let not_found = api_error(404, "product_not_found");
    let update = client.product_update().id(unknown).body(ProductPatch::builder().stock(1)).send().await;
    assert_eq!(error_of(update), not_found);
    let adjustment = types::StockAdjustmentInput::builder().delta(1).reason("count");
    assert_eq!(error_of(client.stock_adjustment_create().id(unknown).body(adjustment).send().await), not_found);
    assert_eq!(error_of(client.stock_adjustment_list().id(unknown).send().await), not_found);
}
