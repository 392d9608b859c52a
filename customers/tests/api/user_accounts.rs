//! User account operations for admins.

use client_common::Retry;
use customers_client::Client;
use customers_client::types::{OperatorAccount, OperatorInput, OperatorPatch, Role};
use futures::TryStreamExt;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Harness, PASSWORD, USER, create_account, refusal, refused};

async fn change(
    client: &Client,
    id: i64,
    patch: customers_client::types::builder::OperatorPatch,
) -> Result<OperatorAccount, (u16, Option<String>)> {
    match client.operator_update().id(id).body(patch).send().await {
        Ok(response) => Ok(response.into_inner()),
        refused => Err(refusal(refused)),
    }
}

fn role(role: Role) -> customers_client::types::builder::OperatorPatch {
    OperatorPatch::builder().role(role)
}

async fn id_of(client: &Client, username: &str) -> i64 {
    let rows: Vec<_> = client.operator_list().rows(Retry::default()).try_collect().await.unwrap();
    rows.iter().find(|row| row.username == username).unwrap().id
}

#[tokio::test(flavor = "multi_thread")]
async fn created_account_has_location_and_etag_but_no_password() {
    let harness = Harness::start().await;
    let admin = harness.admin().await;
    let new = OperatorInput::builder().username("Ann").password(PASSWORD).role(Role::Operator);
    let response = admin.operator_create().body(new).send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["location"], format!("/operators/{}", response.id));
    assert_eq!(response.headers()["etag"], "\"v1\"");
    let body = serde_json::to_value(&*response).unwrap();
    let mut fields: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["active", "created_at", "id", "role", "updated_at", "username", "version"]);
    assert_eq!((response.username.as_str(), response.role, response.active), ("Ann", Role::Operator, true));
    assert_eq!(admin.operator_view().id(response.id).send().await.unwrap().into_inner(), response.into_inner());
    assert_eq!(refusal(admin.operator_view().id(i64::MAX).send().await), refused(404, "operator_not_found"));
    assert_eq!(change(&admin, i64::MAX, role(Role::Viewer)).await, Err(refused(404, "operator_not_found")));
}

#[tokio::test(flavor = "multi_thread")]
async fn username_is_unique_regardless_of_case() {
    let harness = Harness::start().await;
    let admin = harness.admin().await;
    let new = |name: &str| OperatorInput::builder().username(name).password(PASSWORD).role(Role::Viewer);
    let names = ["ann", "Ann", "aNn", "ANN"];
    let responses = join_all(names.map(|name| admin.operator_create().body(new(name)).send())).await;
    let (created, refusals): (Vec<_>, Vec<_>) = responses.into_iter().partition(Result::is_ok);
    assert_eq!((created.len(), refusals.len()), (1, 3));
    for response in refusals {
        assert_eq!(refusal(response), refused(409, "username_taken"));
    }
    assert_eq!(refusal(admin.operator_create().body(new("ADMIN")).send().await), refused(409, "username_taken"));
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_account_is_rejected_and_the_error_names_the_field() {
    let harness = Harness::start().await;
    let token = harness.token().await;
    let long = "x".repeat(65);
    let valid = json!({ "username": "ann", "password": PASSWORD, "role": "viewer" });
    let invalid = [
        ("username", json!("")),
        ("username", json!("ann lee")),
        ("username", json!("żółć")),
        ("username", json!(long)),
        ("password", json!("eleven char")),
        ("password", json!("x".repeat(201))),
        ("password", json!("            ")),
        ("role", json!("root")),
        ("active", json!(true)),
    ];
    for (field, value) in invalid {
        let mut body = valid.clone();
        body[field] = value.clone();
        let request = harness.http().post(harness.url("/operators")).bearer_auth(&token).json(&body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 400, "{field} {value}");
        let body: Value = response.json().await.unwrap();
        assert_eq!((&body["error_code"], &body["details"][0]["field"]), (&json!("invalid_request"), &json!(field)));
    }
    let admin = harness.admin().await;
    let named = OperatorInput::builder().username("LongEnoughName").password("longenoughNAME").role(Role::Viewer);
    assert_eq!(refusal(admin.operator_create().body(named).send().await), refused(400, "invalid_request"));
    let ann = create_account(&admin, "a-rather-long-name", Role::Viewer).await;
    let named = OperatorPatch::builder()
        .password("A-rather-long-name".parse::<customers_client::types::OperatorPatchPassword>().unwrap());
    assert_eq!(change(&admin, ann.id, named).await, Err(refused(400, "invalid_request")));
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_if_match_is_rejected_and_absent_fields_stay() {
    let harness = Harness::start().await;
    let admin = harness.admin().await;
    let ann = create_account(&admin, "ann", Role::Viewer).await;
    let update = |tag: &str| admin.operator_update().id(ann.id).if_match(tag).body(role(Role::Operator)).send();
    let response = update("\"v1\"").await.unwrap();
    assert_eq!(response.headers()["etag"], "\"v2\"");
    assert_eq!((response.role, response.active, response.version), (Role::Operator, true, 2));
    assert!(response.updated_at > ann.updated_at);
    assert_eq!(refusal(update("\"v1\"").await), refused(412, "precondition_failed"));
    let unchanged = change(&admin, ann.id, OperatorPatch::builder()).await.unwrap();
    assert_eq!(unchanged, response.into_inner());
}

#[tokio::test(flavor = "multi_thread")]
async fn password_set_by_an_admin_replaces_the_old_one() {
    let harness = Harness::start().await;
    let admin = harness.admin().await;
    let ann = create_account(&admin, "ann", Role::Viewer).await;
    let password = "staple of the harbour";
    let patch =
        OperatorPatch::builder().password(password.parse::<customers_client::types::OperatorPatchPassword>().unwrap());
    change(&admin, ann.id, patch).await.unwrap();
    assert_eq!(refusal(harness.log_in("ann", PASSWORD).await), refused(401, "unauthorized"));
    harness.log_in("ann", password).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn former_admin_with_a_valid_token_cannot_manage_accounts() {
    let harness = Harness::start().await;
    let admin = harness.admin().await;
    for (name, patch) in [("ann", role(Role::Operator)), ("bob", OperatorPatch::builder().active(false))] {
        let created = create_account(&admin, name, Role::Admin).await;
        let former = harness.logged_in(name, PASSWORD).await;
        assert!(former.operator_list().send().await.is_ok());
        change(&admin, created.id, patch).await.unwrap();
        let forbidden = refused(403, "forbidden");
        let new = OperatorInput::builder().username("eve").password(PASSWORD).role(Role::Admin);
        assert_eq!(refusal(former.operator_create().body(new).send().await), forbidden);
        assert_eq!(refusal(former.operator_view().id(created.id).send().await), forbidden);
        assert_eq!(refusal(former.operator_list().send().await), forbidden);
        assert_eq!(change(&former, created.id, role(Role::Admin)).await, Err(forbidden));
    }
    assert_eq!(admin.operator_list().send().await.unwrap().data.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn last_active_admin_cannot_be_demoted_or_deactivated() {
    let harness = Harness::start().await;
    let admin = harness.admin().await;
    let own_id = id_of(&admin, USER).await;
    let last = Err(refused(409, "last_admin"));
    assert_eq!(change(&admin, own_id, role(Role::Operator)).await, last);
    assert_eq!(change(&admin, own_id, OperatorPatch::builder().active(false)).await, last);
    let ann = create_account(&admin, "ann", Role::Admin).await;
    change(&admin, ann.id, OperatorPatch::builder().active(false)).await.unwrap();
    assert_eq!(change(&admin, own_id, role(Role::Viewer)).await, last, "an inactive admin does not count");
    change(&admin, ann.id, OperatorPatch::builder().active(true)).await.unwrap();
    assert_eq!(change(&admin, own_id, role(Role::Viewer)).await.unwrap().role, Role::Viewer);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_two_admins_demote_each_other_one_succeeds() {
    let harness = Harness::start().await;
    let admin = harness.admin().await;
    let own_id = id_of(&admin, USER).await;
    let mut ann = create_account(&admin, "ann", Role::Admin).await;
    let other = harness.logged_in("ann", PASSWORD).await;
    for _ in 0..10 {
        let demote = || role(Role::Operator);
        let (one, two) = tokio::join!(change(&admin, ann.id, demote()), change(&other, own_id, demote()));
        let (winner, id) = match (&one, &two) {
            (Ok(_), Err(refusal)) if *refusal == refused(403, "forbidden") => (&admin, ann.id),
            (Err(refusal), Ok(_)) if *refusal == refused(403, "forbidden") => (&other, own_id),
            _ => panic!("expected one to succeed, got {one:?} and {two:?}"),
        };
        ann = change(winner, id, role(Role::Admin)).await.unwrap();
        ann.id = id_of(&admin, "ann").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_two_admins_deactivate_themselves_one_remains() {
    let harness = Harness::start().await;
    let admin = harness.admin().await;
    let own_id = id_of(&admin, USER).await;
    let ann = create_account(&admin, "ann", Role::Admin).await.id;
    let other = harness.logged_in("ann", PASSWORD).await;
    for _ in 0..10 {
        let deactivate = || OperatorPatch::builder().active(false);
        let (one, two) = tokio::join!(change(&admin, own_id, deactivate()), change(&other, ann, deactivate()));
        let (remaining, deactivated) = match (&one, &two) {
            (Ok(_), Err(refusal)) if *refusal == refused(409, "last_admin") => (&other, own_id),
            (Err(refusal), Ok(_)) if *refusal == refused(409, "last_admin") => (&admin, ann),
            _ => panic!("expected one to remain, got {one:?} and {two:?}"),
        };
        change(remaining, deactivated, OperatorPatch::builder().active(true)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_listed_newest_first_in_pages() {
    let harness = Harness::start().await;
    let admin = harness.admin().await;
    for n in 0..4 {
        create_account(&admin, &format!("user{n}"), Role::Viewer).await;
    }
    let rows: Vec<_> = admin.operator_list().limit(2).rows(Retry::default()).try_collect().await.unwrap();
    let names: Vec<_> = rows.iter().map(|row| row.username.as_str()).collect();
    assert_eq!(names, ["user3", "user2", "user1", "user0", USER]);
    let customers = admin.customer_list().limit(1).send().await.unwrap().into_inner();
    assert!(customers.data.is_empty());
    assert_eq!(refusal(admin.operator_list().cursor("x").send().await), refused(400, "invalid_cursor"));
}
