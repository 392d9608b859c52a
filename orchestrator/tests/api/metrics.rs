//! What the program tells Prometheus, after sagas whose end is known.

use common_server::testing::{Program, Scrape};

use crate::line::{ALWAYS, Mishap};
use crate::world::{PATH, Reply, SERVICE_TOKEN, World, order};

const CREATE: &str = "POST /orders";
const CONFIRM: &str = "POST /orders/{id}/confirm";
const CANCEL: &str = "POST /orders/{id}/cancel";
const CUSTOMER: &str = "GET /internal/customers/{id}";

async fn program(world: &World) -> Program {
    let settings = [
        ("CUSTOMERS_API_BASE", world.customers.base_url()),
        ("ORDERS_API_BASE", world.orders.base_url()),
        ("SERVICE_TOKEN", SERVICE_TOKEN.to_owned()),
        ("JWT_SECRET", "a secret for tests only".to_owned()),
        ("METRICS_PORT", "0".to_owned()),
    ];
    Program::start(env!("CARGO_BIN_EXE_orchestrator"), settings).await
}

async fn send(program: &Program, key: &str) -> u16 {
    let request = reqwest::Client::new().post(format!("{}{PATH}", program.base_url));
    Reply::to(request.bearer_auth(SERVICE_TOKEN).json(&order(key))).await.status
}

fn sagas(scrape: &Scrape) -> [f64; 5] {
    ["confirmed", "refused", "failed", "undone", "pending"]
        .map(|outcome| scrape.sum("saga_runs_total", &[("outcome", outcome)]))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_saga_is_counted_by_its_end_and_its_calls_by_their_outcome() {
    let world = World::new().await;
    let program = program(&world).await;
    assert_eq!(sagas(&program.scrape().await), [0.0; 5]);
    assert_eq!(send(&program, "a").await, 201);
    // A call that is sent again.
    world.customers.on(CUSTOMER, 1, Mishap::Gateway(503));
    assert_eq!(send(&program, "b").await, 201);
    // Undone, as nobody confirms.
    world.orders.on(CONFIRM, ALWAYS, Mishap::Gateway(503));
    assert_eq!(send(&program, "c").await, 503);
    world.orders.on(CANCEL, ALWAYS, Mishap::Gateway(503));
    assert_eq!(send(&program, "d").await, 504);
    world.orders.mend();
    world.customers.on(CUSTOMER, ALWAYS, Mishap::Gateway(503));
    assert_eq!(send(&program, "e").await, 503);
    world.customers.mend();
    world.shop().taken = crate::fake_orders::FIRST_STOCK;
    assert_eq!(send(&program, "f").await, 409);
    let scrape = program.scrape().await;
    assert_eq!(sagas(&scrape), [2.0, 1.0, 1.0, 1.0, 1.0]);
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
    assert!(world.orders.seen().iter().any(|request| request == CREATE));
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_not_served_on_the_public_port() {
    let program = program(&World::new().await).await;
    let answer = reqwest::get(format!("{}/metrics", program.base_url)).await.unwrap();
    assert_eq!(answer.status(), 404);
    let line = program.line(|line| line["status"] == 404).await;
    let told = [&line["method"], &line["operation"], &line["outcome"]];
    assert_eq!(told, [&"GET".into(), &"-".into(), &"no_operation".into()] as [&serde_json::Value; 3], "{line}");
    let scrape = program.scrape().await;
    let labels = [("operation", "-"), ("method", "GET"), ("status", "404")];
    assert_eq!(scrape.sum("http_server_request_duration_seconds_count", &labels), 1.0);
}

#[tokio::test]
async fn a_bad_or_taken_metrics_port_is_one_line() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let in_use = format!("orchestrator: cannot listen on 127.0.0.1:{port}: ");
    for (setting, said) in [(port.to_string(), in_use.as_str()), ("x".to_owned(), "orchestrator: METRICS_PORT: ")] {
        let mut program =
            crate::instance::program_before("http://127.0.0.1:1".to_owned(), "http://127.0.0.1:2".to_owned());
        let output = program.env("METRICS_PORT", &setting).env("PORT", "0").output().await.unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(complaint.starts_with(said) && complaint.lines().count() == 1, "{complaint}");
        assert_eq!(output.status.code(), Some(1));
    }
}
