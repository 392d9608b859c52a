//! Request validation: invalid requests are rejected before any step runs.

use common_server::testing::message_violations;
use serde_json::{Value, json};

use crate::harness::{DOCUMENT, Harness, PATH, Reply, SERVICE_TOKEN, order_body};

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = order_body("a");
    change(&mut body);
    body
}

#[tokio::test]
async fn invalid_field_is_named_and_no_step_runs() {
    let harness = Harness::new().await;
    let rows = [
        ("items[0].qty", changed(|body| body["items"][0]["qty"] = json!(0))),
        ("items[0].qty", changed(|body| body["items"][0]["qty"] = json!(1_000_001))),
        ("items[0].product_id", changed(|body| body["items"][0]["product_id"] = json!("2"))),
        ("items", changed(|body| body["items"] = json!([]))),
        ("items", changed(|body| body["items"] = json!(vec![body["items"][0].clone(); 101]))),
        ("customer_id", changed(|body| body["customer_id"] = json!(-1))),
        ("idempotency_key", changed(|body| body["idempotency_key"] = json!(""))),
        ("idempotency_key", changed(|body| body["idempotency_key"] = json!("k".repeat(256)))),
        ("idempotency_key", changed(|body| drop(body.as_object_mut().unwrap().remove("idempotency_key")))),
        ("note", changed(|body| body["note"] = json!("unknown"))),
    ];
    for (field, body) in rows {
        let reply = harness.send(&body).await;
        reply.assert_failed(400, "invalid_request", "input", "not_needed", false);
        assert_eq!(reply.json()["error"]["details"][0]["field"], field, "{}", reply.text);
        assert_eq!(reply.attempts(), 0);
    }
    assert_eq!(harness.customers.requests(), [] as [&str; 0]);
}

#[tokio::test]
async fn every_message_says_what_was_expected_in_the_words_of_the_contract() {
    let harness = Harness::new().await;
    let wrong = message_violations(DOCUMENT, &harness.base_url, SERVICE_TOKEN, SERVICE_TOKEN).await.unwrap();
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(harness.customers.requests(), [] as [&str; 0]);
}

#[tokio::test]
async fn body_that_is_not_one_json_document_is_rejected() {
    let harness = Harness::new().await;
    for body in ["", "{", "[]", "null", "{} {}", "{\"customer_id\": 1} x"] {
        let request = reqwest::Client::new().post(format!("{}{PATH}", harness.base_url));
        let request = request.bearer_auth(SERVICE_TOKEN).header("content-type", "application/json").body(body);
        Reply::send(request).await.assert_failed(400, "invalid_request", "input", "not_needed", false);
    }
}

#[tokio::test]
async fn correlation_id_in_the_body_overrides_the_header() {
    let harness = Harness::new().await;
    let post = |body: Value| {
        let request = reqwest::Client::new().post(format!("{}{PATH}", harness.base_url)).bearer_auth(SERVICE_TOKEN);
        Reply::send(request.header("x-correlation-id", "of-the-header").json(&body))
    };
    let reply = post(order_body("a")).await;
    assert_eq!(
        (&reply.json()["correlationId"], &reply.headers["x-correlation-id"]),
        (&json!("req-789"), &"req-789".parse().unwrap())
    );
    let without = changed(|body| drop(body.as_object_mut().unwrap().remove("correlation_id")));
    assert_eq!(post(without.clone()).await.json()["correlationId"], "of-the-header");
    let invalid = changed(|body| body["items"] = json!([]));
    assert_eq!(post(invalid).await.json()["correlationId"], "of-the-header");
    let unnamed = harness.send(&without).await;
    assert_eq!(unnamed.json()["correlationId"], unnamed.headers["x-request-id"].to_str().unwrap());
}

#[tokio::test]
async fn correlation_id_invalid_in_a_header_is_returned_in_the_body() {
    let harness = Harness::new().await;
    let reply = harness.send(&changed(|body| body["correlation_id"] = json!("Bestellung für März"))).await;
    reply.assert_succeeded();
    assert_eq!(reply.json()["correlationId"], "Bestellung für März");
    assert_eq!(reply.headers["x-correlation-id"], reply.headers["x-request-id"]);
}
