//! Metrics after sagas with known outcomes.

use common_server::testing::{Program, Scrape};

use crate::fault_proxy::{ALWAYS, Fault};
use crate::harness::{Harness, PATH, Reply, SERVICE_TOKEN, order_body};

const CREATE: &str = "POST /orders";
const CONFIRM: &str = "POST /orders/{id}/confirm";
const CANCEL: &str = "POST /orders/{id}/cancel";
const CUSTOMER: &str = "GET /internal/customers/{id}";

async fn program(harness: &Harness) -> Program {
    let settings = [
        ("CUSTOMERS_API_BASE", harness.customers.base_url()),
        ("ORDERS_API_BASE", harness.orders.base_url()),
        ("SERVICE_TOKEN", SERVICE_TOKEN.to_owned()),
        ("JWT_SECRET", "a secret for tests only".to_owned()),
        ("METRICS_PORT", "0".to_owned()),
    ];
    Program::start(env!("CARGO_BIN_EXE_orchestrator"), settings).await
}

async fn send(program: &Program, key: &str) -> u16 {
    let request = reqwest::Client::new().post(format!("{}{PATH}", program.base_url));
    Reply::send(request.bearer_auth(SERVICE_TOKEN).json(&order_body(key))).await.status
}

fn saga_counts(scrape: &Scrape) -> [f64; 5] {
    ["confirmed", "refused", "failed", "undone", "pending"]
        .map(|outcome| scrape.sum("saga_runs_total", &[("outcome", outcome)]))
}

#[tokio::test(flavor = "multi_thread")]
async fn sagas_and_upstream_calls_are_counted_by_outcome() {
    let harness = Harness::new().await;
    let program = program(&harness).await;
    assert_eq!(saga_counts(&program.scrape().await), [0.0; 5]);
    assert_eq!(send(&program, "a").await, 201);
    // This saga retries one upstream call.
    harness.customers.inject(CUSTOMER, 1, Fault::GatewayResponse(503));
    assert_eq!(send(&program, "b").await, 201);
    // This saga is compensated, because the confirm step fails.
    harness.orders.inject(CONFIRM, ALWAYS, Fault::GatewayResponse(503));
    assert_eq!(send(&program, "c").await, 503);
    harness.orders.inject(CANCEL, ALWAYS, Fault::GatewayResponse(503));
    assert_eq!(send(&program, "d").await, 504);
    harness.orders.restore();
    harness.customers.inject(CUSTOMER, ALWAYS, Fault::GatewayResponse(503));
    assert_eq!(send(&program, "e").await, 503);
    harness.customers.restore();
    harness.store().allocated = crate::fake_orders::INITIAL_STOCK;
    assert_eq!(send(&program, "f").await, 409);
    let scrape = program.scrape().await;
    assert_eq!(saga_counts(&scrape), [2.0, 1.0, 1.0, 1.0, 1.0]);
    let retries = |step| scrape.sum("saga_retries_total", &[("step", step)]);
    assert_eq!([retries("validate"), retries("create"), retries("confirm")], [1.0 + 3.0, 0.0, 3.0 + 3.0]);
    let calls = |operation, outcome| {
        let labels = [("service", "orders"), ("operation", operation), ("outcome", outcome)];
        scrape.sum("http_client_request_duration_seconds_count", &labels)
    };
    assert_eq!([calls("order_create", "201"), calls("order_create", "409")], [4.0, 1.0]);
    assert_eq!([calls("order_confirm", "200"), calls("order_confirm", "503")], [2.0, 8.0]);
    let answered = |status| {
        let labels = [("operation", "order_create_and_confirm"), ("method", "POST"), ("status", status)];
        scrape.sum("http_server_request_duration_seconds_count", &labels)
    };
    assert_eq!(["201", "409", "503", "504"].map(answered), [2.0, 1.0, 2.0, 1.0]);
    assert_eq!(scrape.sum("http_server_requests_in_flight", &[]), 0.0);
    assert!(harness.orders.requests().iter().any(|request| request == CREATE));
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_not_served_on_the_public_port() {
    let program = program(&Harness::new().await).await;
    let answer = reqwest::get(format!("{}/metrics", program.base_url)).await.unwrap();
    assert_eq!(answer.status(), 404);
    let line = program.line(|line| line["status"] == 404).await;
    let fields = [&line["method"], &line["operation"], &line["outcome"]];
    assert_eq!(fields, [&"GET".into(), &"-".into(), &"no_operation".into()] as [&serde_json::Value; 3], "{line}");
    let scrape = program.scrape().await;
    let labels = [("operation", "-"), ("method", "GET"), ("status", "404")];
    assert_eq!(scrape.sum("http_server_request_duration_seconds_count", &labels), 1.0);
}

#[tokio::test]
async fn invalid_or_occupied_metrics_port_is_a_one_line_error() {
    let occupied = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = occupied.local_addr().unwrap().port();
    let in_use = format!("orchestrator: cannot listen on 127.0.0.1:{port}: ");
    for (setting, expected) in [(port.to_string(), in_use.as_str()), ("x".to_owned(), "orchestrator: METRICS_PORT: ")] {
        let mut program =
            crate::instance::program_with_upstreams("http://127.0.0.1:1".to_owned(), "http://127.0.0.1:2".to_owned());
        let output = program.env("METRICS_PORT", &setting).env("PORT", "0").output().await.unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.starts_with(expected) && error.lines().count() == 1, "{error}");
        assert_eq!(output.status.code(), Some(1));
    }
}
