//! Health, readiness, settings and the generated client.

use client_common::Outbound;
use common_server::testing::Program;
use orchestrator::Config;
use orchestrator_client::{Client, codes, types};

use crate::fault_proxy::{ALWAYS, Fault};
use crate::harness::{Harness, JWT_SECRET, PATH, Reply, SERVICE_TOKEN, order_body, settings};

async fn get(harness: &Harness, path: &str) -> Reply {
    Reply::send(reqwest::Client::new().get(format!("{}{path}", harness.base_url))).await
}

#[tokio::test]
async fn ready_while_both_upstreams_are_ready() {
    let harness = Harness::new().await;
    assert_eq!(get(&harness, "/health").await.status, 200);
    assert_eq!(get(&harness, "/ready").await.status, 200);
}

#[tokio::test]
async fn head_of_a_probe_has_the_status_and_no_body() {
    let harness = Harness::new().await;
    let head = async |path: &str| {
        let reply = Reply::send(reqwest::Client::new().head(format!("{}{path}", harness.base_url))).await;
        (reply.status, reply.text)
    };
    assert_eq!(head("/health").await, (200, String::new()));
    assert_eq!(head("/ready").await, (200, String::new()));
    harness.orders.inject("GET /ready", ALWAYS, Fault::GatewayResponse(503));
    assert_eq!(head("/health").await, (200, String::new()));
    assert_eq!(head("/ready").await, (503, String::new()));
}

#[tokio::test]
async fn not_ready_while_an_upstream_is_not_ready() {
    for fault in [Fault::GatewayResponse(503), Fault::RequestStalled, Fault::PortClosed] {
        for is_customers in [true, false] {
            let harness = Harness::new().await;
            let proxy = if is_customers { &harness.customers } else { &harness.orders };
            proxy.inject("GET /ready", ALWAYS, fault);
            let reply = get(&harness, "/ready").await;
            reply.assert_failed(503, "unavailable", "input", "not_needed", true);
            assert_eq!(get(&harness, "/health").await.status, 200);
        }
    }
}

#[tokio::test]
async fn api_document_and_docs_page_are_public() {
    let harness = Harness::new().await;
    let get = async |path: &str| reqwest::get(format!("{}{path}", harness.base_url)).await.unwrap();
    assert_eq!(get("/openapi.json").await.text().await.unwrap(), include_str!("../../../specs/orchestrator.json"));
    assert_eq!(get("/docs").await.status(), 200);
}

#[tokio::test]
async fn proxy_variables_do_not_affect_calls_between_services() {
    let harness = Harness::new().await;
    let base = [("CUSTOMERS_API_BASE", harness.customers.base_url()), ("ORDERS_API_BASE", harness.orders.base_url())];
    let secrets = [("SERVICE_TOKEN", SERVICE_TOKEN.to_owned()), ("JWT_SECRET", JWT_SECRET.to_owned())];
    // Nothing listens on this port.
    let proxies =
        ["http_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:1".to_owned()));
    let settings = base.into_iter().chain(secrets).chain(proxies);
    let program = Program::start(env!("CARGO_BIN_EXE_orchestrator"), settings).await;
    let request = reqwest::Client::new().post(format!("{}{PATH}", program.base_url)).bearer_auth(SERVICE_TOKEN);
    Reply::send(request.json(&order_body("a"))).await.assert_succeeded();
}

#[test]
fn missing_or_invalid_setting_is_named() {
    let problem = |customers| Config::from_env(&settings("production", customers, "http://127.0.0.1:2")).err();
    assert_eq!(problem("").unwrap().to_string(), "CUSTOMERS_API_BASE is not set");
    assert!(problem("127.0.0.1:1").unwrap().to_string().starts_with("CUSTOMERS_API_BASE: "));
    assert!(problem("http://127.0.0.1:1").is_none());
}

#[tokio::test]
async fn generated_client_parses_successes_and_failures() {
    let harness = Harness::new().await;
    let outbound = Outbound::new().bearer(SERVICE_TOKEN);
    let client = Client::new_with_client(&harness.base_url, reqwest::Client::new(), outbound);
    let body: types::CreateAndConfirm = serde_json::from_value(order_body("a")).unwrap();
    let send = |body| client_common::send(client.order_create_and_confirm().body(body).send());
    let success = send(body.clone()).await.unwrap();
    assert_eq!(success.data.order.total_cents, 389_700);
    harness.store().allocated = crate::fake_orders::INITIAL_STOCK;
    let body = types::builder::CreateAndConfirm::from(body).idempotency_key("b").try_into().unwrap();
    let fault = send(body).await.unwrap_err();
    assert!(fault.has_code(codes::INSUFFICIENT_STOCK), "{fault:?}");
    assert_eq!(fault.status(), Some(409));
}
