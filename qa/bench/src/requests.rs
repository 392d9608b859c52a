//! HTTP requests as some caller, and loads of them.
//!
//! No off-the-shelf generator sends what the cases need: `oha` has the same headers for all requests and chooses URLs at random, so
//! neither a new idempotency key for each create nor one confirm for each order; `wrk` needs Lua and has no open loop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::load::{Plan, Target, measure};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Ids of rows.
pub(crate) type Ids = Arc<[i64]>;
pub(crate) type Message = http::Result<Request<Full<Bytes>>>;
/// Creates request number n.
pub(crate) type Requests = Arc<dyn Fn(u64) -> Message + Send + Sync>;

/// A caller with a token.
#[derive(Clone)]
pub(crate) struct Caller(Arc<str>);

impl Caller {
    pub(crate) fn new(token: &str) -> Self {
        Self(Arc::from(format!("Bearer {token}")))
    }

    pub(crate) fn get(&self, path: &str) -> Message {
        Request::get(path).header("host", "localhost").header("authorization", &*self.0).body(Full::default())
    }

    /// POST under a new idempotency key.
    pub(crate) fn post(&self, path: &str, body: String) -> Message {
        let request = Request::post(path).header("host", "localhost").header("authorization", &*self.0);
        let request = request.header("content-type", "application/json").header("x-idempotency-key", new_key());
        request.body(Full::from(body))
    }

    /// GET of the path with a random one of the ids.
    pub(crate) fn views(&self, path: &'static str, ids: &Ids) -> Requests {
        let (caller, ids) = (self.clone(), Arc::clone(ids));
        Arc::new(move |_| caller.get(&format!("{path}{}", ids[rand::random_range(0..ids.len())])))
    }

    /// POST of an order for a random customer and one piece of each product in turn.
    pub(crate) fn creates(&self, customers: &Ids, products: &Ids) -> Requests {
        let (caller, order) = (self.clone(), orders(customers, products));
        Arc::new(move |number| caller.post("/orders", format!("{{{}}}", order(number))))
    }

    /// The same order, to be created and confirmed.
    pub(crate) fn sagas(&self, customers: &Ids, products: &Ids) -> Requests {
        let (caller, order) = (self.clone(), orders(customers, products));
        Arc::new(move |number| {
            let body = format!(r#"{{{},"idempotency_key":"{}"}}"#, order(number), new_key());
            caller.post("/orchestrator/create-and-confirm-order", body)
        })
    }

    /// POST of the path, each of the ids in turn, and the action.
    pub(crate) fn actions(&self, path: &'static str, ids: Ids, action: &str, body: &'static str) -> Requests {
        let (caller, action) = (self.clone(), action.to_owned());
        Arc::new(move |number| caller.post(&format!("{path}{}/{action}", in_turn(&ids, number)), body.to_owned()))
    }
}

fn orders(customers: &Ids, products: &Ids) -> impl Fn(u64) -> String + Send + Sync + 'static {
    let (customers, products) = (Arc::clone(customers), Arc::clone(products));
    move |number| {
        let (customer, product) = (customers[rand::random_range(0..customers.len())], in_turn(&products, number));
        format!(r#""customer_id":{customer},"items":[{{"product_id":{product},"qty":1}}]"#)
    }
}

fn in_turn(ids: &Ids, number: u64) -> i64 {
    ids[usize::try_from(number).unwrap_or_default() % ids.len()]
}

fn new_key() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// HTTP connection to a service.
pub(crate) struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Its errors are also those of the request in flight.
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Sends a request and returns the body of its successful response.
    pub(crate) async fn call(&mut self, request: Message) -> Result<Bytes> {
        self.send(request?, StatusCode::is_success).await
    }

    async fn send(&mut self, request: Request<Full<Bytes>>, accepts: fn(&StatusCode) -> bool) -> Result<Bytes> {
        let exchange = async {
            self.0.ready().await?;
            let (head, body) = self.0.send_request(request).await?.into_parts();
            hyper::Result::Ok((head.status, body.collect().await?.to_bytes()))
        };
        let (status, body) = timeout(TIMEOUT, exchange).await.context("no response within 30 s")??;
        ensure!(accepts(&status), "a request was answered {status}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }
}

/// Requests to a service, and the statuses that are no error.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Requests,
    pub(crate) accepts: fn(&StatusCode) -> bool,
}

impl Load {
    /// Responses per second in a closed loop.
    pub(crate) async fn rate(&self, connections: u16, length: Duration) -> Result<f64> {
        Ok(measure(self.clone(), connections, Plan::For(length)).await?.rate)
    }
}

impl Target for Load {
    type Client = Connection;

    async fn connect(&self) -> Result<Connection> {
        Connection::open(self.address).await
    }

    async fn execute(&self, client: &mut Connection, number: u64) -> Result<()> {
        client.send((self.requests)(number)?, self.accepts).await.map(drop)
    }
}
