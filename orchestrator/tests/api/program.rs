//! The program: as a function with a fake Lambda runtime (timeouts and freezing), and its error messages for settings,
//! arguments and `--health`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::entry_points::example;
use crate::fault_proxy::{ALWAYS, Fault, read_request, response};
use crate::harness::{Harness, JWT_SECRET};
use crate::instance::{Instance, TcpRelay, program};

const CUSTOMER: &str = "GET /internal/customers/{id}";
const CONFIRM: &str = "POST /orders/{id}/confirm";
const CANCEL: &str = "POST /orders/{id}/cancel";

const AMPLE_TIME: Duration = Duration::from_secs(28);

async fn instance(harness: &Harness) -> Instance {
    Instance::start(harness.customers.base_url(), harness.orders.base_url()).await
}

#[tokio::test]
async fn lambda_program_responds_to_runtime_events() {
    let harness = Harness::new().await;
    let mut function = instance(&harness).await;
    function.wait_until_idle().await;
    function.deliver_event(&example("api-gateway-http"), AMPLE_TIME).await;
    let (path, response) = function.next_result().await;
    assert!(path.ends_with("/invocation/the-request/response"), "{path}: {response}");
    assert_eq!(response["statusCode"], 201, "{response}");
    let body: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
    assert_eq!((&body["success"], &body["data"]["order"]["status"]), (&true.into(), &"CONFIRMED".into()));
    assert_eq!(response["headers"]["x-correlation-id"], "req-789");
}

#[tokio::test]
async fn lambda_program_reports_a_non_http_event_and_continues() {
    let harness = Harness::new().await;
    let mut function = instance(&harness).await;
    function.wait_until_idle().await;
    function.deliver_event(&json!({ "Records": [] }), AMPLE_TIME).await;
    let (path, error) = function.next_result().await;
    assert!(path.ends_with("/invocation/the-request/error"), "{path}");
    assert_eq!(error["errorType"], "NotAnHttpRequest", "{error}");
    assert_eq!(function.invoke(&example("api-gateway-http"), AMPLE_TIME).await.0, 201);
}

/// Invokes a function with a timeout of 3 s and these upstream faults. Returns the response status, the failure code
/// and compensation, and the order status.
async fn invoke_with_3_s_limit(faults: Vec<(&'static str, Fault)>) -> (u64, Value, String) {
    const TIMEOUT: Duration = Duration::from_secs(3);
    let harness = Harness::new().await;
    for (request, fault) in faults {
        harness.customers.inject(request, ALWAYS, fault);
        harness.orders.inject(request, ALWAYS, fault);
    }
    let mut function = instance(&harness).await;
    function.wait_until_idle().await;
    let started = Instant::now();
    function.deliver_event(&example("function-url"), TIMEOUT).await;
    let (status, body) = function.next_response().await;
    assert!(started.elapsed() < TIMEOUT, "{:?}", started.elapsed());
    let order_status = harness.store().orders.values().map(|order| format!("{:?}", order.status)).collect();
    (status, json!([body["error"]["code"], body["error"]["compensated"]]), order_status)
}

#[tokio::test]
async fn function_with_a_short_timeout_responds_before_it_expires() {
    let [customer, confirm, cancel] = [CUSTOMER, CONFIRM, CANCEL].map(|request| (request, Fault::RequestStalled));
    let (no_order, compensated, pending) = tokio::join!(
        invoke_with_3_s_limit(vec![customer]),
        invoke_with_3_s_limit(vec![confirm]),
        invoke_with_3_s_limit(vec![confirm, cancel])
    );
    assert_eq!(no_order, (504, json!(["upstream_timeout", "not_needed"]), String::new()));
    assert_eq!(compensated, (504, json!(["confirm_failed", "done"]), "Canceled".to_owned()));
    assert_eq!(pending, (504, json!(["compensation_pending", "pending"]), "Created".to_owned()));
}

#[tokio::test]
async fn function_with_no_time_left_fails_at_once_without_upstream_calls() {
    let harness = Harness::new().await;
    let (status, body) = instance(&harness).await.invoke(&example("function-url"), Duration::from_secs(1)).await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!("unavailable")), "{body}");
    assert_eq!((&body["error"]["compensated"], &body["error"]["safe_to_retry"]), (&json!("not_needed"), &json!(true)));
    assert_eq!((harness.customers.requests(), harness.orders.requests()), (vec![], vec![]));
}

#[tokio::test]
async fn connections_closed_while_frozen_do_not_fail_the_next_invocation() {
    /// More rounds than the retry budget allows retries, so that one retry per round would exhaust the budget.
    const ROUNDS: usize = 120;
    let harness = Harness::new().await;
    let (customers, orders) = harness.upstream_addresses();
    let (customers, orders) = (TcpRelay::start(customers).await, TcpRelay::start(orders).await);
    let mut function = Instance::start(customers.base_url(), orders.base_url()).await;
    for round in 0..ROUNDS {
        function.wait_until_idle().await;
        function.freeze();
        let (customers_closed, orders_closed) = (customers.close_connections().await, orders.close_connections().await);
        assert!(
            round == 0 || customers_closed > 0 && orders_closed > 0,
            "no connections were kept alive, round {round}"
        );
        function.deliver_event(&example("function-url"), AMPLE_TIME).await;
        function.thaw();
        let (status, body) = function.next_response().await;
        assert_eq!(status, 201, "round {round}: {body}");
    }
}

#[tokio::test]
async fn invocation_log_is_written_before_the_function_freezes() {
    let harness = Harness::new().await;
    let mut function = instance(&harness).await;
    function.wait_until_idle().await;
    function.deliver_event(&example("function-url"), AMPLE_TIME).await;
    function.next_response().await;
    function.freeze();
    let mut lines = BufReader::new(function.process.stdout.take().unwrap()).lines();
    let log = async {
        loop {
            let line: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
            if line["span"]["operation"] == "order_create_and_confirm" {
                return line;
            }
        }
    };
    let line = tokio::time::timeout(Duration::from_secs(10), log).await.expect("the log line is missing");
    assert_eq!((&line["status"], &line["correlation_id"]), (&json!(201), &json!("req-789")), "{line}");
    let ids = [&line["span"]["request_id"], &line["span"]["aws_trace_id"]];
    assert_eq!(ids, [&json!("the-request"), &json!("the-trace")], "{line}");
}

#[tokio::test]
async fn missing_setting_is_a_one_line_error() {
    for lambda in [false, true] {
        let mut program = program();
        program.env("JWT_SECRET", JWT_SECRET);
        if lambda {
            program.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9");
        }
        let output = program.output().await.unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(error, "orchestrator: SERVICE_TOKEN is not set\n");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[tokio::test]
async fn invalid_log_setting_is_a_one_line_error_with_the_accepted_values() {
    let bad = [("RUST_LOG", "warning", "expected error, warn, info"), ("LOG_FORMAT", "yaml", "expected text or json")];
    for (name, value, expected) in bad {
        for lambda in [None, Some(("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9"))] {
            let output = program().env(name, value).envs(lambda).output().await.unwrap();
            let error = String::from_utf8(output.stderr).unwrap();
            assert!(error.starts_with(&format!("orchestrator: {name}: {expected}")), "{error}");
            assert_eq!((error.lines().count(), output.status.code()), (1, Some(1)));
        }
    }
}

/// Runs the program with `--health` against a server that responds with this status. Returns its standard error and
/// exit code.
async fn run_health_check(status: u16) -> (String, Option<i32>) {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let mut program = program();
    let checked = program.arg("--health").env("PORT", &port).output();
    let served = async {
        let (mut client, _) = server.accept().await.unwrap();
        let request = String::from_utf8(read_request(&mut client).await.unwrap()).unwrap();
        assert!(request.starts_with("GET /health HTTP/1.1\r\n"), "{request}");
        client.write_all(&response(status, "application/json", "{}")).await.unwrap();
    };
    let (output, ()) = tokio::join!(checked, served);
    let output = output.unwrap();
    assert!(output.stdout.is_empty());
    (String::from_utf8(output.stderr).unwrap().replace(&port, "PORT"), output.status.code())
}

#[tokio::test]
async fn health_flag_reports_whether_the_server_is_alive() {
    assert_eq!(run_health_check(200).await, (String::new(), Some(0)));
    let (error, code) = run_health_check(503).await;
    assert!(error.starts_with("orchestrator: unhealthy: GET /health at 127.0.0.1:PORT"), "{error}");
    assert_eq!((error.lines().count(), code), (1, Some(1)));
}

#[tokio::test]
async fn unknown_argument_is_rejected() {
    for arguments in [&["--version"][..], &["--health", "--now"], &["health"]] {
        let output = program().args(arguments).output().await.unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((error.lines().count(), output.status.code()), (1, Some(1)), "{error}");
        assert!(error.starts_with("orchestrator: unknown arguments: --health is"), "{error}");
    }
}
