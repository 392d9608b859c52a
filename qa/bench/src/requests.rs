//! HTTP requests with a caller's credentials, and loads that consist of such requests.
//!
//! No existing load generator supports what the cases need. `oha` sends the same headers with all requests and chooses
//! URLs at random, so it can neither send a new idempotency key with each create request nor confirm each order exactly
//! once. `wrk` requires Lua scripts and has no open loop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::load::{Plan, Target, measure};

pub(crate) type Ids = Arc<[i64]>;

/// Load of similar requests to one service.
///
/// In the path and body, `{random}` stands for a random ID, `{turn}` for each ID in turn, and `{key}` for a new key.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) token: Arc<str>,
    pub(crate) path: String,
    /// Body of a POST request, or `None` for a GET request.
    pub(crate) body: Option<String>,
    pub(crate) random: Ids,
    pub(crate) turn: Ids,
    pub(crate) accepts: fn(&StatusCode) -> bool,
}

impl Load {
    /// Measures the rate of responses per second in a closed loop.
    pub(crate) async fn rate(&self, connections: u16, length: Duration) -> Result<f64> {
        Ok(measure(self.clone(), connections, Plan::For(length)).await?.rate)
    }

    /// Sends request number `n`, and returns the response body.
    pub(crate) async fn send(&self, connection: &mut Connection, number: usize) -> Result<Bytes> {
        let random = self.random[rand::random_range(0..self.random.len())].to_string();
        let turn = self.turn[number % self.turn.len()].to_string();
        let fill = |text: &str| text.replace("{random}", &random).replace("{turn}", &turn).replace("{key}", &new_key());
        connection.send(&self.token, &fill(&self.path), self.body.as_deref().map(fill), self.accepts).await
    }
}

impl Target for Load {
    type Client = Connection;

    async fn connect(&self) -> Result<Connection> {
        Connection::open(self.address).await
    }

    async fn execute(&self, connection: &mut Connection, number: usize) -> Result<()> {
        self.send(connection, number).await.map(drop)
    }
}

fn new_key() -> String {
    format!("{:032x}", rand::random::<u128>())
}

pub(crate) struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // The request in flight also returns the connection's errors.
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Sends a GET request, or a POST request if `body` is given. Returns the JSON body of the successful response.
    pub(crate) async fn call(&mut self, token: &str, path: &str, body: Option<String>) -> Result<Value> {
        Ok(serde_json::from_slice(&self.send(token, path, body, StatusCode::is_success).await?)?)
    }

    /// Sends a GET request, or, if a body is given, a POST request with a new idempotency key.
    async fn send(
        &mut self,
        token: &str,
        path: &str,
        body: Option<String>,
        accepts: fn(&StatusCode) -> bool,
    ) -> Result<Bytes> {
        let request = Request::builder().uri(path).method(if body.is_some() { "POST" } else { "GET" });
        let mut request = request.header("host", "localhost").header("authorization", format!("Bearer {token}"));
        if body.is_some() {
            request = request.header("content-type", "application/json").header("x-idempotency-key", new_key());
        }
        let request = request.body(Full::from(body.unwrap_or_default()))?;
        let exchange = async {
            self.0.ready().await?;
            let (head, body) = self.0.send_request(request).await?.into_parts();
            hyper::Result::Ok((head.status, body.collect().await?.to_bytes()))
        };
        let exchange = timeout(Duration::from_secs(30), exchange).await;
        let (status, body) = exchange.context("no response within 30 s")??;
        ensure!(accepts(&status), "unexpected status {status}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }
}
