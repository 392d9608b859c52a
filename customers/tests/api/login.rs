//! Logging in: the first admin, what is told to whoever cannot, and how often one may guess.

use std::collections::BTreeSet;

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use client_common::Outbound;
use customers_client::Client;
use customers_client::types::{Credentials, OperatorPatch, PasswordChange, Role};
use futures::future::join_all;
use reqwest::header::RETRY_AFTER;
use serde_json::Value;

use crate::harness::{Harness, PASSWORD, USER, make_operator, refusal, refused};

const NEW: &str = "staple of the harbour";

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_of_the_settings_becomes_the_first_admin_at_the_first_login() {
    let harness = Harness::start().await;
    let rows = harness.operator().await.operator_list().send().await.unwrap().into_inner().data;
    let [admin] = rows.as_slice() else { panic!("expected one operator, got {rows:?}") };
    assert_eq!((admin.username.as_str(), admin.role, admin.active, admin.version), (USER, Role::Admin, true, 1));
    harness.operator().await;
    assert_eq!(harness.operator().await.operator_list().send().await.unwrap().data.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_make_the_first_admin_at_once_make_one() {
    let harness = Harness::start().await;
    let replicas = [harness.replica(), harness.replica(), harness.replica()];
    let log_in = async |base: String| {
        let client = Client::new_with_client(&base, harness.http().clone(), Outbound::new());
        let credentials = Credentials::builder().username(USER).password(PASSWORD);
        client.token_create().body(credentials).send().await.map(|_| ())
    };
    let logins = (0..12).map(|n| log_in(replicas[n % 3].base_url()));
    for answer in join_all(logins).await {
        answer.unwrap();
    }
    assert_eq!(harness.operator().await.operator_list().send().await.unwrap().data.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_stays_changed_whatever_the_settings_say() {
    let harness = Harness::start().await;
    let change = PasswordChange::builder().current_password(PASSWORD).new_password(NEW);
    harness.operator().await.password_update().body(change).send().await.unwrap();
    assert_eq!(refusal(harness.log_in(USER, PASSWORD).await), refused(401, "unauthorized"));
    harness.log_in(USER, NEW).await.unwrap();
    let server = harness.replica();
    let replica = Client::new_with_client(&server.base_url(), harness.http().clone(), Outbound::new());
    let with = |password: &str| Credentials::builder().username(USER).password(password);
    let answer = replica.token_create().body(with(PASSWORD)).send().await;
    assert_eq!(refusal(answer), refused(401, "unauthorized"));
    replica.token_create().body(with(NEW)).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_admin_is_left_the_settings_bring_one_back() {
    let harness = Harness::start().await;
    make_operator(&harness.operator().await, "ann", Role::Admin).await;
    harness.sql("UPDATE operators SET active = FALSE WHERE username = 'admin'").await;
    assert_eq!(refusal(harness.log_in(USER, PASSWORD).await), refused(401, "unauthorized"));
    harness.sql("UPDATE operators SET role = 'viewer' WHERE username = 'ann'").await;
    assert_eq!(refusal(harness.log_in(USER, "another password").await), refused(401, "unauthorized"));
    let rows = harness.operator().await.operator_list().send().await.unwrap().into_inner().data;
    let shown: Vec<_> = rows.iter().map(|row| (row.username.as_str(), row.role, row.active)).collect();
    assert_eq!(shown, [("ann", Role::Viewer, true), (USER, Role::Admin, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_logs_in_whatever_the_case_of_the_name_and_gets_the_operators_role() {
    let harness = Harness::start().await;
    make_operator(&harness.operator().await, "Ann", Role::Viewer).await;
    for name in ["Ann", "ann", "ANN"] {
        let client = harness.logged_in(name, PASSWORD).await;
        assert!(client.customer_list().send().await.is_ok());
        assert_eq!(refusal(client.customer_delete().id(1).send().await), refused(403, "forbidden"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_anything_else_in_it_is_nobodys_and_counts_as_one_whatever_its_spelling() {
    let harness = Harness::behind_a_proxy().await;
    make_operator(&harness.operator().await, "ann", Role::Operator).await;
    let spellings = ["ann ", "ann   ", " ann", "Ann ", "ann\u{a0}", "\u{ff41}nn", "a\u{308}nn", "ann\u{200b}", "żółć"];
    for (n, name) in spellings.iter().enumerate() {
        let answer = harness.log_in_from(&format!("203.0.113.{n}"), name, PASSWORD).await;
        assert_eq!(answer.status(), 401, "{name:?}");
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

/// Everything of an answer that does not name the request itself.
async fn answer(answer: reqwest::Response) -> (u16, BTreeSet<String>, Option<String>, Value) {
    let headers = answer.headers().keys().map(ToString::to_string).collect();
    let wait = answer.headers().get(RETRY_AFTER).map(|wait| wait.to_str().unwrap().to_owned());
    let status = answer.status().as_u16();
    let mut body: Value = answer.json().await.unwrap();
    body["request_id"] = Value::Null;
    (status, headers, wait, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_name_a_wrong_password_and_a_deactivated_operator_are_answered_alike_until_the_throttle() {
    let harness = Harness::behind_a_proxy().await;
    let admin = harness.operator().await;
    make_operator(&admin, "ann", Role::Operator).await;
    let gone = make_operator(&admin, "bob", Role::Operator).await;
    admin.operator_update().id(gone.id).body(OperatorPatch::builder().active(false)).send().await.unwrap();
    let others = [("nobody", PASSWORD), ("bob", PASSWORD), ("żółć", PASSWORD)];
    for n in 1..=7 {
        let wrong = answer(harness.log_in_from("203.0.113.1", "ann", "wrong").await).await;
        let status = if n <= 5 { 401 } else { 429 };
        assert_eq!(wrong.0, status, "{n}");
        for (m, (username, password)) in others.iter().enumerate() {
            let address = format!("203.0.113.{}", m + 2);
            let other = answer(harness.log_in_from(&address, username, password).await).await;
            assert_eq!((other.0, &other.1, &other.3), (wrong.0, &wrong.1, &wrong.3), "{username} {n}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_five_wrong_passwords_an_address_waits_and_the_right_one_is_not_looked_at() {
    let harness = Harness::behind_a_proxy().await;
    make_operator(&harness.operator().await, "ann", Role::Operator).await;
    for _ in 0..5 {
        assert_eq!(harness.log_in_from("203.0.113.1", "ann", "wrong").await.status(), 401);
    }
    let (status, _, wait, body) = answer(harness.log_in_from("203.0.113.1", "ANN", PASSWORD).await).await;
    assert_eq!((status, body["error_code"].as_str()), (429, Some("too_many_attempts")));
    assert!((1..=30).contains(&wait.unwrap().parse::<u64>().unwrap()));
    assert_eq!(harness.log_in_from("203.0.113.2", "ann", PASSWORD).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_password_forgives_the_wrong_ones_before_it() {
    let harness = Harness::behind_a_proxy().await;
    make_operator(&harness.operator().await, "ann", Role::Operator).await;
    for _ in 0..2 {
        for _ in 0..4 {
            assert_eq!(harness.log_in_from("203.0.113.1", "ann", "wrong").await.status(), 401);
        }
        assert_eq!(harness.log_in_from("203.0.113.1", "ann", PASSWORD).await.status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_from_everywhere_do_not_lock_an_owner_out() {
    let harness = Harness::behind_a_proxy().await;
    make_operator(&harness.operator().await, "ann", Role::Operator).await;
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
async fn what_a_client_says_of_its_address_counts_for_nothing_without_a_trusted_proxy() {
    let harness = Harness::start().await;
    for n in 1..=5 {
        assert_eq!(harness.log_in_from(&format!("203.0.113.{n}"), "ann", "wrong").await.status(), 401);
    }
    assert_eq!(harness.log_in_from("203.0.113.6", "ann", "wrong").await.status(), 429);
    assert_eq!(harness.log_in_from("203.0.113.7", "ann", PASSWORD).await.status(), 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_guesses_at_once_five_are_looked_at() {
    let harness = Harness::start().await;
    harness.operator().await;
    let guesses = join_all((0..100).map(|_| harness.log_in("ann", "wrong"))).await;
    let statuses: Vec<u16> = guesses.into_iter().map(|guess| refusal(guess).0).collect();
    let looked_at = statuses.iter().filter(|status| **status == 401).count();
    assert_eq!(looked_at, 5, "{statuses:?}");
    assert!(statuses.iter().all(|status| [401, 429, 503].contains(status)), "{statuses:?}");
    harness.operator().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_with_older_parameters_is_renewed_at_the_next_login() {
    let harness = Harness::start().await;
    let admin = harness.operator().await;
    let made = make_operator(&admin, "ann", Role::Viewer).await;
    let older = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8_192, 1, 1, None).unwrap());
    let older = older.hash_password(NEW.as_bytes()).unwrap().to_string();
    harness.sql(&format!("UPDATE operators SET password_hash = '{older}' WHERE id = {}", made.id)).await;
    assert_eq!(harness.number("SELECT COUNT(*) FROM operators WHERE password_hash LIKE '%m=19456,t=2,p=1%'").await, 1);
    harness.log_in("ann", NEW).await.unwrap();
    assert_eq!(harness.number("SELECT COUNT(*) FROM operators WHERE password_hash LIKE '%m=19456,t=2,p=1%'").await, 2);
    harness.log_in("ann", NEW).await.unwrap();
    assert_eq!(admin.operator_view().id(made.id).send().await.unwrap().into_inner(), made);
}
