//! What the program writes, and what it never does.

use common_server::testing::everything_it_writes;
use db_testing::TestDatabase;
use reqwest::Client;
use serde_json::{Value, json};

use crate::harness::{JWT_SECRET, PASSWORD, SERVICE_TOKEN, USER};

const SECONDARY: &str = "the-secret-before-of-the-tests-and-nothing-else";
const BILLING: &str = "billings-token-of-the-tests-and-of-nothing-else";

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_token_or_password_is_written_at_any_level() {
    let database = TestDatabase::create().await;
    let tokens = format!("billing={BILLING}");
    let settings = [
        ("DATABASE_URL", database.url()),
        ("JWT_SECRET", JWT_SECRET),
        ("JWT_SECRET_SECONDARY", SECONDARY),
        ("SERVICE_TOKEN", SERVICE_TOKEN),
        ("SERVICE_TOKENS", &tokens),
        ("ADMIN_USER", USER),
        ("ADMIN_PASSWORD", PASSWORD),
    ];
    let mut issued = String::new();
    let visit = async |base: String| {
        // The log has a line of this one at its lower levels only.
        reqwest::get(format!("{base}/health")).await.unwrap();
        let log_in = async |password: &str| {
            let body = json!({ "username": USER, "password": password });
            Client::new().post(format!("{base}/auth/token")).json(&body).send().await.unwrap()
        };
        assert_eq!(log_in("a wrong guess").await.status(), 401);
        let token: Value = log_in(PASSWORD).await.json().await.unwrap();
        token["access_token"].as_str().unwrap().clone_into(&mut issued);
        for (path, token) in
            [("/customers", &*issued), ("/internal/customers/1", SERVICE_TOKEN), ("/customers", BILLING)]
        {
            Client::new().get(format!("{base}{path}")).bearer_auth(token).send().await.unwrap();
        }
    };
    let written = everything_it_writes(env!("CARGO_BIN_EXE_customers"), &settings, visit).await.unwrap();
    assert!(written.contains("health_view") && written.contains("service:billing"), "{written}");
    for secret in [JWT_SECRET, SECONDARY, SERVICE_TOKEN, BILLING, PASSWORD, "a wrong guess", &issued] {
        assert!(!secret.is_empty() && !written.contains(secret), "{secret} was written");
    }
}

#[tokio::test]
async fn a_program_with_a_secret_that_everybody_knows_does_not_start() {
    let known = [
        ("DATABASE_URL", "mysql://root@127.0.0.1:1/x"),
        ("JWT_SECRET", "development-only-jwt-secret-do-not-deploy"),
        ("SERVICE_TOKEN", SERVICE_TOKEN),
        ("ADMIN_USER", USER),
        ("ADMIN_PASSWORD", PASSWORD),
    ];
    let nobody = async |_| panic!("it listens");
    let refused = everything_it_writes(env!("CARGO_BIN_EXE_customers"), &known, nobody).await.unwrap_err().to_string();
    assert!(refused.starts_with("customers: JWT_SECRET: expected a secret that is not known"), "{refused}");
    assert!(refused.lines().count() == 1 && !refused.contains("do-not-deploy"), "{refused}");
}
