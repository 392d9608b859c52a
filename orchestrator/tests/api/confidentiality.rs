//! Secrets and tokens never appear in the logs of the server or of the function.

use common_contract::Role;
use common_server::testing::program_output;
use reqwest::Client;
use tokio::io::AsyncReadExt;

use crate::callers::auth;
use crate::entry_points::example;
use crate::harness::{Harness, JWT_SECRET, PATH, SERVICE_TOKEN, order_body};
use crate::instance::Instance;

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_or_token_is_logged_at_any_level() {
    let harness = Harness::new().await;
    let (customers, orders) = (harness.customers.base_url(), harness.orders.base_url());
    let settings = [
        ("JWT_SECRET", JWT_SECRET),
        ("SERVICE_TOKEN", SERVICE_TOKEN),
        ("CUSTOMERS_API_BASE", &customers),
        ("ORDERS_API_BASE", &orders),
    ];
    let operator = auth().tokens().issue("ann", Role::Operator).unwrap();
    let send_requests = async |base: String| {
        // Requests for this operation are logged only at the levels below info.
        reqwest::get(format!("{base}/health")).await.unwrap();
        for token in [&*operator, SERVICE_TOKEN] {
            let request = Client::new().post(format!("{base}{PATH}")).bearer_auth(token).json(&order_body("a"));
            assert_eq!(request.send().await.unwrap().status(), 201);
        }
    };
    let log = program_output(env!("CARGO_BIN_EXE_orchestrator"), &settings, send_requests).await.unwrap();
    assert!(log.contains("health_view") && log.contains("operator:ann"), "{log}");
    for secret in [JWT_SECRET, SERVICE_TOKEN, &operator] {
        assert!(!log.contains(secret), "{secret} was logged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lambda_does_not_log_event_credentials() {
    let harness = Harness::new().await;
    let mut function =
        Instance::start_with(harness.customers.base_url(), harness.orders.base_url(), &[("RUST_LOG", "trace")]).await;
    let mut stdout = function.process.stdout.take().unwrap();
    let log = tokio::spawn(async move {
        let mut log = String::new();
        stdout.read_to_string(&mut log).await.unwrap();
        log
    });
    let mut event = example("api-gateway-http");
    event["headers"]["authorization"] = format!("Bearer {SERVICE_TOKEN}").into();
    assert_eq!(function.invoke(&event, std::time::Duration::from_secs(28)).await.0, 201);
    function.process.kill().await.unwrap();
    let log = log.await.unwrap();
    assert!(log.contains("\"TRACE\"") && log.contains("\"principal\":\"service\""), "{log}");
    for secret in [JWT_SECRET, SERVICE_TOKEN] {
        assert!(!log.contains(secret), "{secret} was logged");
    }
}
