//! Secrets never appear in the output of the program.

use common_server::testing::program_output;
use db_testing::TestDatabase;
use reqwest::Client;
use serde_json::{Value, json};

use crate::harness::{JWT_SECRET, PASSWORD, SERVICE_TOKEN, USER};

const PREVIOUS_JWT_SECRET: &str = "previous-jwt-secret-for-integration-tests";
const BILLING_TOKEN: &str = "billing-service-token-for-integration-tests";

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_token_or_password_is_logged_at_any_level() {
    let database = TestDatabase::create().await;
    let tokens = format!("billing={BILLING_TOKEN}");
    let settings = [
        ("DATABASE_URL", database.url()),
        ("JWT_SECRET", JWT_SECRET),
        ("JWT_SECRET_SECONDARY", PREVIOUS_JWT_SECRET),
        ("SERVICE_TOKEN", SERVICE_TOKEN),
        ("SERVICE_TOKENS", &tokens),
        ("ADMIN_USER", USER),
        ("ADMIN_PASSWORD", PASSWORD),
    ];
    let mut issued = String::new();
    let send_requests = async |base: String| {
        // Health checks are logged only at debug level and below.
        reqwest::get(format!("{base}/health")).await.unwrap();
        let log_in = async |password: &str| {
            let body = json!({ "username": USER, "password": password });
            Client::new().post(format!("{base}/auth/token")).json(&body).send().await.unwrap()
        };
        assert_eq!(log_in("a wrong guess").await.status(), 401);
        let token: Value = log_in(PASSWORD).await.json().await.unwrap();
        token["access_token"].as_str().unwrap().clone_into(&mut issued);
        for (path, token) in
            [("/customers", &*issued), ("/internal/customers/1", SERVICE_TOKEN), ("/customers", BILLING_TOKEN)]
        {
            Client::new().get(format!("{base}{path}")).bearer_auth(token).send().await.unwrap();
        }
    };
    let written = program_output(env!("CARGO_BIN_EXE_customers"), &settings, send_requests).await.unwrap();
    assert!(written.contains("health_view") && written.contains("service:billing"), "{written}");
    for secret in [JWT_SECRET, PREVIOUS_JWT_SECRET, SERVICE_TOKEN, BILLING_TOKEN, PASSWORD, "a wrong guess", &issued] {
        assert!(!secret.is_empty() && !written.contains(secret), "{secret} was logged");
    }
}

#[tokio::test]
async fn known_secret_prevents_startup() {
    let known = [
        ("DATABASE_URL", "mysql://root@127.0.0.1:1/x"),
        ("JWT_SECRET", "development-only-jwt-secret-do-not-deploy"),
        ("SERVICE_TOKEN", SERVICE_TOKEN),
        ("ADMIN_USER", USER),
        ("ADMIN_PASSWORD", PASSWORD),
    ];
    let unreachable = async |_| panic!("the server started");
    let refused = program_output(env!("CARGO_BIN_EXE_customers"), &known, unreachable).await.unwrap_err().to_string();
    assert!(refused.starts_with("customers: JWT_SECRET: expected a secret that is not known"), "{refused}");
    assert!(refused.lines().count() == 1 && !refused.contains("do-not-deploy"), "{refused}");
}
