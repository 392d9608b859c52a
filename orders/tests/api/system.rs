//! Settings, health, readiness, correlation IDs, and operation without a database.

use common_server::settings::Env;
use orders::Config;

use crate::harness::{Harness, config, env, operator_token};

#[tokio::test(flavor = "multi_thread")]
async fn health_and_readiness_need_no_credentials() {
    let harness = Harness::start().await;
    let client = harness.client(client_common::Outbound::new());
    assert_eq!(client.health_view().send().await.unwrap().status, "ok");
    assert_eq!(client.readiness_view().send().await.unwrap().status, "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn document_and_docs_need_no_credentials() {
    let server = orders::start(config("mysql://root@127.0.0.1:1/nothing", "http://127.0.0.1:1")).unwrap();
    let get = async |path: &str| reqwest::get(format!("{}{path}", server.base_url())).await.unwrap();
    assert_eq!(get("/openapi.json").await.text().await.unwrap(), include_str!("../../../specs/orders.json"));
    assert_eq!(get("/docs").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_without_a_database_is_alive_but_not_ready() {
    let server = orders::start(config("mysql://root@127.0.0.1:1/nothing", "http://127.0.0.1:1")).unwrap();
    let http = reqwest::Client::new();
    let get = async |path: &str| {
        let request = http.get(format!("{}{path}", server.base_url())).bearer_auth(operator_token("ann"));
        request.send().await.unwrap()
    };
    assert_eq!(get("/health").await.status(), 200);
    for path in ["/ready", "/orders", "/products/1"] {
        let response = get(path).await;
        assert_eq!(response.status(), 503, "{path}");
        assert_eq!(response.headers()["retry-after"], "1");
        let body: serde_json::Value = response.json().await.unwrap();
        assert_eq!(body["error_code"], "unavailable");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_of_a_probe_has_the_status_and_no_body() {
    let server = orders::start(config("mysql://root@127.0.0.1:1/nothing", "http://127.0.0.1:1")).unwrap();
    for (path, status) in [("/health", 200), ("/ready", 503), ("/docs", 200), ("/openapi.json", 200)] {
        let response = reqwest::Client::new().head(format!("{}{path}", server.base_url())).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.bytes().await.unwrap(), "", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn correlation_id_is_echoed_or_generated() {
    let harness = Harness::start().await;
    for (path, status) in [("/orders", 200), ("/orders/999999", 404), ("/orders/x", 400)] {
        let get = || harness.http().get(harness.url(path)).bearer_auth(operator_token("ann"));
        let response = get().header("x-correlation-id", "req-789").send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers()["x-correlation-id"].as_bytes()),
            (status, &b"req-789"[..])
        );
        let created = get().send().await.unwrap();
        assert_eq!(created.headers()["x-correlation-id"], created.headers()["x-request-id"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_path_is_404_and_unknown_method_is_405() {
    let harness = Harness::start().await;
    let response = harness.http().get(harness.url("/nothing")).send().await.unwrap();
    assert_eq!(response.status(), 404);
    assert!(response.json::<serde_json::Value>().await.unwrap()["message"].is_string());
    for path in ["/orders", "/products", "/orders/1"] {
        assert_eq!(harness.http().delete(harness.url(path)).send().await.unwrap().status(), 405, "{path}");
    }
}

#[test]
fn invalid_setting_is_named() {
    let with = |name: &'static str, value: &'static str| {
        let good = |asked: &str| env("mysql://root@127.0.0.1:1/x", "http://127.0.0.1:1").get(asked);
        let env = Env::new(move |asked| if asked == name { Some(value.to_owned()) } else { good(asked) });
        Config::from_env(&env).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(with("PORT", "0"), Ok(()));
    let bad = [
        ("PORT", "x"),
        ("CUSTOMERS_API_BASE", "localhost:3001"),
        ("CUSTOMERS_API_BASE", ""),
        ("DATABASE_URL", "postgres://x"),
        ("JWT_SECRET", ""),
        ("SERVICE_TOKEN", ""),
        ("IDEMPOTENCY_RETENTION_HOURS", "23"),
        ("IDEMPOTENCY_RETENTION_HOURS", "for ever"),
        ("RESERVATION_SECONDS", "0"),
    ];
    for (name, value) in bad {
        let line = with(name, value).unwrap_err();
        assert!(line.starts_with(name) && !line.contains('\n'), "{name}={value}: {line}");
    }
    for (name, value) in [("IDEMPOTENCY_RETENTION_HOURS", "24"), ("RESERVATION_SECONDS", "86400")] {
        assert_eq!(with(name, value), Ok(()));
    }
}
