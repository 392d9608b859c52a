//! Harness for the program as a server and as a function: a fake AWS Lambda runtime that can freeze the program, and a
//! relay whose connections can be closed.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::fault_proxy::{read_request, response};
use crate::harness::{JWT_SECRET, SERVICE_TOKEN};

pub(crate) fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
    program.env_clear().kill_on_drop(true).stdin(Stdio::null());
    program
}

/// Returns a command that runs the program with these upstream services and the test secrets.
pub(crate) fn program_with_upstreams(customers: String, orders: String) -> Command {
    let mut program = program();
    program
        .envs([("SERVICE_TOKEN", SERVICE_TOKEN), ("JWT_SECRET", JWT_SECRET)])
        .envs([("CUSTOMERS_API_BASE", customers), ("ORDERS_API_BASE", orders)])
        .stdout(Stdio::piped());
    program
}

pub(crate) fn signal(process: &Child, signal: Signal) {
    let pid = i32::try_from(process.id().unwrap()).unwrap();
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// An instance of the function, and its fake Lambda runtime.
pub(crate) struct Instance {
    pub(crate) process: Child,
    runtime: TcpListener,
    /// The function's pending request to the runtime.
    pending: Option<TcpStream>,
}

impl Instance {
    /// Starts the program with these upstream services, in the development profile.
    pub(crate) async fn start(customers: String, orders: String) -> Self {
        Self::start_with(customers, orders, &[]).await
    }

    /// Starts the program with additional settings.
    pub(crate) async fn start_with(customers: String, orders: String, settings: &[(&str, &str)]) -> Self {
        let runtime = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut program = program_with_upstreams(customers, orders);
        program
            .env("AWS_LAMBDA_RUNTIME_API", runtime.local_addr().unwrap().to_string())
            .envs([("AWS_LAMBDA_FUNCTION_NAME", "orchestrator"), ("AWS_LAMBDA_FUNCTION_VERSION", "1")])
            .envs([("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"), ("PROFILE", "development")])
            .envs(settings.iter().copied());
        let process = program.spawn().unwrap();
        Self { process, runtime, pending: None }
    }

    /// Waits until the function requests an event.
    pub(crate) async fn wait_until_idle(&mut self) {
        if let Some(mut connection) = self.pending.take() {
            connection.write_all(&response(202, "application/json", "")).await.unwrap();
        }
        let (path, _) = self.request().await;
        assert!(path.ends_with("/invocation/next"), "{path}");
    }

    /// Delivers an event with this invocation timeout.
    pub(crate) async fn deliver_event(&mut self, event: &Value, timeout: Duration) {
        let deadline = (SystemTime::UNIX_EPOCH.elapsed().unwrap() + timeout).as_millis();
        let headers = format!(
            "lambda-runtime-aws-request-id: the-request\r\nlambda-runtime-deadline-ms: {deadline}\r\n\
             lambda-runtime-trace-id: the-trace\r\n"
        );
        let event = String::from_utf8(response(200, "application/json", &event.to_string())).unwrap();
        let event = event.replacen("\r\n", &format!("\r\n{headers}"), 1);
        self.pending.take().unwrap().write_all(event.as_bytes()).await.unwrap();
    }

    /// Receives the function's result. Returns its path and body.
    pub(crate) async fn next_result(&mut self) -> (String, Value) {
        let (path, body) = self.request().await;
        (path, serde_json::from_str(&body).unwrap())
    }

    /// Delivers an event. Returns the status and body of the response.
    pub(crate) async fn invoke(&mut self, event: &Value, timeout: Duration) -> (u64, Value) {
        self.wait_until_idle().await;
        self.deliver_event(event, timeout).await;
        self.next_response().await
    }

    /// Receives the function's response. Returns its status and body.
    pub(crate) async fn next_response(&mut self) -> (u64, Value) {
        let (path, response) = self.next_result().await;
        assert!(path.ends_with("/invocation/the-request/response"), "{path}: {response}");
        (response["statusCode"].as_u64().unwrap(), serde_json::from_str(response["body"].as_str().unwrap()).unwrap())
    }

    /// Stops the process until `thaw`, as Lambda does between invocations.
    pub(crate) fn freeze(&self) {
        signal(&self.process, Signal::SIGSTOP);
    }

    pub(crate) fn thaw(&self) {
        signal(&self.process, Signal::SIGCONT);
    }

    async fn request(&mut self) -> (String, String) {
        let (mut connection, _) = self.runtime.accept().await.unwrap();
        let request = String::from_utf8(read_request(&mut connection).await.unwrap()).unwrap();
        self.pending = Some(connection);
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().to_owned(), body.to_owned())
    }
}

/// Relay that forwards connections to a service and can close all of them at once.
pub(crate) struct TcpRelay {
    address: SocketAddr,
    connections: Arc<Mutex<JoinSet<()>>>,
}

impl TcpRelay {
    pub(crate) async fn start(service: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, connections) = (listener.local_addr().unwrap(), Arc::<Mutex<JoinSet<()>>>::default());
        let accepted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                accepted.lock().unwrap().spawn(async move {
                    let mut service = TcpStream::connect(service).await.unwrap();
                    let _ = copy_bidirectional(&mut client, &mut service).await;
                });
            }
        });
        Self { address, connections }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes all connections. Returns the number of closed connections.
    pub(crate) async fn close_connections(&self) -> usize {
        let mut connections = std::mem::take(&mut *self.connections.lock().unwrap());
        let count = connections.len();
        connections.shutdown().await;
        count
    }
}
