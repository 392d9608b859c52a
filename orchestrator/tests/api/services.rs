//! The whole system: the real services on a seeded database, and lines from the orchestrator to them.

use std::time::{Duration, Instant};

use client_common::{Outbound, Retry};
use common_contract::Role;
use common_server::auth::Auth;
use common_server::settings::Env;
use common_server::{Running, Runtime, testing};
use customers::Context as Customers;
use db_testing::TestDatabase;
use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncMysqlConnection, RunQueryDsl, SimpleAsyncConnection};
use orchestrator::{Orchestrator, Policy};
use orders::Context as Orders;
use orders_client::types::Order;
use serde_json::Value;
use tokio::runtime;

use crate::fake_orders::PRODUCT;
use crate::line::Line;
use crate::world::{self, PATH, POLICY, Reply, SERVICE_TOKEN};

const CUSTOMERS_DOCUMENT: &str = include_str!("../../../specs/customers.json");
const ORDERS_DOCUMENT: &str = include_str!("../../../specs/orders.json");
/// How long to wait before looking again.
const POLL: Duration = Duration::from_millis(20);
/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct System {
    pub(crate) customers: Line,
    pub(crate) orders: Line,
    base_url: String,
    http: reqwest::Client,
    token: String,
    first_stock: i64,
    server: OrdersServer,
    customers_server: Running<Customers>,
    _orchestrator: Running<Orchestrator>,
    database: TestDatabase,
}

impl System {
    pub(crate) async fn start() -> Self {
        Self::with_policy(patient()).await
    }

    pub(crate) async fn with_policy(policy: Policy) -> Self {
        let held_to = |document| testing::runtime(document).unwrap();
        Self::with_runtimes(policy, held_to(CUSTOMERS_DOCUMENT), held_to(ORDERS_DOCUMENT)).await
    }

    /// The runtimes are those of the two services behind.
    pub(crate) async fn with_runtimes(policy: Policy, customers: Runtime, orders: Runtime) -> Self {
        let database = TestDatabase::seeded().await;
        let mut config = customers::Config::from_env(&env(&database, "")).unwrap();
        config.runtime = customers;
        let customers_server = customers::start(config).unwrap();
        let server = OrdersServer::start(&env(&database, &customers_server.base_url()), orders);
        let (customers, orders) = (Line::to(customers_server.local_addr()), Line::to(server.running.local_addr()));
        let mut config = world::config("production", &customers.base_url(), &orders.base_url());
        config.policy = policy;
        let orchestrator = orchestrator::start(config).unwrap();
        let token = Auth::from_env(&env(&database, "")).unwrap().tokens().issue("ann", Role::Operator).unwrap();
        let mut system = Self {
            customers,
            orders,
            base_url: orchestrator.base_url(),
            http: reqwest::Client::new(),
            token,
            first_stock: 0,
            server,
            customers_server,
            _orchestrator: orchestrator,
            database,
        };
        system.first_stock = system.stock().await;
        system
    }

    /// Ends the orders server as a power cut does: whatever it is at, it does not get to its end.
    pub(crate) fn kill_orders(&mut self) {
        self.server.kill();
    }

    /// Starts the orders server on the same database.
    pub(crate) fn restart_orders(&mut self) {
        let runtime = testing::runtime(ORDERS_DOCUMENT).unwrap();
        self.server = OrdersServer::start(&env(&self.database, &self.customers_server.base_url()), runtime);
        self.orders.lead_to(self.server.running.local_addr());
    }

    pub(crate) fn sending(&self, body: &Value) -> impl Future<Output = Reply> + Send + use<> {
        let request = self.http.post(format!("{}{PATH}", self.base_url));
        Reply::to(request.bearer_auth(SERVICE_TOKEN).json(body))
    }

    pub(crate) async fn order(&self, key: &str) -> Reply {
        self.sending(&world::order(key)).await
    }

    /// A client for an operator, who is cut off from nothing.
    pub(crate) fn operator(&self) -> orders_client::Client {
        let outbound = Outbound::new().bearer(&self.token);
        orders_client::Client::new_with_client(&self.server.running.base_url(), self.http.clone(), outbound)
    }

    /// Deletes the only customer that the tests order for, as an operator does.
    pub(crate) async fn delete_customer(&self) {
        let (base_url, outbound) = (self.customers_server.base_url(), Outbound::new().bearer(&self.token));
        let client = customers_client::Client::new_with_client(&base_url, self.http.clone(), outbound);
        client_common::send(client.customer_delete().id(1).send()).await.unwrap();
    }

    async fn stock(&self) -> i64 {
        client_common::send(self.operator().product_view().id(PRODUCT).send()).await.unwrap().stock
    }

    pub(crate) fn first_stock(&self) -> i64 {
        self.first_stock
    }

    /// How many pieces orders hold.
    pub(crate) async fn taken(&self) -> i64 {
        self.first_stock - self.stock().await
    }

    /// What became of the order that an answer speaks of.
    pub(crate) async fn view(&self, id: &Value) -> Order {
        let id = id.as_i64().unwrap();
        client_common::send(self.operator().order_view().id(id).send()).await.unwrap().into_inner()
    }

    pub(crate) async fn newest_order(&self) -> i64 {
        let made = client_common::send(self.operator().order_list().send()).await.unwrap();
        made.data.iter().max_by_key(|order| order.id).unwrap().id
    }

    /// A connection of one's own, to look at the database and to stand in the way of others.
    pub(crate) async fn connection(&self) -> AsyncMysqlConnection {
        self.database.connection().await
    }

    /// The one number that a query gives as `n`.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        let row: Number = diesel::sql_query(query).get_result(&mut self.connection().await).await.unwrap();
        row.n
    }

    /// Waits until this is the one number that the query gives.
    pub(crate) async fn becomes(&self, query: &str, wanted: i64) {
        let started = Instant::now();
        while self.number(query).await != wanted {
            assert!(started.elapsed() < PATIENCE, "after {PATIENCE:?} still not {wanted}: {query}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until a transaction holds an idempotency key.
    pub(crate) async fn until_a_key_is_held(&self) {
        let mut connection = self.connection().await;
        let started = Instant::now();
        while connection.batch_execute("SELECT `key` FROM idempotency_keys FOR UPDATE NOWAIT").await.is_ok() {
            assert!(started.elapsed() < PATIENCE, "after {PATIENCE:?} still nobody holds a key");
            tokio::time::sleep(POLL).await;
        }
    }
}

/// With time for what a busy machine does in each attempt.
pub(crate) fn patient() -> Policy {
    Policy { retry: Retry { attempt: Policy::default().retry.attempt, ..POLICY.retry }, ..POLICY }
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// The orders server in a runtime of its own, so that it can end in the middle of a request.
struct OrdersServer {
    running: Running<Orders>,
    runtime: Option<runtime::Runtime>,
}

impl OrdersServer {
    fn start(env: &Env<'_>, shared: Runtime) -> Self {
        let mut config = orders::Config::from_env(env).unwrap();
        config.runtime = shared;
        let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let inside = runtime.enter();
        let running = orders::start(config).unwrap();
        drop(inside);
        Self { running, runtime: Some(runtime) }
    }

    fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for OrdersServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn env<'a>(database: &'a TestDatabase, customers_base: &'a str) -> Env<'a> {
    Env::new(move |name| match name {
        "DATABASE_URL" => Some(database.url().to_owned()),
        "ADMIN_USER" => Some("admin".to_owned()),
        "ADMIN_PASSWORD" => Some("correct horse".to_owned()),
        _ => world::settings("production", customers_base, "").get(name),
    })
}
