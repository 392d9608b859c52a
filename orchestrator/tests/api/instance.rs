//! The program, and the program as a function: a runtime that plays AWS Lambda for it, with freezing, and connections that can be cut.

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

use crate::line::{read_request, response};
use crate::world::{JWT_SECRET, SERVICE_TOKEN};

pub(crate) fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
    program.env_clear().kill_on_drop(true).stdin(Stdio::null());
    program
}

/// The program before these services, with the secrets of the tests.
pub(crate) fn program_before(customers: String, orders: String) -> Command {
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

/// One instance of the function, and its runtime.
pub(crate) struct Instance {
    pub(crate) process: Child,
    runtime: TcpListener,
    /// The request that the function has sent and that is not answered yet.
    waiting: Option<TcpStream>,
}

impl Instance {
    /// Starts the program before these services, in the development profile.
    pub(crate) async fn start(customers: String, orders: String) -> Self {
        Self::start_with(customers, orders, &[]).await
    }

    /// The same, with more settings.
    pub(crate) async fn start_with(customers: String, orders: String, more: &[(&str, &str)]) -> Self {
        let runtime = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut program = program_before(customers, orders);
        program
            .env("AWS_LAMBDA_RUNTIME_API", runtime.local_addr().unwrap().to_string())
            .envs([("AWS_LAMBDA_FUNCTION_NAME", "orchestrator"), ("AWS_LAMBDA_FUNCTION_VERSION", "1")])
            .envs([("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"), ("PROFILE", "development")])
            .envs(more.iter().copied());
        let process = program.spawn().unwrap();
        Self { process, runtime, waiting: None }
    }

    /// Waits until the function asks for an event.
    pub(crate) async fn until_idle(&mut self) {
        if let Some(mut answered) = self.waiting.take() {
            answered.write_all(&response(202, "application/json", "")).await.unwrap();
        }
        let (path, _) = self.request().await;
        assert!(path.ends_with("/invocation/next"), "{path}");
    }

    /// Hands an event out, to be answered within this time.
    pub(crate) async fn hand_out(&mut self, event: &Value, within: Duration) {
        let deadline = (SystemTime::UNIX_EPOCH.elapsed().unwrap() + within).as_millis();
        let headers = format!(
            "lambda-runtime-aws-request-id: the-request\r\nlambda-runtime-deadline-ms: {deadline}\r\n\
             lambda-runtime-trace-id: the-trace\r\n"
        );
        let event = String::from_utf8(response(200, "application/json", &event.to_string())).unwrap();
        let event = event.replacen("\r\n", &format!("\r\n{headers}"), 1);
        self.waiting.take().unwrap().write_all(event.as_bytes()).await.unwrap();
    }

    /// What the function makes of it: where it sends that, and what it is.
    pub(crate) async fn outcome(&mut self) -> (String, Value) {
        let (path, body) = self.request().await;
        (path, serde_json::from_str(&body).unwrap())
    }

    /// All of that. The answer's status, and its body.
    pub(crate) async fn invoke(&mut self, event: &Value, within: Duration) -> (u64, Value) {
        self.until_idle().await;
        self.hand_out(event, within).await;
        self.answer().await
    }

    /// The status and the body of the answer.
    pub(crate) async fn answer(&mut self) -> (u64, Value) {
        let (path, answer) = self.outcome().await;
        assert!(path.ends_with("/invocation/the-request/response"), "{path}: {answer}");
        (answer["statusCode"].as_u64().unwrap(), serde_json::from_str(answer["body"].as_str().unwrap()).unwrap())
    }

    /// From now on it does nothing until it is thawed.
    pub(crate) fn freeze(&self) {
        signal(&self.process, Signal::SIGSTOP);
    }

    pub(crate) fn thaw(&self) {
        signal(&self.process, Signal::SIGCONT);
    }

    async fn request(&mut self) -> (String, String) {
        let (mut function, _) = self.runtime.accept().await.unwrap();
        let request = String::from_utf8(read_request(&mut function).await.unwrap()).unwrap();
        self.waiting = Some(function);
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().to_owned(), body.to_owned())
    }
}

/// Carries bytes to a service, over connections that stay open until they are cut.
pub(crate) struct Pipe {
    address: SocketAddr,
    connections: Arc<Mutex<JoinSet<()>>>,
}

impl Pipe {
    pub(crate) async fn to(service: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, connections) = (listener.local_addr().unwrap(), Arc::<Mutex<JoinSet<()>>>::default());
        let opened = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                opened.lock().unwrap().spawn(async move {
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

    /// Cuts every connection, and says how many there were.
    pub(crate) async fn cut(&self) -> usize {
        let mut connections = std::mem::take(&mut *self.connections.lock().unwrap());
        let open = connections.len();
        connections.shutdown().await;
        open
    }
}
