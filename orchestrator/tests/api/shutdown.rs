//! Shutdown: if `DRAIN_SECONDS` is set, the server first fails readiness but continues to serve requests, and then
//! drains.

use std::time::Duration;

use common_server::testing::{Program, Scrape};
use nix::sys::signal::Signal;
use tokio::net::TcpListener;

use crate::fault_proxy::Fault;
use crate::harness::{Harness, JWT_SECRET, PATH, Reply, SERVICE_TOKEN, order_body};
use crate::instance::{program_with_upstreams, signal};

const CUSTOMER: &str = "GET /internal/customers/{id}";
const CREATE: &str = "POST /orders";

/// A running server.
struct Server {
    program: Program,
    harness: Harness,
}

impl Server {
    async fn with_drain_seconds(seconds: &str) -> Self {
        let harness = Harness::new().await;
        let settings = [
            ("CUSTOMERS_API_BASE", harness.customers.base_url()),
            ("ORDERS_API_BASE", harness.orders.base_url()),
            ("SERVICE_TOKEN", SERVICE_TOKEN.to_owned()),
            ("JWT_SECRET", JWT_SECRET.to_owned()),
            ("DRAIN_SECONDS", seconds.to_owned()),
        ];
        Self { program: Program::start(env!("CARGO_BIN_EXE_orchestrator"), settings).await, harness }
    }

    fn terminate(&self) {
        signal(&self.program.process, Signal::SIGTERM);
    }

    async fn status(&self, path: &str) -> u16 {
        reqwest::get(format!("{}{path}", self.program.base_url)).await.unwrap().status().as_u16()
    }

    async fn wait_until_not_ready(&self) {
        let unready = async {
            while self.status("/ready").await == 200 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), unready).await.unwrap();
    }
}

#[tokio::test]
async fn draining_server_fails_readiness_and_serves_until_a_second_signal() {
    let mut server = Server::with_drain_seconds("600").await;
    assert_eq!(server.status("/ready").await, 200);
    server.terminate();
    server.wait_until_not_ready().await;
    assert_eq!((server.status("/ready").await, server.status("/health").await), (503, 200));
    server.terminate();
    assert_eq!(server.program.process.wait().await.unwrap().code(), Some(1));
}

#[tokio::test]
async fn drained_server_exits() {
    let mut server = Server::with_drain_seconds("1").await;
    server.terminate();
    assert_eq!(server.program.process.wait().await.unwrap().code(), Some(0));
    let error = reqwest::get(format!("{}/health", server.program.base_url)).await.unwrap_err();
    assert!(error.is_connect(), "{error}");
}

/// Starts a saga whose upstream requests of these kinds stall, and then terminates the server. Returns the response.
async fn terminate_during_saga(faults: &[(&'static str, usize)]) -> Reply {
    let mut server = Server::with_drain_seconds("0").await;
    for (request, times) in faults {
        server.harness.customers.inject(request, *times, Fault::RequestStalled);
        server.harness.orders.inject(request, *times, Fault::RequestStalled);
    }
    let request = reqwest::Client::new().post(format!("{}{PATH}", server.program.base_url)).bearer_auth(SERVICE_TOKEN);
    let (reply, ()) = tokio::join!(Reply::send(request.json(&order_body("a"))), async {
        server.harness.customers.wait_for_request(CUSTOMER).await;
        server.terminate();
    });
    assert_eq!(server.program.process.wait().await.unwrap().code(), Some(0));
    reply
}

#[tokio::test]
async fn accepted_request_is_answered_before_exit() {
    // The first attempt times out after 2 s, and the next one succeeds.
    terminate_during_saga(&[(CUSTOMER, 1)]).await.assert_succeeded();
}

#[tokio::test]
async fn saga_may_use_its_full_time_before_exit() {
    // Six attempts take 2 s each, out of the 15 s that the steps have.
    terminate_during_saga(&[(CUSTOMER, 3), (CREATE, 3)]).await.assert_succeeded();
}

#[tokio::test]
async fn hanging_log_reader_does_not_delay_requests_or_shutdown() {
    /// Number of requests whose log lines exceed the capacity of a pipe (64 KiB).
    const REQUESTS: usize = 400;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut program = program_with_upstreams("http://127.0.0.1:1".to_owned(), "http://127.0.0.1:2".to_owned());
    // The log pipe stays open but is never read.
    let mut process = program.env("PORT", port.to_string()).env("PROFILE", "development").spawn().unwrap();
    let url = format!("http://127.0.0.1:{port}/nothing");
    let served = async {
        while reqwest::get(&url).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let client = reqwest::Client::new();
        for _ in 0..REQUESTS {
            assert_eq!(client.get(&url).send().await.unwrap().status(), 404);
        }
    };
    tokio::time::timeout(Duration::from_secs(60), served).await.expect("the server responds");
    signal(&process, Signal::SIGTERM);
    let exited = tokio::time::timeout(Duration::from_secs(10), process.wait()).await;
    assert_eq!(exited.expect("the server exits in time").unwrap().code(), Some(0));
}

#[tokio::test]
async fn full_disk_of_the_log_is_counted_and_affects_neither_requests_nor_the_exit() {
    let ports = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let [port, metrics_port] = ports.map(|listener| listener.local_addr().unwrap().port().to_string());
    let mut program = program_with_upstreams("http://127.0.0.1:1".to_owned(), "http://127.0.0.1:2".to_owned());
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    program.env("PORT", &port).env("METRICS_PORT", &metrics_port).env("PROFILE", "development");
    let mut process = program.stdout(full()).stderr(full()).spawn().unwrap();
    let dropped = async {
        loop {
            let _ = reqwest::get(format!("http://127.0.0.1:{port}/nothing")).await;
            if let Ok(response) = reqwest::get(format!("http://127.0.0.1:{metrics_port}/metrics")).await {
                let scrape = Scrape::read(&response.text().await.unwrap());
                // At least the lines of the start and of a request.
                if scrape.sum("log_lines_dropped_total", &[]) > 3.0 {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), dropped).await.expect("lines are dropped and counted");
    signal(&process, Signal::SIGTERM);
    let exited = tokio::time::timeout(Duration::from_secs(10), process.wait()).await;
    assert_eq!(exited.expect("the server exits in time").unwrap().code(), Some(0));
}
