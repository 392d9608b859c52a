//! The log contains no secrets and no personal data.

use common_server::testing::{Program, program_output};
use diesel_async::SimpleAsyncConnection;
use reqwest::Client;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::{CUSTOMER, Harness, JWT_SECRET, SERVICE_TOKEN, env, operator_token};

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_or_token_is_logged_at_any_level() {
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
        // This request is logged only at the levels below info.
        reqwest::get(format!("{base}/health")).await.unwrap();
        let order = json!({ "customer_id": CUSTOMER, "items": [{ "product_id": product, "qty": 1 }] });
        for token in [&*operator, SERVICE_TOKEN] {
            let request = Client::new().post(format!("{base}/orders")).bearer_auth(token);
            let response = request.header("x-idempotency-key", "k").json(&order).send().await.unwrap();
            assert_eq!(response.status(), 201);
        }
    };
    let written = program_output(env!("CARGO_BIN_EXE_orders"), &settings, visit).await.unwrap();
    assert!(written.contains("health_view") && written.contains("operator:ann"), "{written}");
    for secret in [JWT_SECRET, SERVICE_TOKEN, &operator] {
        assert!(!written.contains(secret), "{secret} was written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn disconnect_is_logged_without_client_address_and_path() {
    let harness = Harness::start().await;
    let settings = [
        ("DATABASE_URL", harness.database.url().to_owned()),
        ("JWT_SECRET", JWT_SECRET.to_owned()),
        ("SERVICE_TOKEN", SERVICE_TOKEN.to_owned()),
        ("CUSTOMERS_API_BASE", "http://127.0.0.1:1".to_owned()),
    ];
    let program = Program::start(env!("CARGO_BIN_EXE_orders"), settings).await;
    let mut other = harness.database.connection().await;
    other.batch_execute("LOCK TABLES products WRITE").await.unwrap();
    let mut client = TcpStream::connect(program.base_url.strip_prefix("http://").unwrap()).await.unwrap();
    let address = client.local_addr().unwrap().to_string();
    let bearer = operator_token("ann");
    let request = format!("GET /products/987654321 HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {bearer}\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let waiting = "SELECT COUNT(*) AS n FROM information_schema.processlist \
                   WHERE db = DATABASE() AND state = 'Waiting for table metadata lock'";
    harness.wait_for(waiting, 1).await;
    drop(client);
    let line =
        program.line(|line| line["message"].as_str().is_some_and(|message| message.contains("disconnected"))).await;
    other.batch_execute("UNLOCK TABLES").await.unwrap();
    let request = line["fields"].as_str().unwrap();
    assert!(request.contains("req_id") && request.contains("GET"), "{line}");
    program.line(|line| line["operation"] == "product_view").await;
    let log = format!("{:?}", program.lines());
    for personal in ["987654321", &address] {
        assert!(!log.contains(personal), "{personal}: {log}");
    }
}

#[tokio::test]
async fn remote_database_without_tls_is_rejected_at_startup() {
    let settings = [
        ("DATABASE_URL", "mysql://app:hunter2@db.example.com/shop"),
        ("JWT_SECRET", JWT_SECRET),
        ("SERVICE_TOKEN", SERVICE_TOKEN),
        ("CUSTOMERS_API_BASE", "http://127.0.0.1:1"),
    ];
    let visit = async |_| panic!("the server has started");
    let refused = program_output(env!("CARGO_BIN_EXE_orders"), &settings, visit).await.unwrap_err().to_string();
    assert!(refused.starts_with("orders: DATABASE_URL: expected ?ssl-mode=REQUIRED"), "{refused}");
    assert!(refused.lines().count() == 1 && !refused.contains("hunter2"), "{refused}");
    let url = "mysql://app:hunter2@db.example.com/shop?ssl-mode=REQUIRED";
    assert!(orders::Config::from_env(&env(url, "http://127.0.0.1:1")).is_ok());
}
