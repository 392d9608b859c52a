//! What the program tells Prometheus of logins, and what it logs of requests.

use serde_json::json;
use service::testing::Program;

use crate::harness::{PASSWORD, SERVICE_TOKEN, USER};

async fn program(database: &db::testing::TestDatabase) -> Program {
    let settings = [
        ("DATABASE_URL", database.url().to_owned()),
        ("JWT_SECRET", "jwt-secret-of-the-tests".to_owned()),
        ("SERVICE_TOKEN", SERVICE_TOKEN.to_owned()),
        ("ADMIN_USER", USER.to_owned()),
        ("ADMIN_PASSWORD", PASSWORD.to_owned()),
        ("METRICS_PORT", "0".to_owned()),
    ];
    Program::start(env!("CARGO_BIN_EXE_customers"), settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_to_log_in_are_counted_by_their_end() {
    let database = db::testing::TestDatabase::create().await;
    let program = program(&database).await;
    for (password, status) in [(PASSWORD, 200), ("wrong", 401), ("worse", 401)] {
        let body = json!({ "username": USER, "password": password });
        let request = reqwest::Client::new().post(format!("{}/auth/token", program.base_url)).json(&body);
        assert_eq!(request.send().await.unwrap().status(), status);
    }
    let numbers = program.numbers().await;
    let logins = ["ok", "refused", "throttled"].map(|outcome| numbers.sum("logins_total", &[("outcome", outcome)]));
    assert_eq!(logins, [1.0, 2.0, 0.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_line_with_nothing_personal() {
    let database = db::testing::TestDatabase::seeded().await;
    let program = program(&database).await;
    let get = reqwest::Client::new().get(format!("{}/customers/1?search=acme", program.base_url));
    let get = get.bearer_auth(SERVICE_TOKEN).header("x-correlation-id", "req-789");
    assert_eq!(get.send().await.unwrap().status(), 403);
    let line = program.line(|line| line["correlation_id"] == "req-789").await;
    assert_eq!(program.lines().iter().filter(|line| line["correlation_id"] == "req-789").count(), 1);
    let told = ["method", "route", "status", "principal", "outcome"].map(|field| line[field].clone());
    let expected = [json!("GET"), json!("/customers/{id}"), json!(403), json!("service"), json!("forbidden")];
    assert_eq!(told, expected);
    assert!(line["latency_us"].is_u64() && line["level"] == "INFO", "{line}");
    assert_eq!(line["span"]["trace_id"].as_str().unwrap().len(), 32, "{line}");
    let text = line.to_string();
    assert!(!text.contains("acme") && !text.contains(SERVICE_TOKEN), "{text}");
}
