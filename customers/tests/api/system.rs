//! Health, readiness, correlation ids, and behaviour without a database.

use crate::harness::{Harness, config, refusal, refused};

#[tokio::test(flavor = "multi_thread")]
async fn health_and_readiness_need_no_credentials() {
    let harness = Harness::start().await;
    let client = harness.client(client_common::Outbound::new());
    assert_eq!(client.health_view().send().await.unwrap().status, "ok");
    assert_eq!(client.readiness_view().send().await.unwrap().status, "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn document_and_docs_page_need_no_credentials() {
    let server = customers::start(config("mysql://root@127.0.0.1:1/nothing")).unwrap();
    let get = async |path: &str| reqwest::get(format!("{}{path}", server.base_url())).await.unwrap();
    assert_eq!(get("/openapi.json").await.text().await.unwrap(), include_str!("../../../specs/customers.json"));
    assert_eq!(get("/docs").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn service_without_database_is_alive_but_not_ready() {
    let server = customers::start(config("mysql://root@127.0.0.1:1/nothing")).unwrap();
    let get = async |path: &str| reqwest::get(format!("{}{path}", server.base_url())).await.unwrap();
    assert_eq!(get("/health").await.status(), 200);
    let response = get("/ready").await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["error_code"], "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn head_of_a_probe_has_the_status_and_no_body() {
    let server = customers::start(config("mysql://root@127.0.0.1:1/nothing")).unwrap();
    for (path, status) in [("/health", 200), ("/ready", 503), ("/docs", 200), ("/openapi.json", 200)] {
        let response = reqwest::Client::new().head(format!("{}{path}", server.base_url())).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.bytes().await.unwrap(), "", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn correlation_id_is_echoed_or_generated() {
    let harness = Harness::start().await;
    let token = harness.token().await;
    for (path, status) in [("/customers", 200), ("/customers/999999", 404), ("/customers/x", 400)] {
        let get = || harness.http().get(harness.url(path)).bearer_auth(&token);
        let response = get().header("x-correlation-id", "req-789").send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["x-correlation-id"]),
            (status, &"req-789".parse().unwrap())
        );
        let generated = get().send().await.unwrap();
        assert_eq!(generated.headers()["x-correlation-id"], generated.headers()["x-request-id"]);
        let not_ascii = get().header("x-correlation-id", "café");
        let repeated = get().header("x-correlation-id", "req-1").header("x-correlation-id", "req-2");
        for unusable in [not_ascii, repeated] {
            let response = unusable.send().await.unwrap();
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers()["x-correlation-id"], response.headers()["x-request-id"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_path_returns_404_and_unknown_method_405() {
    let harness = Harness::start().await;
    let response = harness.http().get(harness.url("/nothing")).send().await.unwrap();
    assert_eq!(response.status(), 404);
    assert!(response.json::<serde_json::Value>().await.unwrap()["message"].is_string());
    assert_eq!(harness.http().patch(harness.url("/customers")).send().await.unwrap().status(), 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_server_accepts_no_connections() {
    let database = db_testing::TestDatabase::create().await;
    let server = customers::start(config(database.url())).unwrap();
    let url = format!("{}/health", server.base_url());
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 200);
    server.close().await;
    assert!(reqwest::get(&url).await.unwrap_err().is_connect());
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_customer_returns_404() {
    let harness = Harness::start().await;
    let client = harness.admin().await;
    assert_eq!(refusal(client.customer_view().id(i64::MAX).send().await), refused(404, "customer_not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn login_without_database_returns_503_with_retry_after() {
    let server = customers::start(config("mysql://root@127.0.0.1:1/nothing")).unwrap();
    let credentials = serde_json::json!({ "username": crate::harness::USER, "password": crate::harness::PASSWORD });
    let http = reqwest::Client::new();
    let response = http.post(format!("{}/auth/token", server.base_url())).json(&credentials).send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.json::<serde_json::Value>().await.unwrap()["error_code"], "unavailable");
}
