//! The program itself: as a function it takes events from a runtime, which gives it so much time and freezes it in between;
//! a bad setting is one line, and so is what it says of the server that it is asked about.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::fronts::example;
use crate::instance::{Instance, Pipe, program};
use crate::line::{ALWAYS, Mishap, read_request, response};
use crate::world::{JWT_SECRET, World};

const CUSTOMER: &str = "GET /internal/customers/{id}";
const CONFIRM: &str = "POST /orders/{id}/confirm";
const CANCEL: &str = "POST /orders/{id}/cancel";

const PLENTY: Duration = Duration::from_secs(28);

async fn instance(world: &World) -> Instance {
    Instance::start(world.customers.base_url(), world.orders.base_url()).await
}

#[tokio::test]
async fn as_a_function_the_program_answers_the_events_of_its_runtime() {
    let world = World::new().await;
    let mut function = instance(&world).await;
    function.until_idle().await;
    function.hand_out(&example("api-gateway-http"), PLENTY).await;
    let (path, answer) = function.outcome().await;
    assert!(path.ends_with("/invocation/the-request/response"), "{path}: {answer}");
    assert_eq!(answer["statusCode"], 201, "{answer}");
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!((&body["success"], &body["data"]["order"]["status"]), (&true.into(), &"CONFIRMED".into()));
    assert_eq!(answer["headers"]["x-correlation-id"], "req-789");
}

#[tokio::test]
async fn as_a_function_the_program_fails_on_an_event_that_is_no_request_and_goes_on() {
    let world = World::new().await;
    let mut function = instance(&world).await;
    function.until_idle().await;
    function.hand_out(&json!({ "Records": [] }), PLENTY).await;
    let (path, error) = function.outcome().await;
    assert!(path.ends_with("/invocation/the-request/error"), "{path}");
    assert_eq!(error["errorType"], "NotAnHttpRequest", "{error}");
    assert_eq!(function.invoke(&example("api-gateway-http"), PLENTY).await.0, 201);
}

/// Invokes a function that may take 3 s, before services to which this happens: what the caller is told, and what is left.
async fn in_3_seconds(mishaps: Vec<(&'static str, Mishap)>) -> (u64, Value, String) {
    const TIMEOUT: Duration = Duration::from_secs(3);
    let world = World::new().await;
    for (request, mishap) in mishaps {
        world.customers.on(request, ALWAYS, mishap);
        world.orders.on(request, ALWAYS, mishap);
    }
    let mut function = instance(&world).await;
    function.until_idle().await;
    let started = Instant::now();
    function.hand_out(&example("function-url"), TIMEOUT).await;
    let (status, body) = function.answer().await;
    assert!(started.elapsed() < TIMEOUT, "{:?}", started.elapsed());
    let left = world.shop().orders.values().map(|order| format!("{:?}", order.status)).collect();
    (status, json!([body["error"]["code"], body["error"]["compensated"]]), left)
}

#[tokio::test]
async fn a_function_whose_time_is_short_answers_before_it_is_cut_off() {
    let [customer, confirm, cancel] = [CUSTOMER, CONFIRM, CANCEL].map(|request| (request, Mishap::RequestStuck));
    let (nothing, undone, pending) =
        tokio::join!(in_3_seconds(vec![customer]), in_3_seconds(vec![confirm]), in_3_seconds(vec![confirm, cancel]));
    assert_eq!(nothing, (504, json!(["upstream_timeout", "not_needed"]), String::new()));
    assert_eq!(undone, (504, json!(["confirm_failed", "done"]), "Canceled".to_owned()));
    assert_eq!(pending, (504, json!(["compensation_pending", "pending"]), "Created".to_owned()));
}

#[tokio::test]
async fn a_function_that_has_no_time_left_does_nothing_and_says_so_at_once() {
    let world = World::new().await;
    let (status, body) = instance(&world).await.invoke(&example("function-url"), Duration::from_secs(1)).await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!("unavailable")), "{body}");
    assert_eq!((&body["error"]["compensated"], &body["error"]["safe_to_retry"]), (&json!("not_needed"), &json!(true)));
    assert_eq!((world.customers.seen(), world.orders.seen()), (vec![], vec![]));
}

#[tokio::test]
async fn connections_that_ended_while_the_function_was_frozen_are_no_failure_of_the_next_invocation() {
    /// More than there are retries in the budget: what costs one each time would fail in the end.
    const ROUNDS: usize = 120;
    let world = World::new().await;
    let (customers, orders) = world.services();
    let (customers, orders) = (Pipe::to(customers).await, Pipe::to(orders).await);
    let mut function = Instance::start(customers.base_url(), orders.base_url()).await;
    for round in 0..ROUNDS {
        function.until_idle().await;
        function.freeze();
        let (customers_cut, orders_cut) = (customers.cut().await, orders.cut().await);
        assert!(round == 0 || customers_cut > 0 && orders_cut > 0, "connections are kept, round {round}");
        function.hand_out(&example("function-url"), PLENTY).await;
        function.thaw();
        let (status, body) = function.answer().await;
        assert_eq!(status, 201, "round {round}: {body}");
    }
}

#[tokio::test]
async fn the_log_of_an_invocation_is_written_when_its_answer_is_sent() {
    let world = World::new().await;
    let mut function = instance(&world).await;
    function.until_idle().await;
    function.hand_out(&example("function-url"), PLENTY).await;
    function.answer().await;
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
    let line = tokio::time::timeout(Duration::from_secs(10), log).await.expect("the line is not there");
    assert_eq!((&line["status"], &line["correlation_id"]), (&json!(201), &json!("req-789")), "{line}");
    let names = [&line["span"]["request_id"], &line["span"]["aws_trace_id"]];
    assert_eq!(names, [&json!("the-request"), &json!("the-trace")], "{line}");
}

#[tokio::test]
async fn a_missing_setting_ends_the_program_with_one_line() {
    for lambda in [false, true] {
        let mut program = program();
        program.env("JWT_SECRET", JWT_SECRET);
        if lambda {
            program.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9");
        }
        let output = program.output().await.unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(complaint, "orchestrator: SERVICE_TOKEN is not set\n");
        assert_eq!(output.status.code(), Some(1));
    }
}

/// What the program says with `--health` about a server that answers so, and how it ends.
async fn health_of_a_server_that_answers(status: u16) -> (String, Option<i32>) {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let mut program = program();
    let asked = program.arg("--health").env("PORT", &port).output();
    let answered = async {
        let (mut client, _) = server.accept().await.unwrap();
        let request = String::from_utf8(read_request(&mut client).await.unwrap()).unwrap();
        assert!(request.starts_with("GET /ready HTTP/1.1\r\n"), "{request}");
        client.write_all(&response(status, "application/json", "{}")).await.unwrap();
    };
    let (output, ()) = tokio::join!(asked, answered);
    let output = output.unwrap();
    assert!(output.stdout.is_empty());
    (String::from_utf8(output.stderr).unwrap().replace(&port, "PORT"), output.status.code())
}

#[tokio::test]
async fn asked_for_its_health_the_program_says_whether_its_server_is_ready() {
    assert_eq!(health_of_a_server_that_answers(200).await, (String::new(), Some(0)));
    let (complaint, code) = health_of_a_server_that_answers(503).await;
    assert!(complaint.starts_with("orchestrator: not ready: GET /ready at 127.0.0.1:PORT"), "{complaint}");
    assert_eq!((complaint.lines().count(), code), (1, Some(1)));
}

#[tokio::test]
async fn an_argument_that_is_not_known_starts_nothing() {
    for arguments in [&["--version"][..], &["--health", "--now"], &["health"]] {
        let output = program().args(arguments).output().await.unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!((complaint.lines().count(), output.status.code()), (1, Some(1)), "{complaint}");
        assert!(complaint.starts_with("orchestrator: unknown arguments: --health is"), "{complaint}");
    }
}
