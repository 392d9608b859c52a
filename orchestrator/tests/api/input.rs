//! Reading the request: what is wrong with it is told before anything is done.

use serde_json::{Value, json};

use crate::world::{PATH, Reply, SERVICE_TOKEN, World, order};

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = order("a");
    change(&mut body);
    body
}

#[tokio::test]
async fn a_bad_field_is_named_and_nothing_is_done() {
    let world = World::new().await;
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
        let reply = world.send(&body).await;
        reply.failed(400, "invalid_request", "input", "not_needed", false);
        assert_eq!(reply.json()["error"]["details"][0]["field"], field, "{}", reply.text);
        assert_eq!(reply.attempts(), 0);
    }
    assert_eq!(world.customers.seen(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_body_that_is_not_one_json_document_is_refused() {
    let world = World::new().await;
    for body in ["", "{", "[]", "null", "{} {}", "{\"customer_id\": 1} x"] {
        let request = reqwest::Client::new().post(format!("{}{PATH}", world.base_url));
        let request = request.bearer_auth(SERVICE_TOKEN).header("content-type", "application/json").body(body);
        Reply::to(request).await.failed(400, "invalid_request", "input", "not_needed", false);
    }
}

#[tokio::test]
async fn the_correlation_id_of_the_body_goes_before_the_headers_and_is_passed_on() {
    let world = World::new().await;
    let post = |body: Value| {
        let request = reqwest::Client::new().post(format!("{}{PATH}", world.base_url)).bearer_auth(SERVICE_TOKEN);
        Reply::to(request.header("x-correlation-id", "of-the-header").json(&body))
    };
    let reply = post(order("a")).await;
    assert_eq!(
        (&reply.json()["correlationId"], &reply.headers["x-correlation-id"]),
        (&json!("req-789"), &"req-789".parse().unwrap())
    );
    let without = changed(|body| drop(body.as_object_mut().unwrap().remove("correlation_id")));
    assert_eq!(post(without.clone()).await.json()["correlationId"], "of-the-header");
    let invalid = changed(|body| body["items"] = json!([]));
    assert_eq!(post(invalid).await.json()["correlationId"], "of-the-header");
    let unnamed = world.send(&without).await;
    assert_eq!(unnamed.json()["correlationId"], unnamed.headers["x-request-id"].to_str().unwrap());
}

#[tokio::test]
async fn a_correlation_id_that_no_header_can_carry_is_still_answered_with() {
    let world = World::new().await;
    let reply = world.send(&changed(|body| body["correlation_id"] = json!("Bestellung für März"))).await;
    reply.succeeded();
    assert_eq!(reply.json()["correlationId"], "Bestellung für März");
    assert_eq!(reply.headers["x-correlation-id"], reply.headers["x-request-id"]);
}
