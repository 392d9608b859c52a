//! Authentication and authorization of callers.

use common_contract::Role;
use common_server::auth::Auth;
use common_server::testing::access_violations;

use crate::harness::{DOCUMENT, Harness, PATH, Reply, SERVICE_TOKEN, order_body, settings};

async fn post(harness: &Harness, authorization: Option<&str>) -> Reply {
    let mut request = reqwest::Client::new().post(format!("{}{PATH}", harness.base_url)).json(&order_body("a"));
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    Reply::send(request).await
}

pub(crate) fn auth() -> Auth {
    Auth::from_env(&settings("production", "", "")).unwrap()
}

fn operator_token(name: &str) -> String {
    format!("Bearer {}", auth().tokens().issue(name, Role::Operator).unwrap())
}

const INVALID_CREDENTIALS: [&str; 4] = ["Bearer wrong", "Bearer ", "Basic YWRtaW46YWRtaW4=", SERVICE_TOKEN];

#[tokio::test]
async fn invalid_credentials_are_rejected_before_any_upstream_call() {
    let harness = Harness::new().await;
    for authorization in INVALID_CREDENTIALS.map(Some).into_iter().chain([None]) {
        let reply = post(&harness, authorization).await;
        reply.assert_failed(401, "unauthorized", "input", "not_needed", false);
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
    }
    assert_eq!(harness.customers.requests(), [] as [&str; 0]);
}

#[tokio::test]
async fn every_operation_enforces_its_documented_credentials() {
    let harness = Harness::new().await;
    let mismatches = access_violations(DOCUMENT, &harness.base_url, auth().tokens(), SERVICE_TOKEN).await.unwrap();
    assert_eq!(mismatches, [] as [&str; 0]);
}

#[tokio::test]
async fn operators_and_services_are_authorized() {
    let harness = Harness::new().await;
    post(&harness, Some(&operator_token("ann"))).await.assert_succeeded();
    post(&harness, Some(&format!("Bearer {SERVICE_TOKEN}"))).await.assert_succeeded();
}

#[tokio::test]
async fn viewer_is_forbidden() {
    let harness = Harness::new().await;
    let viewer = auth().tokens().issue("vera", Role::Viewer).unwrap();
    let reply = post(&harness, Some(&format!("Bearer {viewer}"))).await;
    reply.assert_failed(403, "forbidden", "input", "not_needed", false);
    assert_eq!(harness.customers.requests(), [] as [&str; 0]);
}

#[tokio::test]
async fn same_key_from_two_callers_creates_two_orders() {
    let harness = Harness::new().await;
    post(&harness, Some(&operator_token("ann"))).await.assert_succeeded();
    post(&harness, Some(&operator_token("bob"))).await.assert_succeeded();
    post(&harness, Some(&operator_token("ann"))).await.assert_succeeded();
    assert_eq!(harness.store().orders.len(), 2);
}

#[tokio::test]
async fn development_profile_accepts_anonymous_callers() {
    let harness = Harness::in_profile("development").await;
    post(&harness, None).await.assert_succeeded();
    for authorization in INVALID_CREDENTIALS {
        post(&harness, Some(authorization)).await.assert_failed(401, "unauthorized", "input", "not_needed", false);
    }
    post(&harness, Some(&operator_token("ann"))).await.assert_succeeded();
    assert_eq!(harness.store().orders.len(), 2);
}
