//! Order confirmation, which is applied exactly once.

use insta::assert_json_snapshot;
use orders_client::types::OrderStatus;
use serde_json::{Value, json};

use crate::harness::{Harness, SERVICE_TOKEN, api_error, error_of, expect_error, is_replay, operator_token};
use crate::invariants;

async fn order(harness: &Harness) -> i64 {
    let product = harness.product("A", 10).await;
    harness.order(&[(product, 1)]).await.id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_created_order_becomes_confirmed() {
    let harness = Harness::start().await;
    let id = order(&harness).await;
    let response = harness.operator().order_confirm().id(id).x_idempotency_key("k").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["etag"], "\"v2\"");
    let confirmed = response.into_inner();
    assert!(confirmed.confirmed_at.unwrap() > confirmed.created_at);
    assert_eq!(harness.operator().order_view().id(id).send().await.unwrap().into_inner(), confirmed);
    let mut body = serde_json::to_value(&confirmed).unwrap();
    for time in ["created_at", "confirmed_at"] {
        body[time] = "TIME".into();
    }
    assert_json_snapshot!(body);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn same_key_replays_the_same_bytes() {
    let harness = Harness::start().await;
    let path = format!("/orders/{}/confirm", order(&harness).await);
    let first = harness.post(&path, "k", "").await;
    assert_eq!((first.status, first.replayed), (200, false));
    for ignored in ["", "{}", "not json", r#"{"a":1}"#] {
        let retry = harness.post(&path, "k", ignored).await;
        assert_eq!((retry.status, retry.replayed, &retry.body), (200, true, &first.body));
    }
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn different_key_on_a_confirmed_order_changes_nothing() {
    let harness = Harness::start().await;
    let id = order(&harness).await;
    let confirm = |key: &'static str| harness.operator().order_confirm().id(id).x_idempotency_key(key).send();
    let first = confirm("k1").await.unwrap().into_inner();
    let second = confirm("k2").await.unwrap();
    assert!(!is_replay(&second));
    assert_eq!(second.into_inner(), first);
    assert!(is_replay(&confirm("k2").await.unwrap()));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_required() {
    let harness = Harness::start().await;
    let url = harness.url(&format!("/orders/{}/confirm", order(&harness).await));
    for token in [operator_token("ann"), SERVICE_TOKEN.to_owned()] {
        let response = harness.http().post(&url).bearer_auth(token).send().await.unwrap();
        assert_eq!(response.status(), 400);
        let body: Value = response.json().await.unwrap();
        assert_eq!(
            (&body["error_code"], &body["details"][0]["field"]),
            (&json!("invalid_request"), &json!("X-Idempotency-Key"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn key_of_another_order_is_rejected() {
    let harness = Harness::start().await;
    let product = harness.product("A", 10).await;
    let (one, other) = (harness.order(&[(product, 1)]).await.id, harness.order(&[(product, 1)]).await.id);
    let confirm = |id: i64| harness.operator().order_confirm().id(id).x_idempotency_key("k").send();
    confirm(one).await.unwrap();
    assert_eq!(error_of(confirm(other).await), api_error(422, "idempotency_key_reused"));
    let untouched = harness.operator().order_view().id(other).send().await.unwrap();
    assert_eq!((untouched.status, untouched.version), (OrderStatus::Created, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_not_stored() {
    let harness = Harness::start().await;
    let id = order(&harness).await;
    let confirm = |id: i64, key: &'static str| harness.operator().order_confirm().id(id).x_idempotency_key(key).send();
    let unknown = i64::MAX;
    assert_eq!(error_of(confirm(unknown, "k").await), api_error(404, "order_not_found"));
    harness.operator().order_cancel().id(id).send().await.unwrap();
    assert_eq!(error_of(confirm(id, "k").await), api_error(409, "order_canceled"));
    assert_eq!(harness.number("SELECT COUNT(*) AS n FROM idempotency_keys").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_does_not_reopen_a_canceled_order() {
    let harness = Harness::start().await;
    let id = order(&harness).await;
    let client = harness.operator();
    let confirm = |key: &'static str| client.order_confirm().id(id).x_idempotency_key(key).send();
    let confirmed = confirm("k").await.unwrap().into_inner();
    client.order_cancel().id(id).send().await.unwrap();
    let replay = confirm("k").await.unwrap();
    assert!(is_replay(&replay));
    assert_eq!(replay.into_inner(), confirmed);
    assert_eq!(error_of(confirm("k2").await), api_error(409, "order_canceled"));
    assert_eq!(client.order_view().id(id).send().await.unwrap().status, OrderStatus::Canceled);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_response_requires_authentication() {
    let harness = Harness::start().await;
    let id = order(&harness).await;
    harness.operator().order_confirm().id(id).x_idempotency_key("k").send().await.unwrap();
    let stranger = harness.client(client_common::Outbound::new().bearer("nobody"));
    let response = stranger.order_confirm().id(id).x_idempotency_key("k").send().await;
    assert_eq!(error_of(response), api_error(401, "unauthorized"));
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_key_is_executed_again_and_changes_nothing() {
    let harness = Harness::start().await;
    let id = order(&harness).await;
    let confirm = || harness.operator().order_confirm().id(id).x_idempotency_key("k").send();
    let first = confirm().await.unwrap().into_inner();
    harness.sql("UPDATE idempotency_keys SET expires_at = UTC_TIMESTAMP(6)").await;
    let retry = confirm().await.unwrap();
    assert!(!is_replay(&retry));
    assert_eq!(retry.into_inner(), first);
    assert!(is_replay(&confirm().await.unwrap()));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_stored_for_72_hours() {
    let harness = Harness::start().await;
    let id = order(&harness).await;
    harness.operator().order_confirm().id(id).x_idempotency_key("k").send().await.unwrap();
    let hours = "SELECT TIMESTAMPDIFF(HOUR, created_at, expires_at) AS n FROM idempotency_keys";
    assert_eq!(harness.number(hours).await, 72);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_version_is_rejected_except_on_a_replay() {
    let harness = Harness::start().await;
    let id = order(&harness).await;
    let confirm =
        |tag: &'static str| harness.operator().order_confirm().id(id).x_idempotency_key("k").if_match(tag).send();
    let error = expect_error(confirm("\"v2\"").await);
    assert_eq!((error.status().as_u16(), error.error_code.as_deref()), (412, Some("precondition_failed")));
    assert!(error.details[0].message.as_deref().unwrap().contains("\"v1\""), "{error:?}");
    assert_eq!(confirm("\"v1\"").await.unwrap().version, 2);
    assert!(is_replay(&confirm("\"v1\"").await.unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn error_before_commit_leaves_nothing_and_the_key_can_be_retried() {
    let harness = Harness::start().await;
    let id = order(&harness).await;
    let confirm = || harness.operator().order_confirm().id(id).x_idempotency_key("k").send();
    let broken = "CREATE TRIGGER broken BEFORE UPDATE ON idempotency_keys FOR EACH ROW \
                  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'forced by a test'";
    harness.sql(broken).await;
    let error = expect_error(confirm().await);
    assert_eq!((error.status().as_u16(), error.error_code.as_deref()), (500, Some("internal")));
    assert!(!format!("{error:?}").contains("forced"));
    assert_eq!(harness.operator().order_view().id(id).send().await.unwrap().status, OrderStatus::Created);
    harness.sql("DROP TRIGGER broken").await;
    assert!(!is_replay(&confirm().await.unwrap()));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_case_sensitive() {
    let harness = Harness::start().await;
    let product = harness.product("A", 10).await;
    for key in ["abc", "ABC"] {
        let id = harness.order(&[(product, 1)]).await.id;
        let confirmed = harness.operator().order_confirm().id(id).x_idempotency_key(key).send().await.unwrap();
        assert_eq!((confirmed.id, is_replay(&confirmed)), (id, false));
    }
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmed_at_is_taken_after_the_row_lock() {
    let harness = Harness::start().await;
    let id = order(&harness).await;
    let mut other = harness.database.connection().await;
    let lock = format!("BEGIN; SELECT id FROM orders WHERE id = {id} FOR UPDATE");
    diesel_async::SimpleAsyncConnection::batch_execute(&mut other, &lock).await.unwrap();
    let confirm = harness.operator().order_confirm().id(id).x_idempotency_key("k").send();
    let unlock = async {
        let waiting = "SELECT COUNT(*) AS n FROM information_schema.processlist \
                       WHERE db = DATABASE() AND id <> CONNECTION_ID() AND info LIKE '%FOR UPDATE%'";
        harness.wait_for(waiting, 1).await;
        let now = "SELECT TIMESTAMPDIFF(MICROSECOND, '2000-01-01', UTC_TIMESTAMP(6)) AS n";
        let unlocked = harness.number(now).await;
        diesel_async::SimpleAsyncConnection::batch_execute(&mut other, "ROLLBACK").await.unwrap();
        unlocked
    };
    let (confirmed, unlocked) = tokio::join!(confirm, unlock);
    confirmed.unwrap();
    let at = "SELECT TIMESTAMPDIFF(MICROSECOND, '2000-01-01', confirmed_at) AS n FROM orders";
    assert!(harness.number(at).await >= unlocked);
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_of_a_request_in_flight_is_in_progress() {
    let harness = Harness::start().await;
    let id = order(&harness).await;
    let mut running = harness.database.connection().await;
    diesel_async::SimpleAsyncConnection::batch_execute(
        &mut running,
        "START TRANSACTION; INSERT INTO idempotency_keys (scope, principal, `key`, nonce, request_hash, created_at, \
         expires_at) VALUES ('order.confirm', 'operator:ann', 'k', REPEAT('n', 16), REPEAT('h', 32), \
         UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL 1 DAY)",
    )
    .await
    .unwrap();
    let confirm = || harness.operator().order_confirm().id(id).x_idempotency_key("k").send();
    let error = expect_error(confirm().await);
    assert_eq!((error.status().as_u16(), error.error_code.as_deref()), (409, Some("idempotency_in_progress")));
    assert_eq!(error.headers()["retry-after"], "1");
    drop(running);
    assert!(!is_replay(&confirm().await.unwrap()));
    invariants::check(&harness).await;
}
