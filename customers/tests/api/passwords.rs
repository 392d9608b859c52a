//! Password changes by the account owner.

use argon2::Argon2;
use argon2::password_hash::PasswordHasher;
use customers_client::Client;
use customers_client::types::{OperatorInput, OperatorPatch, PasswordChange, Role};

use crate::harness::{Harness, PASSWORD, create_account, refusal, refused};

const NEW: &str = "staple of the harbour";
/// One password in two normal forms.
const COMPOSED: &str = "crème brûlée às três";
const DECOMPOSED: &str = "cre\u{300}me bru\u{302}le\u{301}e a\u{300}s tre\u{302}s";

async fn change(client: &Client, current: &str, new: &str) -> Result<u16, (u16, Option<String>)> {
    let change = PasswordChange::builder().current_password(current).new_password(new);
    match client.password_update().body(change).send().await {
        Ok(response) => Ok(response.status().as_u16()),
        refused => Err(refusal(refused)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_can_change_its_own_password() {
    let harness = Harness::start().await;
    let admin = harness.admin().await;
    for (name, role) in [("ann", Role::Viewer), ("bob", Role::Operator), ("eve", Role::Admin)] {
        let created = create_account(&admin, name, role).await;
        let client = harness.logged_in(name, PASSWORD).await;
        assert_eq!(change(&client, PASSWORD, NEW).await, Ok(204));
        assert_eq!(refusal(harness.log_in(name, PASSWORD).await), refused(401, "unauthorized"));
        harness.log_in(name, NEW).await.unwrap();
        assert_eq!(admin.operator_view().id(created.id).send().await.unwrap().version, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_current_password_is_reported_and_throttled_like_a_login() {
    let harness = Harness::start().await;
    create_account(&harness.admin().await, "ann", Role::Viewer).await;
    let client = harness.logged_in("ann", PASSWORD).await;
    for _ in 0..5 {
        assert_eq!(change(&client, "wrong", NEW).await, Err(refused(403, "wrong_password")));
    }
    assert_eq!(change(&client, PASSWORD, NEW).await, Err(refused(429, "too_many_attempts")));
    assert_eq!(refusal(harness.log_in("ann", PASSWORD).await), refused(429, "too_many_attempts"));
}

#[tokio::test(flavor = "multi_thread")]
async fn password_equal_to_the_username_is_rejected() {
    let harness = Harness::start().await;
    create_account(&harness.admin().await, "a-rather-long-name", Role::Viewer).await;
    let client = harness.logged_in("a-rather-long-name", PASSWORD).await;
    assert_eq!(change(&client, PASSWORD, "A-Rather-Long-Name").await, Err(refused(400, "invalid_request")));
}

#[tokio::test(flavor = "multi_thread")]
async fn deactivated_account_cannot_change_its_password() {
    let harness = Harness::start().await;
    let admin = harness.admin().await;
    let ann = create_account(&admin, "ann", Role::Viewer).await;
    let client = harness.logged_in("ann", PASSWORD).await;
    admin.operator_update().id(ann.id).body(OperatorPatch::builder().active(false)).send().await.unwrap();
    assert_eq!(change(&client, PASSWORD, NEW).await, Err(refused(403, "forbidden")));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_concurrent_password_changes_one_succeeds() {
    let harness = Harness::start().await;
    create_account(&harness.admin().await, "ann", Role::Viewer).await;
    let client = harness.logged_in("ann", PASSWORD).await;
    let (one, two) = tokio::join!(change(&client, PASSWORD, NEW), change(&client, PASSWORD, "another horse battery"));
    let wrong = Err(refused(403, "wrong_password"));
    assert!((one == Ok(204) && two == wrong) || (one == wrong && two == Ok(204)), "{one:?} {two:?}");
    let now = if one.is_ok() { NEW } else { "another horse battery" };
    harness.log_in("ann", now).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn password_is_the_same_in_composed_and_decomposed_form() {
    let harness = Harness::start().await;
    let admin = harness.admin().await;
    for (name, set) in [("ann", COMPOSED), ("bob", DECOMPOSED)] {
        let new = OperatorInput::builder().username(name).password(set).role(Role::Viewer);
        admin.operator_create().body(new).send().await.unwrap();
        for form in [COMPOSED, DECOMPOSED] {
            harness.log_in(name, form).await.unwrap();
        }
        let client = harness.logged_in(name, DECOMPOSED).await;
        assert_eq!(change(&client, COMPOSED, NEW).await, Ok(204));
        assert_eq!(change(&client, NEW, DECOMPOSED).await, Ok(204));
        harness.log_in(name, COMPOSED).await.unwrap();
        assert_eq!(refusal(harness.log_in(name, "creme brulee as tres").await), refused(401, "unauthorized"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hash_of_an_unnormalised_password_works_and_is_renewed() {
    let harness = Harness::start().await;
    create_account(&harness.admin().await, "ann", Role::Viewer).await;
    let hash = Argon2::default().hash_password(DECOMPOSED.as_bytes()).unwrap().to_string();
    harness.sql(&format!("UPDATE operators SET password_hash = '{hash}' WHERE username = 'ann'")).await;
    harness.log_in("ann", DECOMPOSED).await.unwrap();
    harness.log_in("ann", COMPOSED).await.unwrap();
    assert_eq!(
        harness.query_integer(&format!("SELECT COUNT(*) FROM operators WHERE password_hash = '{hash}'")).await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn length_of_a_new_password_is_counted_in_composed_characters() {
    let harness = Harness::start().await;
    create_account(&harness.admin().await, "ann", Role::Viewer).await;
    let client = harness.logged_in("ann", PASSWORD).await;
    let short = "e\u{301}".repeat(11);
    assert_eq!(change(&client, PASSWORD, &short).await, Err(refused(400, "invalid_request")));
    assert_eq!(change(&client, PASSWORD, &"e\u{301}".repeat(12)).await, Ok(204));
}
