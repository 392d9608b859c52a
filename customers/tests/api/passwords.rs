//! Changing one's own password.

use customers_client::Client;
use customers_client::types::{OperatorPatch, PasswordChange, Role};

use crate::harness::{Harness, PASSWORD, make_operator, refusal, refused};

const NEW: &str = "staple of the harbour";

async fn change(client: &Client, current: &str, new: &str) -> Result<u16, (u16, Option<String>)> {
    let change = PasswordChange::builder().current_password(current).new_password(new);
    match client.password_update().body(change).send().await {
        Ok(answer) => Ok(answer.status().as_u16()),
        refused => Err(refusal(refused)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_logged_in_may_change_their_own_password() {
    let harness = Harness::start().await;
    let admin = harness.operator().await;
    for (name, role) in [("ann", Role::Viewer), ("bob", Role::Operator), ("eve", Role::Admin)] {
        let made = make_operator(&admin, name, role).await;
        let client = harness.logged_in(name, PASSWORD).await;
        assert_eq!(change(&client, PASSWORD, NEW).await, Ok(204));
        assert_eq!(refusal(harness.log_in(name, PASSWORD).await), refused(401, "unauthorized"));
        harness.log_in(name, NEW).await.unwrap();
        assert_eq!(admin.operator_view().id(made.id).send().await.unwrap().version, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_current_password_is_told_and_throttled_like_a_login() {
    let harness = Harness::start().await;
    make_operator(&harness.operator().await, "ann", Role::Viewer).await;
    let client = harness.logged_in("ann", PASSWORD).await;
    for _ in 0..5 {
        assert_eq!(change(&client, "wrong", NEW).await, Err(refused(403, "wrong_password")));
    }
    assert_eq!(change(&client, PASSWORD, NEW).await, Err(refused(429, "too_many_attempts")));
    assert_eq!(refusal(harness.log_in("ann", PASSWORD).await), refused(429, "too_many_attempts"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_the_operators_name_is_refused() {
    let harness = Harness::start().await;
    make_operator(&harness.operator().await, "a-rather-long-name", Role::Viewer).await;
    let client = harness.logged_in("a-rather-long-name", PASSWORD).await;
    assert_eq!(change(&client, PASSWORD, "A-Rather-Long-Name").await, Err(refused(400, "invalid_request")));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_deactivated_changes_nothing_with_an_old_token() {
    let harness = Harness::start().await;
    let admin = harness.operator().await;
    let ann = make_operator(&admin, "ann", Role::Viewer).await;
    let client = harness.logged_in("ann", PASSWORD).await;
    admin.operator_update().id(ann.id).body(OperatorPatch::builder().active(false)).send().await.unwrap();
    assert_eq!(change(&client, PASSWORD, NEW).await, Err(refused(403, "forbidden")));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_at_once_one_holds() {
    let harness = Harness::start().await;
    make_operator(&harness.operator().await, "ann", Role::Viewer).await;
    let client = harness.logged_in("ann", PASSWORD).await;
    let (one, two) = tokio::join!(change(&client, PASSWORD, NEW), change(&client, PASSWORD, "another horse battery"));
    let wrong = Err(refused(403, "wrong_password"));
    assert!((one == Ok(204) && two == wrong) || (one == wrong && two == Ok(204)), "{one:?} {two:?}");
    let now = if one.is_ok() { NEW } else { "another horse battery" };
    harness.log_in("ann", now).await.unwrap();
}
