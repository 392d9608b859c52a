//! The program itself: as a function it takes events from a runtime, and a bad setting is one line. So is what it says of the
//! server that it is asked about.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::fronts::example;
use crate::line::{read_request, response};
use crate::world::{SERVICE_TOKEN, World};

fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
    program.env_clear().kill_on_drop(true).stdin(Stdio::null());
    program
}

/// Plays the runtime: hands one event out and gives the path and the body of what the function makes of it.
async fn invoke(runtime: &TcpListener, event: &Value) -> (String, Value) {
    let headers = "lambda-runtime-aws-request-id: the-request\r\nlambda-runtime-deadline-ms: 4000000000000\r\n\
                   lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-central-1:123456789012:function:o\r\n";
    let next = String::from_utf8(response(200, "application/json", &event.to_string())).unwrap();
    let next = next.replacen("\r\n", &format!("\r\n{headers}"), 1);
    loop {
        let (mut function, _) = runtime.accept().await.unwrap();
        let request = String::from_utf8(read_request(&mut function).await.unwrap()).unwrap();
        let path = request.split(' ').nth(1).unwrap().to_owned();
        if path.ends_with("/invocation/next") {
            function.write_all(next.as_bytes()).await.unwrap();
        } else {
            let (_, body) = request.split_once("\r\n\r\n").unwrap();
            return (path, serde_json::from_str(body).unwrap());
        }
    }
}

#[tokio::test]
async fn as_a_function_the_program_answers_the_events_of_its_runtime() {
    let world = World::new().await;
    let runtime = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut program = program();
    program
        .env("AWS_LAMBDA_RUNTIME_API", runtime.local_addr().unwrap().to_string())
        .envs([("AWS_LAMBDA_FUNCTION_NAME", "orchestrator"), ("AWS_LAMBDA_FUNCTION_VERSION", "1")])
        .envs([("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"), ("PROFILE", "development")])
        .envs([("SERVICE_TOKEN", SERVICE_TOKEN), ("JWT_SECRET", "a secret for tests only")])
        .envs([("CUSTOMERS_API_BASE", world.customers.base_url()), ("ORDERS_API_BASE", world.orders.base_url())]);
    let _function = program.stdout(Stdio::null()).spawn().unwrap();
    let (path, answer) = invoke(&runtime, &example("api-gateway-http")).await;
    assert!(path.ends_with("/invocation/the-request/response"), "{path}: {answer}");
    assert_eq!(answer["statusCode"], 201, "{answer}");
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!((&body["success"], &body["data"]["order"]["status"]), (&true.into(), &"CONFIRMED".into()));
    assert_eq!(answer["headers"]["x-correlation-id"], "req-789");
}

#[tokio::test]
async fn a_missing_setting_ends_the_program_with_one_line() {
    for lambda in [false, true] {
        let mut program = program();
        program.env("JWT_SECRET", "a secret for tests only");
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
