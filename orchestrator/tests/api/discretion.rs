//! What the program never writes, as a server and as a function.

use common_contract::Role;
use common_server::testing::everything_it_writes;
use reqwest::Client;
use tokio::io::AsyncReadExt;

use crate::callers::auth;
use crate::fronts::example;
use crate::instance::Instance;
use crate::world::{JWT_SECRET, PATH, SERVICE_TOKEN, World, order};

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_token_is_written_at_any_level_not_even_those_that_are_sent_on() {
    let world = World::new().await;
    let (customers, orders) = (world.customers.base_url(), world.orders.base_url());
    let settings = [
        ("JWT_SECRET", JWT_SECRET),
        ("SERVICE_TOKEN", SERVICE_TOKEN),
        ("CUSTOMERS_API_BASE", &customers),
        ("ORDERS_API_BASE", &orders),
    ];
    let operator = auth().tokens().issue("ann", Role::Operator).unwrap();
    let visit = async |base: String| {
        // The log has a line of this one at its lower levels only.
        reqwest::get(format!("{base}/health")).await.unwrap();
        for token in [&*operator, SERVICE_TOKEN] {
            let request = Client::new().post(format!("{base}{PATH}")).bearer_auth(token).json(&order("a"));
            assert_eq!(request.send().await.unwrap().status(), 201);
        }
    };
    let written = everything_it_writes(env!("CARGO_BIN_EXE_orchestrator"), &settings, visit).await.unwrap();
    assert!(written.contains("health_view") && written.contains("operator:ann"), "{written}");
    for secret in [JWT_SECRET, SERVICE_TOKEN, &operator] {
        assert!(!written.contains(secret), "{secret} was written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_a_function_it_does_not_write_the_credentials_of_an_event_either() {
    let world = World::new().await;
    let mut function =
        Instance::start_with(world.customers.base_url(), world.orders.base_url(), &[("RUST_LOG", "trace")]).await;
    let mut stdout = function.process.stdout.take().unwrap();
    let written = tokio::spawn(async move {
        let mut written = String::new();
        stdout.read_to_string(&mut written).await.unwrap();
        written
    });
    let mut event = example("api-gateway-http");
    event["headers"]["authorization"] = format!("Bearer {SERVICE_TOKEN}").into();
    assert_eq!(function.invoke(&event, std::time::Duration::from_secs(28)).await.0, 201);
    function.process.kill().await.unwrap();
    let written = written.await.unwrap();
    assert!(written.contains("\"TRACE\"") && written.contains("\"principal\":\"service\""), "{written}");
    for secret in [JWT_SECRET, SERVICE_TOKEN] {
        assert!(!written.contains(secret), "{secret} was written");
    }
}
