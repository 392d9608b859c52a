//! Health, readiness, correlation, and what happens without a database.

use crate::harness::{Harness, config, refusal, refused};

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_service_says_so_to_anyone() {
    let harness = Harness::start().await;
    let client = harness.client(client_common::Outbound::new());
    assert_eq!(client.health_view().send().await.unwrap().status, "ok");
    assert_eq!(client.readiness_view().send().await.unwrap().status, "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn anyone_may_read_the_document_and_the_page_about_it() {
    let server = customers::start(config("mysql://root@127.0.0.1:1/nothing")).unwrap();
    let get = async |path: &str| reqwest::get(format!("{}{path}", server.base_url())).await.unwrap();
    assert_eq!(get("/openapi.json").await.text().await.unwrap(), include_str!("../../../specs/customers.json"));
    assert_eq!(get("/docs").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_a_service_is_alive_but_not_ready() {
    let server = customers::start(config("mysql://root@127.0.0.1:1/nothing")).unwrap();
    let get = async |path: &str| reqwest::get(format!("{}{path}", server.base_url())).await.unwrap();
    assert_eq!(get("/health").await.status(), 200);
    let answer = get("/ready").await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["error_code"], "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correlation_id_is_echoed_on_every_answer_and_made_where_absent() {
    let harness = Harness::start().await;
    let token = harness.token().await;
    for (path, status) in [("/customers", 200), ("/customers/999999", 404), ("/customers/x", 400)] {
        let get = || harness.http().get(harness.url(path)).bearer_auth(&token);
        let answer = get().header("x-correlation-id", "req-789").send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["x-correlation-id"]),
            (status, &"req-789".parse().unwrap())
        );
        let made = get().send().await.unwrap();
        assert_eq!(made.headers()["x-correlation-id"], made.headers()["x-request-id"]);
        let unusable = get().header("x-correlation-id", "café").send().await.unwrap();
        assert_eq!(unusable.status().as_u16(), status);
        assert_eq!(unusable.headers()["x-correlation-id"], unusable.headers()["x-request-id"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_and_an_unknown_method_are_told() {
    let harness = Harness::start().await;
    let answer = harness.http().get(harness.url("/nothing")).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    assert!(answer.json::<serde_json::Value>().await.unwrap()["message"].is_string());
    assert_eq!(harness.http().patch(harness.url("/customers")).send().await.unwrap().status(), 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_stop_takes_no_new_request() {
    let database = db_testing::TestDatabase::create().await;
    let server = customers::start(config(database.url())).unwrap();
    let url = format!("{}/health", server.base_url());
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 200);
    server.close().await;
    assert!(reqwest::get(&url).await.unwrap_err().is_connect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_that_was_never_there_is_not_found() {
    let harness = Harness::start().await;
    let client = harness.operator().await;
    assert_eq!(refusal(client.customer_view().id(i64::MAX).send().await), refused(404, "customer_not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_a_service_lets_nobody_in_and_says_when_to_come_back() {
    let server = customers::start(config("mysql://root@127.0.0.1:1/nothing")).unwrap();
    let credentials = serde_json::json!({ "username": crate::harness::USER, "password": crate::harness::PASSWORD });
    let http = reqwest::Client::new();
    let answer = http.post(format!("{}/auth/token", server.base_url())).json(&credentials).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");
    assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["error_code"], "unavailable");
}
