//! How the program ends: with `DRAIN_SECONDS` it says first that it is not ready, and serves on.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::instance::{program_before, signal};
use crate::line::Mishap;
use crate::world::{PATH, Reply, SERVICE_TOKEN, World, order};

/// A running server.
struct Server {
    process: Child,
    base_url: String,
    world: World,
}

impl Server {
    async fn draining_for(seconds: &str) -> Self {
        let world = World::new().await;
        let mut process = program_before(world.customers.base_url(), world.orders.base_url())
            .envs([("PORT", "0"), ("LOG_FORMAT", "json"), ("DRAIN_SECONDS", seconds)])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        assert_eq!(line["message"], "orchestrator is listening");
        tokio::spawn(async move { while lines.next_line().await.is_ok_and(|line| line.is_some()) {} });
        let base_url = format!("http://{}", line["address"].as_str().unwrap());
        Self { process, base_url, world }
    }

    fn terminate(&self) {
        signal(&self.process, Signal::SIGTERM);
    }

    async fn status(&self, path: &str) -> u16 {
        reqwest::get(format!("{}{path}", self.base_url)).await.unwrap().status().as_u16()
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
    assert_eq!(server.process.wait().await.unwrap().code(), Some(1));
}

#[tokio::test]
async fn a_server_that_has_drained_ends() {
    let mut server = Server::draining_for("1").await;
    server.terminate();
    assert_eq!(server.process.wait().await.unwrap().code(), Some(0));
    let refused = reqwest::get(format!("{}/health", server.base_url)).await.unwrap_err();
    assert!(refused.is_connect(), "{refused}");
}

#[tokio::test]
async fn a_request_that_was_accepted_is_answered_before_the_end() {
    let mut server = Server::draining_for("0").await;
    // The attempt is given up after 2 s, and the next one succeeds.
    server.world.customers.on("GET /internal/customers/{id}", 1, Mishap::RequestStuck);
    let request = reqwest::Client::new().post(format!("{}{PATH}", server.base_url)).bearer_auth(SERVICE_TOKEN);
    let (reply, ()) = tokio::join!(Reply::to(request.json(&order("a"))), async {
        server.world.customers.until_seen("GET /internal/customers/{id}").await;
        server.terminate();
    });
    reply.succeeded();
    assert_eq!(server.process.wait().await.unwrap().code(), Some(0));
}
