//! How the program ends: with `DRAIN_SECONDS` it says first that it is not ready, and serves on.

use std::time::Duration;

use common_server::testing::Program;
use nix::sys::signal::Signal;
use tokio::net::TcpListener;

use crate::instance::{program_before, signal};
use crate::line::Mishap;
use crate::world::{JWT_SECRET, PATH, Reply, SERVICE_TOKEN, World, order};

const CUSTOMER: &str = "GET /internal/customers/{id}";
const CREATE: &str = "POST /orders";

/// A running server.
struct Server {
    program: Program,
    world: World,
}

impl Server {
    async fn draining_for(seconds: &str) -> Self {
        let world = World::new().await;
        let settings = [
            ("CUSTOMERS_API_BASE", world.customers.base_url()),
            ("ORDERS_API_BASE", world.orders.base_url()),
            ("SERVICE_TOKEN", SERVICE_TOKEN.to_owned()),
            ("JWT_SECRET", JWT_SECRET.to_owned()),
            ("DRAIN_SECONDS", seconds.to_owned()),
        ];
        Self { program: Program::start(env!("CARGO_BIN_EXE_orchestrator"), settings).await, world }
    }

    fn terminate(&self) {
        signal(&self.program.process, Signal::SIGTERM);
    }

    async fn status(&self, path: &str) -> u16 {
        reqwest::get(format!("{}{path}", self.program.base_url)).await.unwrap().status().as_u16()
    }

    async fn becomes_unready(&self) {
        let unready = async {
            while self.status("/ready").await == 200 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), unready).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_drains_is_not_ready_but_serves_until_it_is_told_again() {
    let mut server = Server::draining_for("600").await;
    assert_eq!(server.status("/ready").await, 200);
    server.terminate();
    server.becomes_unready().await;
    assert_eq!((server.status("/ready").await, server.status("/health").await), (503, 200));
    server.terminate();
    assert_eq!(server.program.process.wait().await.unwrap().code(), Some(1));
}

#[tokio::test]
async fn a_server_that_has_drained_ends() {
    let mut server = Server::draining_for("1").await;
    server.terminate();
    assert_eq!(server.program.process.wait().await.unwrap().code(), Some(0));
    let refused = reqwest::get(format!("{}/health", server.program.base_url)).await.unwrap_err();
    assert!(refused.is_connect(), "{refused}");
}

/// Tells a server to stop as soon as a saga has begun to which this happens: its answer.
async fn stopped_amid(mishaps: &[(&'static str, usize)]) -> Reply {
    let mut server = Server::draining_for("0").await;
    for (request, times) in mishaps {
        server.world.customers.on(request, *times, Mishap::RequestStuck);
        server.world.orders.on(request, *times, Mishap::RequestStuck);
    }
    let request = reqwest::Client::new().post(format!("{}{PATH}", server.program.base_url)).bearer_auth(SERVICE_TOKEN);
    let (reply, ()) = tokio::join!(Reply::to(request.json(&order("a"))), async {
        server.world.customers.until_seen(CUSTOMER).await;
        server.terminate();
    });
    assert_eq!(server.program.process.wait().await.unwrap().code(), Some(0));
    reply
}

#[tokio::test]
async fn a_request_that_was_accepted_is_answered_before_the_end() {
    // The attempt is given up after 2 s, and the next one succeeds.
    stopped_amid(&[(CUSTOMER, 1)]).await.succeeded();
}

#[tokio::test]
async fn a_saga_may_take_all_of_its_time_before_the_end() {
    // Six attempts of 2 s, of the 15 s in which it goes forward.
    stopped_amid(&[(CUSTOMER, 3), (CREATE, 3)]).await.succeeded();
}

#[tokio::test]
async fn a_log_reader_that_hangs_delays_neither_requests_nor_the_end() {
    /// Their lines are more than a pipe takes, 64 KiB.
    const REQUESTS: usize = 400;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut program = program_before("http://127.0.0.1:1".to_owned(), "http://127.0.0.1:2".to_owned());
    // The pipe of its log stays open, and is never read.
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
    tokio::time::timeout(Duration::from_secs(60), served).await.expect("it answers");
    signal(&process, Signal::SIGTERM);
    let ended = tokio::time::timeout(Duration::from_secs(10), process.wait()).await;
    assert_eq!(ended.expect("it ends in time").unwrap().code(), Some(0));
}
