//! Stock adjustments and the stock ledger.

use insta::assert_json_snapshot;
use orders_client::types::{ProductPatch, StockAdjustmentInput, StockAdjustmentInputReference, StockMovement};

use crate::harness::{Harness, api_error, error_of, expect_error};
use crate::invariants;

async fn ledger(harness: &Harness, id: i64) -> Vec<StockMovement> {
    harness.operator().stock_adjustment_list().id(id).limit(100).send().await.unwrap().into_inner().data
}

#[tokio::test(flavor = "multi_thread")]
async fn adjustment_changes_the_stock_and_is_recorded() {
    let harness = Harness::start().await;
    let id = harness.product("A", 10).await;
    let reference = "DN-7".parse::<StockAdjustmentInputReference>().unwrap();
    let delivery = StockAdjustmentInput::builder().delta(5).reason("delivery").reference(reference);
    let response = harness.operator().stock_adjustment_create().id(id).body(delivery).send().await.unwrap();
    assert_eq!(response.status(), 201);
    let mut body = serde_json::to_value(&*response).unwrap();
    body["created_at"] = "TIME".into();
    assert_json_snapshot!(body);
    let damage = StockAdjustmentInput::builder().delta(-15).reason("damage");
    harness.operator().stock_adjustment_create().id(id).body(damage).send().await.unwrap();
    let product = harness.operator().product_view().id(id).send().await.unwrap();
    assert_eq!((product.stock, product.version), (0, 3));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ledger_lists_every_stock_change_newest_first() {
    let harness = Harness::start().await;
    let id = harness.product("A", 10).await;
    let order = harness.order(&[(id, 4)]).await.id;
    harness.operator().order_cancel().id(order).send().await.unwrap();
    for stock in [7, 7] {
        harness.operator().product_update().id(id).body(ProductPatch::builder().stock(stock)).send().await.unwrap();
    }
    let entries = ledger(&harness, id).await;
    let changes: Vec<_> = entries.iter().map(|entry| (entry.reason.as_str(), entry.delta, entry.order_id)).collect();
    let expected = [("set", -3, None), ("cancel", 4, Some(order)), ("order", -4, Some(order)), ("initial", 10, None)];
    assert_eq!(changes, expected);
    assert!(entries.iter().all(|entry| entry.principal == "operator:ann"));
    let empty = harness.product("EMPTY", 0).await;
    assert!(ledger(&harness, empty).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_stays_within_its_limits() {
    let harness = Harness::start().await;
    let id = harness.product("A", 10).await;
    for delta in [-11, -1_000_000_000, 999_999_991, 1_000_000_000] {
        let adjustment = StockAdjustmentInput::builder().delta(delta).reason("count");
        let error = expect_error(harness.operator().stock_adjustment_create().id(id).body(adjustment).send().await);
        assert_eq!(
            (error.status().as_u16(), error.error_code.as_deref()),
            (409, Some("stock_out_of_range")),
            "{delta}"
        );
        assert_eq!((error.details[0].product_id, error.details[0].available), (Some(id), Some(10)));
    }
    for (delta, stock) in [(-10, 0), (1_000_000_000, 1_000_000_000)] {
        let adjustment = StockAdjustmentInput::builder().delta(delta).reason("count");
        harness.operator().stock_adjustment_create().id(id).body(adjustment).send().await.unwrap();
        assert_eq!(harness.stock(id).await, stock);
    }
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_adjustment_and_reserved_reason_in_any_spelling_are_rejected() {
    let harness = Harness::start().await;
    let id = harness.product("A", 10).await;
    let cases = [
        (0, "count", "delta"),
        (1, "initial", "reason"),
        (1, "order", "reason"),
        (1, "cancel", "reason"),
        (1, "set", "reason"),
        (1, "order ", "reason"),
        (1, " cancel  ", "reason"),
        (1, "Initial", "reason"),
        (1, "sét", "reason"),
        (1, "ＯＲＤＥＲ", "reason"),
    ];
    for (delta, reason, field) in cases {
        let adjustment = StockAdjustmentInput::builder().delta(delta).reason(reason);
        let error = expect_error(harness.operator().stock_adjustment_create().id(id).body(adjustment).send().await);
        assert_eq!((error.status().as_u16(), error.details[0].field.as_deref()), (400, Some(field)), "{reason}");
    }
    assert_eq!(ledger(&harness, id).await.len(), 1);
    let longer = StockAdjustmentInput::builder().delta(1).reason("set aside");
    harness.operator().stock_adjustment_create().id(id).body(longer).send().await.unwrap();
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ledger_is_paged_and_its_page_token_is_bound_to_the_product() {
    let harness = Harness::start().await;
    let (id, other) = (harness.product("A", 10).await, harness.product("B", 10).await);
    let adjust = async |delta: i64| {
        let adjustment = StockAdjustmentInput::builder().delta(delta).reason("count");
        harness.operator().stock_adjustment_create().id(id).body(adjustment).send().await.unwrap();
    };
    for delta in 1..=4 {
        adjust(delta).await;
    }
    let client = harness.operator();
    let first = client.stock_adjustment_list().id(id).limit(2).send().await.unwrap().into_inner();
    adjust(5).await;
    let cursor = first.next_cursor.unwrap();
    let second = client.stock_adjustment_list().id(id).cursor(cursor.clone()).send().await.unwrap().into_inner();
    let deltas: Vec<_> = first.data.iter().chain(&second.data).map(|entry| entry.delta).collect();
    assert_eq!((deltas, second.has_more), (vec![4, 3, 2, 1, 10], false));
    let foreign = client.stock_adjustment_list().id(other).cursor(cursor.clone()).send().await;
    assert_eq!(error_of(foreign), api_error(400, "invalid_cursor"));
    assert_eq!(error_of(client.product_list().cursor(cursor).send().await), api_error(400, "invalid_cursor"));
}
