//! Login metrics and the request log.

use client_common::Outbound;
use common_server::testing::Program;
use customers_client::Client;
use customers_client::types::{OperatorPatch, PasswordChange, Role};
use db_testing::TestDatabase;
use diesel_async::SimpleAsyncConnection;
use futures::stream::{FuturesUnordered, StreamExt};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{PASSWORD, SERVICE_TOKEN, USER, create_account, refusal, refused};

async fn start_program(database: &db_testing::TestDatabase) -> Program {
    let settings = [
        ("DATABASE_URL", database.url().to_owned()),
        ("JWT_SECRET", "jwt-secret-for-tests".to_owned()),
        ("SERVICE_TOKEN", SERVICE_TOKEN.to_owned()),
        ("ADMIN_USER", USER.to_owned()),
        ("ADMIN_PASSWORD", PASSWORD.to_owned()),
        ("METRICS_PORT", "0".to_owned()),
        ("TRUSTED_PROXIES", "127.0.0.1".to_owned()),
    ];
    Program::start(env!("CARGO_BIN_EXE_customers"), settings).await
}

/// Logs in through a proxy, for a client at this address.
async fn log_in(program: &Program, address: &str, username: &str, password: &str) -> reqwest::Response {
    let body = json!({ "username": username, "password": password });
    let request = reqwest::Client::new().post(format!("{}/auth/token", program.base_url)).json(&body);
    request.header("x-client-address", address).send().await.unwrap()
}

async fn logged_in(program: &Program, username: &str) -> Client {
    let response: Value = log_in(program, "192.0.2.1", username, PASSWORD).await.json().await.unwrap();
    let outbound = Outbound::new().bearer(response["access_token"].as_str().unwrap());
    Client::new_with_client(&program.base_url, reqwest::Client::new(), outbound)
}

/// Returns the number of hash computations started for this purpose.
async fn hash_count(program: &Program, purpose: &str) -> f64 {
    program.scrape().await.sum("password_hashes_total", &[("purpose", purpose)])
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_login_costs_one_hash_for_known_and_unknown_accounts() {
    let database = TestDatabase::create().await;
    let program = start_program(&database).await;
    let admin = logged_in(&program, USER).await;
    create_account(&admin, "ann", Role::Viewer).await;
    let deactivated = create_account(&admin, "bob", Role::Viewer).await.id;
    admin.operator_update().id(deactivated).body(OperatorPatch::builder().active(false)).send().await.unwrap();
    let stored = hash_count(&program, "keep").await;
    for (n, name) in ["ann", "bob", "nobody", "ann ", "żółć", USER].iter().enumerate() {
        let before = hash_count(&program, "compare").await;
        let response = log_in(&program, &format!("203.0.113.{n}"), name, "wrong").await;
        assert_eq!(response.status(), 401, "{name:?}");
        assert_eq!(hash_count(&program, "compare").await - before, 1.0, "{name:?}");
    }
    assert_eq!(hash_count(&program, "keep").await, stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn former_admin_causes_no_password_hash() {
    let database = TestDatabase::create().await;
    let program = start_program(&database).await;
    let admin = logged_in(&program, USER).await;
    let ann = create_account(&admin, "ann", Role::Admin).await.id;
    let former = logged_in(&program, "ann").await;
    admin.operator_update().id(ann).body(OperatorPatch::builder().role(Role::Viewer)).send().await.unwrap();
    let stored = hash_count(&program, "keep").await;
    let new = customers_client::types::OperatorInput::builder().username("eve").password(PASSWORD).role(Role::Admin);
    assert_eq!(refusal(former.operator_create().body(new).send().await), refused(403, "forbidden"));
    let password = PASSWORD.parse::<customers_client::types::OperatorPatchPassword>().unwrap();
    let patch = OperatorPatch::builder().password(password);
    assert_eq!(refusal(former.operator_update().id(ann).body(patch).send().await), refused(403, "forbidden"));
    assert_eq!(hash_count(&program, "keep").await, stored);
}

/// Hash that takes minutes to verify.
const SLOW_HASH: &str = "$argon2id$v=19$m=19456,t=100000,p=1$c29tZXNhbHRzb21lc2FsdA$\
                       AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[tokio::test(flavor = "multi_thread")]
async fn other_requests_are_served_while_logins_wait_for_permits() {
    let database = TestDatabase::seeded().await;
    let program = start_program(&database).await;
    let admin = logged_in(&program, USER).await;
    let ann = create_account(&admin, "ann", Role::Viewer).await.id;
    let slow = format!("UPDATE operators SET password_hash = '{SLOW_HASH}' WHERE id = {ann}");
    database.connection().await.batch_execute(&slow).await.unwrap();
    // There are at most four permits.
    let mut logins: FuturesUnordered<_> = (0..5).map(|_| log_in(&program, "203.0.113.1", "ann", "wrong")).collect();
    let response = logins.next().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "all permits are taken");
    assert!(response.headers().contains_key("retry-after"));
    for _ in 0..20 {
        assert_eq!(admin.customer_list().send().await.unwrap().data.len(), 20);
        assert!(admin.readiness_view().send().await.is_ok());
    }
    assert_eq!(log_in(&program, "203.0.113.2", USER, PASSWORD).await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_current_password_counts_as_refused_login() {
    let database = TestDatabase::create().await;
    let program = start_program(&database).await;
    let admin = logged_in(&program, USER).await;
    let change = || PasswordChange::builder().current_password("wrong").new_password("staple of the harbour");
    for _ in 0..5 {
        let response = admin.password_update().body(change()).send().await;
        assert_eq!(refusal(response), refused(403, "wrong_password"));
    }
    let response = admin.password_update().body(change()).send().await;
    assert_eq!(refusal(response), refused(429, "too_many_attempts"));
    let scrape = program.scrape().await;
    let logins =
        ["ok", "refused", "throttled", "failed"].map(|outcome| scrape.sum("logins_total", &[("outcome", outcome)]));
    assert_eq!(logins, [1.0, 5.0, 1.0, 0.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_are_counted_by_outcome() {
    let database = db_testing::TestDatabase::create().await;
    let program = start_program(&database).await;
    for (password, status) in [(PASSWORD, 200), ("wrong", 401), ("worse", 401)] {
        let body = json!({ "username": USER, "password": password });
        let request = reqwest::Client::new().post(format!("{}/auth/token", program.base_url)).json(&body);
        assert_eq!(request.send().await.unwrap().status(), status);
    }
    let scrape = program.scrape().await;
    let logins = ["ok", "refused", "throttled"].map(|outcome| scrape.sum("logins_total", &[("outcome", outcome)]));
    assert_eq!(logins, [1.0, 2.0, 0.0]);
    // No line is dropped while the log is read.
    assert!(scrape.names().contains("log_lines_dropped_total"));
    assert_eq!(scrape.sum("log_lines_dropped_total", &[]), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn request_log_line_contains_no_personal_data() {
    let database = db_testing::TestDatabase::seeded().await;
    let program = start_program(&database).await;
    let get = reqwest::Client::new().get(format!("{}/customers/1?search=acme", program.base_url));
    let get = get.bearer_auth(SERVICE_TOKEN).header("x-correlation-id", "req-789");
    assert_eq!(get.send().await.unwrap().status(), 403);
    let line = program.line(|line| line["correlation_id"] == "req-789").await;
    assert_eq!(program.lines().iter().filter(|line| line["correlation_id"] == "req-789").count(), 1);
    let fields = ["method", "operation", "status", "principal", "outcome"].map(|field| line[field].clone());
    let expected = [json!("GET"), json!("customer_view"), json!(403), json!("service"), json!("forbidden")];
    assert_eq!(fields, expected);
    assert!(line["latency_us"].is_u64() && line["level"] == "INFO", "{line}");
    assert_eq!(line["span"]["trace_id"].as_str().unwrap().len(), 32, "{line}");
    let text = line.to_string();
    assert!(!text.contains("acme") && !text.contains(SERVICE_TOKEN), "{text}");
}

#[tokio::test]
async fn closed_log_pipe_stops_neither_requests_nor_the_program() {
    let database = TestDatabase::create().await;
    let mut program = start_program(&database).await;
    program.stop_reading().await;
    for _ in 0..3 {
        assert_eq!(log_in(&program, "192.0.2.1", USER, PASSWORD).await.status(), StatusCode::OK);
    }
}
