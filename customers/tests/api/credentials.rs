//! Authentication: credentials that each operation accepts, and tokens.

use client_common::Outbound;
use common_server::testing::access_violations;
use customers_client::types::{self, Credentials, Role};

use crate::harness::{DOCUMENT, Harness, PASSWORD, SERVICE_TOKEN, USER, auth, create_account, refusal, refused};

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_rejects_credentials_it_does_not_document() {
    let harness = Harness::start().await;
    // User account operations also check the caller's account, "ann".
    create_account(&harness.admin().await, "ann", Role::Admin).await;
    let wrong = access_violations(DOCUMENT, &harness.url(""), auth().tokens(), SERVICE_TOKEN).await.unwrap();
    assert_eq!(wrong, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn both_login_paths_return_the_token_under_both_names() {
    let harness = Harness::start().await;
    let credentials = || types::Credentials::builder().username(USER).password(PASSWORD);
    let client = harness.client(Outbound::new());
    let first = client.token_create().body(credentials()).send().await.unwrap().into_inner();
    let second = client.token_create_login().body(credentials()).send().await.unwrap().into_inner();
    for token in [first, second] {
        assert_eq!(token.access_token, token.token);
        assert_eq!((token.token_type.as_str(), token.expires_in), ("Bearer", 900));
        let client = harness.client(Outbound::new().bearer(&token.token));
        assert!(client.customer_list().send().await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_username_and_wrong_password_get_the_same_response() {
    let harness = Harness::start().await;
    for (username, password) in [("admin", "wrong"), ("nobody", PASSWORD)] {
        let body: Credentials = types::Credentials::builder().username(username).password(password).try_into().unwrap();
        let response = harness.client(Outbound::new()).token_create().body(body).send().await;
        assert_eq!(refusal(response), refused(401, "unauthorized"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tampered_or_unsigned_token_is_rejected() {
    let harness = Harness::start().await;
    let token = harness.token().await;
    let (head, signature) = token.rsplit_once('.').unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", head.split('.').nth(1).unwrap());
    let reversed: String = signature.chars().rev().collect();
    for bad in [format!("{head}."), format!("{head}.{reversed}"), unsigned, String::new(), format!("{token}x")] {
        let client = harness.client(Outbound::new().bearer(&bad));
        assert_eq!(refusal(client.customer_list().send().await), refused(401, "unauthorized"), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unauthorized_response_has_www_authenticate() {
    let harness = Harness::start().await;
    let response = harness.http().get(harness.url("/customers")).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
}
