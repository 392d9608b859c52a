//! Who may call.

use common_contract::Role;
use common_server::auth::Auth;
use common_server::testing::credentials_that_get_in;

use crate::world::{DOCUMENT, PATH, Reply, SERVICE_TOKEN, World, order, settings};

async fn post(world: &World, authorization: Option<&str>) -> Reply {
    let mut request = reqwest::Client::new().post(format!("{}{PATH}", world.base_url)).json(&order("a"));
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    Reply::to(request).await
}

pub(crate) fn auth() -> Auth {
    Auth::from_env(&settings("production", "", "")).unwrap()
}

fn operator(name: &str) -> String {
    format!("Bearer {}", auth().tokens().issue(name, Role::Operator).unwrap())
}

const BAD: [&str; 4] = ["Bearer wrong", "Bearer ", "Basic YWRtaW46YWRtaW4=", SERVICE_TOKEN];

#[tokio::test]
async fn strangers_are_turned_away_before_anything_is_done() {
    let world = World::new().await;
    for authorization in BAD.map(Some).into_iter().chain([None]) {
        let reply = post(&world, authorization).await;
        reply.failed(401, "unauthorized", "input", "not_needed", false);
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
    }
    assert_eq!(world.customers.seen(), [] as [&str; 0]);
}

#[tokio::test]
async fn every_operation_lets_in_whom_its_document_names_and_nobody_else() {
    let world = World::new().await;
    let wrong = credentials_that_get_in(DOCUMENT, &world.base_url, auth().tokens(), SERVICE_TOKEN).await.unwrap();
    assert_eq!(wrong, [] as [&str; 0]);
}

#[tokio::test]
async fn operators_and_services_may_call() {
    let world = World::new().await;
    post(&world, Some(&operator("ann"))).await.succeeded();
    post(&world, Some(&format!("Bearer {SERVICE_TOKEN}"))).await.succeeded();
}

#[tokio::test]
async fn a_viewer_may_not_order() {
    let world = World::new().await;
    let viewer = auth().tokens().issue("vera", Role::Viewer).unwrap();
    let reply = post(&world, Some(&format!("Bearer {viewer}"))).await;
    reply.failed(403, "forbidden", "input", "not_needed", false);
    assert_eq!(world.customers.seen(), [] as [&str; 0]);
}

#[tokio::test]
async fn two_callers_may_use_one_key_for_two_orders() {
    let world = World::new().await;
    post(&world, Some(&operator("ann"))).await.succeeded();
    post(&world, Some(&operator("bob"))).await.succeeded();
    post(&world, Some(&operator("ann"))).await.succeeded();
    assert_eq!(world.shop().orders.len(), 2);
}

#[tokio::test]
async fn only_on_a_developers_machine_nobody_has_to_say_who_they_are() {
    let world = World::in_profile("development").await;
    post(&world, None).await.succeeded();
    for authorization in BAD {
        post(&world, Some(authorization)).await.failed(401, "unauthorized", "input", "not_needed", false);
    }
    post(&world, Some(&operator("ann"))).await.succeeded();
    assert_eq!(world.shop().orders.len(), 2);
}
