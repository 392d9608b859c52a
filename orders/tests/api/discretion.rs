//! What the program writes, and what it never does.

use reqwest::Client;
use serde_json::json;
use service::testing::everything_it_writes;

use crate::harness::{CUSTOMER, Harness, JWT_SECRET, SERVICE_TOKEN, operator_token};

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_token_is_written_at_any_level_not_even_those_that_are_sent_on() {
    let harness = Harness::start().await;
    let product = harness.product("a", 5).await;
    let settings = [
        ("DATABASE_URL", harness.database.url()),
        ("JWT_SECRET", JWT_SECRET),
        ("SERVICE_TOKEN", SERVICE_TOKEN),
        ("CUSTOMERS_API_BASE", harness.customers_base()),
    ];
    let operator = operator_token("ann");
    let visit = async |base: String| {
        // The log has a line of this one at its lower levels only.
        reqwest::get(format!("{base}/health")).await.unwrap();
        let order = json!({ "customer_id": CUSTOMER, "items": [{ "product_id": product, "qty": 1 }] });
        for token in [&*operator, SERVICE_TOKEN] {
            let request = Client::new().post(format!("{base}/orders")).bearer_auth(token);
            let answer = request.header("x-idempotency-key", "k").json(&order).send().await.unwrap();
            assert_eq!(answer.status(), 201);
        }
    };
    let written = everything_it_writes(env!("CARGO_BIN_EXE_orders"), &settings, visit).await.unwrap();
    assert!(written.contains("health_view") && written.contains("operator:ann"), "{written}");
    for secret in [JWT_SECRET, SERVICE_TOKEN, &operator] {
        assert!(!written.contains(secret), "{secret} was written");
    }
}
