//! Health, readiness, settings, and the generated client.

use client_common::Outbound;
use orchestrator::Config;
use orchestrator_client::{Client, codes, types};

use crate::line::{ALWAYS, Mishap};
use crate::world::{Reply, SERVICE_TOKEN, World, order, settings};

async fn get(world: &World, path: &str) -> Reply {
    Reply::to(reqwest::Client::new().get(format!("{}{path}", world.base_url))).await
}

#[tokio::test]
async fn a_service_is_ready_while_both_services_behind_it_are() {
    let world = World::new().await;
    assert_eq!(get(&world, "/health").await.status, 200);
    assert_eq!(get(&world, "/ready").await.status, 200);
}

#[tokio::test]
async fn a_service_is_not_ready_while_one_behind_it_is_not() {
    for mishap in [Mishap::Gateway(503), Mishap::RequestStuck, Mishap::PortCloses] {
        for of_customers in [true, false] {
            let world = World::new().await;
            let line = if of_customers { &world.customers } else { &world.orders };
            line.on("GET /ready", ALWAYS, mishap);
            let reply = get(&world, "/ready").await;
            reply.failed(503, "unavailable", "input", "not_needed", true);
            assert_eq!(get(&world, "/health").await.status, 200);
        }
    }
}

#[tokio::test]
async fn anyone_may_read_the_document_and_the_page_about_it() {
    let world = World::new().await;
    let get = async |path: &str| reqwest::get(format!("{}{path}", world.base_url)).await.unwrap();
    assert_eq!(get("/openapi.json").await.text().await.unwrap(), include_str!("../../../specs/orchestrator.json"));
    assert_eq!(get("/docs").await.status(), 200);
}

#[test]
fn a_setting_that_is_missing_or_bad_is_named() {
    let problem = |customers| Config::from_env(&settings("production", customers, "http://127.0.0.1:2")).err();
    assert_eq!(problem("").unwrap().to_string(), "CUSTOMERS_API_BASE is not set");
    assert!(problem("127.0.0.1:1").unwrap().to_string().starts_with("CUSTOMERS_API_BASE: "));
    assert!(problem("http://127.0.0.1:1").is_none());
}

#[tokio::test]
async fn the_generated_client_reads_successes_and_failures() {
    let world = World::new().await;
    let outbound = Outbound::new().bearer(SERVICE_TOKEN);
    let client = Client::new_with_client(&world.base_url, reqwest::Client::new(), outbound);
    let body: types::CreateAndConfirm = serde_json::from_value(order("a")).unwrap();
    let send = |body| client_common::send(client.order_create_and_confirm().body(body).send());
    let success = send(body.clone()).await.unwrap();
    assert_eq!(success.data.order.total_cents, 389_700);
    world.shop().taken = crate::fake_orders::FIRST_STOCK;
    let body = types::builder::CreateAndConfirm::from(body).idempotency_key("b").try_into().unwrap();
    let fault = send(body).await.unwrap_err();
    assert!(fault.has_code(codes::INSUFFICIENT_STOCK), "{fault:?}");
    assert_eq!(fault.status(), Some(409));
}
