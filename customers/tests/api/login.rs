//! Logins: bootstrap admin, error responses and throttling.

use std::collections::BTreeSet;

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use client_common::Outbound;
use customers_client::Client;
use customers_client::types::{Credentials, OperatorPatch, PasswordChange, Role};
use futures::future::join_all;
use reqwest::header::RETRY_AFTER;
use serde_json::Value;

use crate::harness::{Harness, PASSWORD, USER, create_account, refusal, refused};

const NEW: &str = "staple of the harbour";

#[tokio::test(flavor = "multi_thread")]
async fn first_login_creates_the_bootstrap_admin() {
    let harness = Harness::start().await;
    let rows = harness.admin().await.operator_list().send().await.unwrap().into_inner().data;
    let [admin] = rows.as_slice() else { panic!("expected one account, got {rows:?}") };
    assert_eq!((admin.username.as_str(), admin.role, admin.active, admin.version), (USER, Role::Admin, true, 1));
    harness.admin().await;
    assert_eq!(harness.admin().await.operator_list().send().await.unwrap().data.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_first_logins_on_replicas_create_one_admin() {
    let harness = Harness::start().await;
    let replicas = [harness.start_replica(), harness.start_replica(), harness.start_replica()];
    let log_in = async |base: String| {
        let client = Client::new_with_client(&base, harness.http().clone(), Outbound::new());
        let credentials = Credentials::builder().username(USER).password(PASSWORD);
        client.token_create().body(credentials).send().await.map(|_| ())
    };
    let logins = (0..12).map(|n| log_in(replicas[n % 3].base_url()));
    for response in join_all(logins).await {
        response.unwrap();
    }
    assert_eq!(harness.admin().await.operator_list().send().await.unwrap().data.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_password_overrides_the_bootstrap_settings() {
    let harness = Harness::start().await;
    let change = PasswordChange::builder().current_password(PASSWORD).new_password(NEW);
    harness.admin().await.password_update().body(change).send().await.unwrap();
    assert_eq!(refusal(harness.log_in(USER, PASSWORD).await), refused(401, "unauthorized"));
    harness.log_in(USER, NEW).await.unwrap();
    let server = harness.start_replica();
    let replica = Client::new_with_client(&server.base_url(), harness.http().clone(), Outbound::new());
    let with = |password: &str| Credentials::builder().username(USER).password(password);
    let response = replica.token_create().body(with(PASSWORD)).send().await;
    assert_eq!(refusal(response), refused(401, "unauthorized"));
    replica.token_create().body(with(NEW)).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bootstrap_login_reactivates_the_admin_when_none_is_active() {
    let harness = Harness::start().await;
    create_account(&harness.admin().await, "ann", Role::Admin).await;
    harness.sql("UPDATE operators SET active = FALSE WHERE username = 'admin'").await;
    assert_eq!(refusal(harness.log_in(USER, PASSWORD).await), refused(401, "unauthorized"));
    harness.sql("UPDATE operators SET role = 'viewer' WHERE username = 'ann'").await;
    assert_eq!(refusal(harness.log_in(USER, "another password").await), refused(401, "unauthorized"));
    let rows = harness.admin().await.operator_list().send().await.unwrap().into_inner().data;
    let accounts: Vec<_> = rows.iter().map(|row| (row.username.as_str(), row.role, row.active)).collect();
    assert_eq!(accounts, [("ann", Role::Viewer, true), (USER, Role::Admin, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn username_is_case_insensitive_and_the_token_has_the_account_role() {
    let harness = Harness::start().await;
    create_account(&harness.admin().await, "Ann", Role::Viewer).await;
    for name in ["Ann", "ann", "ANN"] {
        let client = harness.logged_in(name, PASSWORD).await;
        assert!(client.customer_list().send().await.is_ok());
        assert_eq!(refusal(client.customer_delete().id(1).send().await), refused(403, "forbidden"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_usernames_match_no_account_and_share_one_throttle_bucket() {
    let harness = Harness::behind_proxy().await;
    create_account(&harness.admin().await, "ann", Role::Operator).await;
    let spellings = ["ann ", "ann   ", " ann", "Ann ", "ann\u{a0}", "\u{ff41}nn", "a\u{308}nn", "ann\u{200b}", "żółć"];
    for (n, name) in spellings.iter().enumerate() {
        let response = harness.log_in_from(&format!("203.0.113.{n}"), name, PASSWORD).await;
        assert_eq!(response.status(), 401, "{name:?}");
    }
    for (n, name) in spellings.iter().enumerate() {
        let status = harness.log_in_from("192.0.2.1", name, "wrong").await.status();
        assert_eq!(status, if n < 5 { 401 } else { 429 }, "{n}");
    }
    for _ in 0..5 {
        assert_eq!(harness.log_in_from("192.0.2.2", "ann", "wrong").await.status(), 401);
    }
    for name in ["ann ", "ANN", "ann"] {
        assert_ne!(harness.log_in_from("192.0.2.2", name, PASSWORD).await.status(), 200, "{name:?}");
    }
}

/// Returns the status, header names, `Retry-After` and body of a response, excluding the request id.
async fn comparable(response: reqwest::Response) -> (u16, BTreeSet<String>, Option<String>, Value) {
    let headers = response.headers().keys().map(ToString::to_string).collect();
    let wait = response.headers().get(RETRY_AFTER).map(|wait| wait.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let mut body: Value = response.json().await.unwrap();
    body["request_id"] = Value::Null;
    (status, headers, wait, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_deactivated_and_wrong_password_logins_get_the_same_responses() {
    let harness = Harness::behind_proxy().await;
    let admin = harness.admin().await;
    create_account(&admin, "ann", Role::Operator).await;
    let deactivated = create_account(&admin, "bob", Role::Operator).await;
    admin.operator_update().id(deactivated.id).body(OperatorPatch::builder().active(false)).send().await.unwrap();
    let others = [("nobody", PASSWORD), ("bob", PASSWORD), ("żółć", PASSWORD)];
    for n in 1..=7 {
        let wrong = comparable(harness.log_in_from("203.0.113.1", "ann", "wrong").await).await;
        let status = if n <= 5 { 401 } else { 429 };
        assert_eq!(wrong.0, status, "{n}");
        for (m, (username, password)) in others.iter().enumerate() {
            let address = format!("203.0.113.{}", m + 2);
            let other = comparable(harness.log_in_from(&address, username, password).await).await;
            assert_eq!((other.0, &other.1, &other.3), (wrong.0, &wrong.1, &wrong.3), "{username} {n}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixth_attempt_is_throttled_even_with_the_correct_password() {
    let harness = Harness::behind_proxy().await;
    create_account(&harness.admin().await, "ann", Role::Operator).await;
    for _ in 0..5 {
        assert_eq!(harness.log_in_from("203.0.113.1", "ann", "wrong").await.status(), 401);
    }
    let (status, _, wait, body) = comparable(harness.log_in_from("203.0.113.1", "ANN", PASSWORD).await).await;
    assert_eq!((status, body["error_code"].as_str()), (429, Some("too_many_attempts")));
    assert!((1..=30).contains(&wait.unwrap().parse::<u64>().unwrap()));
    assert_eq!(harness.log_in_from("203.0.113.2", "ann", PASSWORD).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn successful_login_resets_failed_attempts() {
    let harness = Harness::behind_proxy().await;
    create_account(&harness.admin().await, "ann", Role::Operator).await;
    for _ in 0..2 {
        for _ in 0..4 {
            assert_eq!(harness.log_in_from("203.0.113.1", "ann", "wrong").await.status(), 401);
        }
        assert_eq!(harness.log_in_from("203.0.113.1", "ann", PASSWORD).await.status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn distributed_attack_does_not_lock_out_the_owner() {
    let harness = Harness::behind_proxy().await;
    create_account(&harness.admin().await, "ann", Role::Operator).await;
    assert_eq!(harness.log_in_from("192.0.2.1", "ann", PASSWORD).await.status(), 200);
    let mut last = 401;
    for n in 1..=60 {
        last = harness.log_in_from(&format!("203.0.113.{n}"), "ann", "wrong").await.status().as_u16();
        assert!(n > 50 || last == 401, "{n}");
    }
    assert_eq!(last, 429);
    assert_eq!(harness.log_in_from("203.0.113.200", "ann", PASSWORD).await.status(), 429);
    assert_eq!(harness.log_in_from("192.0.2.1", "ann", "wrong").await.status(), 401);
    assert_eq!(harness.log_in_from("192.0.2.1", "ann", PASSWORD).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn client_address_header_is_ignored_without_a_trusted_proxy() {
    let harness = Harness::start().await;
    for n in 1..=5 {
        assert_eq!(harness.log_in_from(&format!("203.0.113.{n}"), "ann", "wrong").await.status(), 401);
    }
    assert_eq!(harness.log_in_from("203.0.113.6", "ann", "wrong").await.status(), 429);
    assert_eq!(harness.log_in_from("203.0.113.7", "ann", PASSWORD).await.status(), 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_concurrent_attempts_five_are_verified() {
    let harness = Harness::start().await;
    harness.admin().await;
    let logins = join_all((0..100).map(|_| harness.log_in("ann", "wrong"))).await;
    let statuses: Vec<u16> = logins.into_iter().map(|login| refusal(login).0).collect();
    let verified = statuses.iter().filter(|status| **status == 401).count();
    assert_eq!(verified, 5, "{statuses:?}");
    assert!(statuses.iter().all(|status| [401, 429, 503].contains(status)), "{statuses:?}");
    harness.admin().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn login_renews_a_hash_with_outdated_parameters() {
    let harness = Harness::start().await;
    let admin = harness.admin().await;
    let created = create_account(&admin, "ann", Role::Viewer).await;
    let outdated = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8_192, 1, 1, None).unwrap());
    let outdated = outdated.hash_password(NEW.as_bytes()).unwrap().to_string();
    harness.sql(&format!("UPDATE operators SET password_hash = '{outdated}' WHERE id = {}", created.id)).await;
    assert_eq!(
        harness.query_integer("SELECT COUNT(*) FROM operators WHERE password_hash LIKE '%m=19456,t=2,p=1%'").await,
        1
    );
    harness.log_in("ann", NEW).await.unwrap();
    assert_eq!(
        harness.query_integer("SELECT COUNT(*) FROM operators WHERE password_hash LIKE '%m=19456,t=2,p=1%'").await,
        2
    );
    harness.log_in("ann", NEW).await.unwrap();
    assert_eq!(admin.operator_view().id(created.id).send().await.unwrap().into_inner(), created);
}
