//! Idempotency keys that an earlier release stored: a retry after a deployment is the same request.

use orders_client::types::{self, AbandonOutcome};
use serde_json::Value;

use crate::harness::{Harness, is_replay};
use crate::invariants;

/// Hashes as the first release stored them: SHA-256 of `[1,{"1":3},null,null]`, of `[1,{"1":3},300,"PO-1"]` and of `1`.
const MINIMAL_ORDER: &str = "939b1fb6a4a34f92fc9c052c1a65dc9dcc3e639912137d2d68c24dfe60a69297";
const FULL_ORDER: &str = "f32d9330ddb83030474d84365c632436150e7830b6315e6008daa099051d1a96";
const ORDER_ID_1: &str = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";

const MINIMAL: &str = r#"{"customer_id":1,"items":[{"product_id":1,"qty":3}]}"#;
const FULL: &str = r#"{"customer_id":1,"items":[{"product_id":1,"qty":1},{"product_id":1,"qty":2}],"expected_total_cents":300,"external_reference":"PO-1"}"#;

impl Harness {
    /// Replaces the hash of a request by the one of the first release.
    async fn store_hash(&self, scope: &str, key: &str, hash: &str) {
        let hash = format!("UNHEX('{hash}')");
        self.sql(&format!(
            "UPDATE idempotency_keys SET request_hash = {hash} WHERE scope = '{scope}' AND `key` = '{key}'; \
             UPDATE orders SET create_hash = {hash} WHERE '{scope}' = 'order.create' AND create_key = '{key}'"
        ))
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn create_stored_by_the_first_release_is_replayed() {
    let harness = Harness::start().await;
    assert_eq!(harness.product("A", 10).await, 1);
    for (key, body, hash) in [("k", MINIMAL, MINIMAL_ORDER), ("l", FULL, FULL_ORDER)] {
        let first = harness.post("/orders", key, body).await;
        assert_eq!((first.status, first.replayed), (201, false));
        harness.store_hash("order.create", key, hash).await;
        let retry = harness.post("/orders", key, body).await;
        assert_eq!((retry.status, retry.replayed, retry.body), (201, true, first.body.clone()));
        let other = body.replace(r#""product_id":1,"qty":"#, r#""product_id":1,"qty":5"#);
        assert_eq!(harness.post("/orders", key, &other).await.status, 422);
        // Only the hash of the order is left.
        harness.sql("DELETE FROM idempotency_keys").await;
        let late = harness.post("/orders", key, body).await;
        let id = |body: &str| serde_json::from_str::<Value>(body).unwrap()["id"].clone();
        assert_eq!((late.status, late.replayed, id(&late.body)), (201, true, id(&first.body)));
        assert_eq!(harness.post("/orders", key, &other).await.status, 422);
    }
    assert_eq!(harness.stock(1).await, 4);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn confirm_and_cancel_stored_by_the_first_release_are_replayed() {
    let harness = Harness::start().await;
    let product = harness.product("A", 10).await;
    let (first, second) = (harness.order(&[(product, 3)]).await.id, harness.order(&[(product, 3)]).await.id);
    assert_eq!(first, 1);
    for operation in ["confirm", "cancel"] {
        let path = |order| format!("/orders/{order}/{operation}");
        let done = harness.post(&path(first), "k", "").await;
        assert_eq!((done.status, done.replayed), (200, false));
        harness.store_hash(&format!("order.{operation}"), "k", ORDER_ID_1).await;
        let retry = harness.post(&path(first), "k", "").await;
        assert_eq!((retry.status, retry.replayed, retry.body), (200, true, done.body));
        assert_eq!(harness.post(&path(second), "k", "").await.status, 422);
    }
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn create_stored_by_the_first_release_can_be_abandoned() {
    let harness = Harness::start().await;
    assert_eq!(harness.product("A", 10).await, 1);
    for is_expired in [false, true] {
        let key = format!("k-{is_expired}");
        let order: types::OrderInput = serde_json::from_str(MINIMAL).unwrap();
        let create = harness.service().order_create().x_idempotency_key(&*key).body(order.clone());
        assert!(!is_replay(&create.send().await.unwrap()));
        harness.store_hash("order.create", &key, MINIMAL_ORDER).await;
        if is_expired {
            harness.sql("DELETE FROM idempotency_keys").await;
        }
        let abandon = types::AbandonRequest::builder().create_key(&*key).order(order);
        let abandoned = harness.service().internal_order_abandon().body(abandon).send().await.unwrap();
        assert_eq!(abandoned.outcome, AbandonOutcome::Canceled);
    }
    assert_eq!(harness.stock(1).await, 10);
    invariants::check(&harness).await;
}
