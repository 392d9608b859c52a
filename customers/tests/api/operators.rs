//! What an admin may do to operators.

use client_common::Retry;
use customers_client::Client;
use customers_client::types::{NewOperator, OperatorAccount, OperatorPatch, Role};
use futures::TryStreamExt;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Harness, PASSWORD, USER, make_operator, refusal, refused};

async fn change(
    client: &Client,
    id: i64,
    patch: customers_client::types::builder::OperatorPatch,
) -> Result<OperatorAccount, (u16, Option<String>)> {
    match client.operator_update().id(id).body(patch).send().await {
        Ok(answer) => Ok(answer.into_inner()),
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
async fn a_new_operator_is_answered_with_its_place_and_version_and_nothing_of_the_password() {
    let harness = Harness::start().await;
    let admin = harness.operator().await;
    let new = NewOperator::builder().username("Ann").password(PASSWORD).role(Role::Operator);
    let answer = admin.operator_create().body(new).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["location"], format!("/operators/{}", answer.id));
    assert_eq!(answer.headers()["etag"], "\"v1\"");
    let body = serde_json::to_value(&*answer).unwrap();
    let mut fields: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["active", "created_at", "id", "role", "updated_at", "username", "version"]);
    assert_eq!((answer.username.as_str(), answer.role, answer.active), ("Ann", Role::Operator, true));
    assert_eq!(admin.operator_view().id(answer.id).send().await.unwrap().into_inner(), answer.into_inner());
    assert_eq!(refusal(admin.operator_view().id(i64::MAX).send().await), refused(404, "operator_not_found"));
    assert_eq!(change(&admin, i64::MAX, role(Role::Viewer)).await, Err(refused(404, "operator_not_found")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_belongs_to_one_operator_whatever_its_case() {
    let harness = Harness::start().await;
    let admin = harness.operator().await;
    let new = |name: &str| NewOperator::builder().username(name).password(PASSWORD).role(Role::Viewer);
    let names = ["ann", "Ann", "aNn", "ANN"];
    let results = join_all(names.map(|name| admin.operator_create().body(new(name)).send())).await;
    let (made, refusals): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), refusals.len()), (1, 3));
    for answer in refusals {
        assert_eq!(refusal(answer), refused(409, "username_taken"));
    }
    assert_eq!(refusal(admin.operator_create().body(new("ADMIN")).send().await), refused(409, "username_taken"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_new_operator_is_told_by_the_name_of_the_field() {
    let harness = Harness::start().await;
    let token = harness.token().await;
    let long = "x".repeat(65);
    let good = json!({ "username": "ann", "password": PASSWORD, "role": "viewer" });
    let bad = [
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
    for (field, value) in bad {
        let mut body = good.clone();
        body[field] = value.clone();
        let request = harness.http().post(harness.url("/operators")).bearer_auth(&token).json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 400, "{field} {value}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!((&body["error_code"], &body["details"][0]["field"]), (&json!("invalid_request"), &json!(field)));
    }
    let admin = harness.operator().await;
    let named = NewOperator::builder().username("LongEnoughName").password("longenoughNAME").role(Role::Viewer);
    assert_eq!(refusal(admin.operator_create().body(named).send().await), refused(400, "invalid_request"));
    let ann = make_operator(&admin, "a-rather-long-name", Role::Viewer).await;
    let named = OperatorPatch::builder()
        .password("A-rather-long-name".parse::<customers_client::types::OperatorPatchPassword>().unwrap());
    assert_eq!(change(&admin, ann.id, named).await, Err(refused(400, "invalid_request")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_holds_only_for_the_version_that_the_caller_saw_and_changes_what_it_names() {
    let harness = Harness::start().await;
    let admin = harness.operator().await;
    let ann = make_operator(&admin, "ann", Role::Viewer).await;
    let update = |tag: &str| admin.operator_update().id(ann.id).if_match(tag).body(role(Role::Operator)).send();
    let answer = update("\"v1\"").await.unwrap();
    assert_eq!(answer.headers()["etag"], "\"v2\"");
    assert_eq!((answer.role, answer.active, answer.version), (Role::Operator, true, 2));
    assert!(answer.updated_at > ann.updated_at);
    assert_eq!(refusal(update("\"v1\"").await), refused(412, "precondition_failed"));
    let unchanged = change(&admin, ann.id, OperatorPatch::builder()).await.unwrap();
    assert_eq!(unchanged, answer.into_inner());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_an_admin_sets_holds_from_then_on() {
    let harness = Harness::start().await;
    let admin = harness.operator().await;
    let ann = make_operator(&admin, "ann", Role::Viewer).await;
    let password = "staple of the harbour";
    let patch =
        OperatorPatch::builder().password(password.parse::<customers_client::types::OperatorPatchPassword>().unwrap());
    change(&admin, ann.id, patch).await.unwrap();
    assert_eq!(refusal(harness.log_in("ann", PASSWORD).await), refused(401, "unauthorized"));
    harness.log_in("ann", password).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_no_active_admin_any_more_manages_nobody_though_the_token_says_so() {
    let harness = Harness::start().await;
    let admin = harness.operator().await;
    for (name, patch) in [("ann", role(Role::Operator)), ("bob", OperatorPatch::builder().active(false))] {
        let made = make_operator(&admin, name, Role::Admin).await;
        let former = harness.logged_in(name, PASSWORD).await;
        assert!(former.operator_list().send().await.is_ok());
        change(&admin, made.id, patch).await.unwrap();
        let forbidden = refused(403, "forbidden");
        let new = NewOperator::builder().username("eve").password(PASSWORD).role(Role::Admin);
        assert_eq!(refusal(former.operator_create().body(new).send().await), forbidden);
        assert_eq!(refusal(former.operator_view().id(made.id).send().await), forbidden);
        assert_eq!(refusal(former.operator_list().send().await), forbidden);
        assert_eq!(change(&former, made.id, role(Role::Admin)).await, Err(forbidden));
    }
    assert_eq!(admin.operator_list().send().await.unwrap().data.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_active_admin_stays_one() {
    let harness = Harness::start().await;
    let admin = harness.operator().await;
    let own = id_of(&admin, USER).await;
    let last = Err(refused(409, "last_admin"));
    assert_eq!(change(&admin, own, role(Role::Operator)).await, last);
    assert_eq!(change(&admin, own, OperatorPatch::builder().active(false)).await, last);
    let ann = make_operator(&admin, "ann", Role::Admin).await;
    change(&admin, ann.id, OperatorPatch::builder().active(false)).await.unwrap();
    assert_eq!(change(&admin, own, role(Role::Viewer)).await, last, "an admin who is not active does not count");
    change(&admin, ann.id, OperatorPatch::builder().active(true)).await.unwrap();
    assert_eq!(change(&admin, own, role(Role::Viewer)).await.unwrap().role, Role::Viewer);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_admins_who_take_each_others_role_at_once_one_wins() {
    let harness = Harness::start().await;
    let admin = harness.operator().await;
    let own = id_of(&admin, USER).await;
    let mut ann = make_operator(&admin, "ann", Role::Admin).await;
    let other = harness.logged_in("ann", PASSWORD).await;
    for _ in 0..10 {
        let demoted = || role(Role::Operator);
        let (one, two) = tokio::join!(change(&admin, ann.id, demoted()), change(&other, own, demoted()));
        let (winner, id) = match (&one, &two) {
            (Ok(_), Err(refusal)) if *refusal == refused(403, "forbidden") => (&admin, ann.id),
            (Err(refusal), Ok(_)) if *refusal == refused(403, "forbidden") => (&other, own),
            _ => panic!("expected one to win, got {one:?} and {two:?}"),
        };
        ann = change(winner, id, role(Role::Admin)).await.unwrap();
        ann.id = id_of(&admin, "ann").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_admins_who_step_down_at_once_one_stays() {
    let harness = Harness::start().await;
    let admin = harness.operator().await;
    let own = id_of(&admin, USER).await;
    let ann = make_operator(&admin, "ann", Role::Admin).await.id;
    let other = harness.logged_in("ann", PASSWORD).await;
    for _ in 0..10 {
        let down = || OperatorPatch::builder().active(false);
        let (one, two) = tokio::join!(change(&admin, own, down()), change(&other, ann, down()));
        let (stayed, gone) = match (&one, &two) {
            (Ok(_), Err(refusal)) if *refusal == refused(409, "last_admin") => (&other, own),
            (Err(refusal), Ok(_)) if *refusal == refused(409, "last_admin") => (&admin, ann),
            _ => panic!("expected one to stay, got {one:?} and {two:?}"),
        };
        change(stayed, gone, OperatorPatch::builder().active(true)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_are_listed_newest_first_a_page_at_a_time() {
    let harness = Harness::start().await;
    let admin = harness.operator().await;
    for n in 0..4 {
        make_operator(&admin, &format!("user{n}"), Role::Viewer).await;
    }
    let rows: Vec<_> = admin.operator_list().limit(2).rows(Retry::default()).try_collect().await.unwrap();
    let names: Vec<_> = rows.iter().map(|row| row.username.as_str()).collect();
    assert_eq!(names, ["user3", "user2", "user1", "user0", USER]);
    let elsewhere = admin.customer_list().limit(1).send().await.unwrap().into_inner();
    assert!(elsewhere.data.is_empty());
    assert_eq!(refusal(admin.operator_list().cursor("x").send().await), refused(400, "invalid_cursor"));
}
