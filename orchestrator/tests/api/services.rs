//! The whole system: the orchestrator and the real services on a seeded database, with fault proxies between them.

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
use crate::fault_proxy::FaultProxy;
use crate::harness::{self, PATH, POLICY, Reply, SERVICE_TOKEN};

const CUSTOMERS_DOCUMENT: &str = include_str!("../../../specs/customers.json");
const ORDERS_DOCUMENT: &str = include_str!("../../../specs/orders.json");
/// Interval between checks of a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Maximum time to wait for a condition.
const MAX_WAIT: Duration = Duration::from_secs(30);

pub(crate) struct System {
    pub(crate) customers: FaultProxy,
    pub(crate) orders: FaultProxy,
    base_url: String,
    http: reqwest::Client,
    token: String,
    initial_stock: i64,
    server: OrdersServer,
    customers_server: Running<Customers>,
    _orchestrator: Running<Orchestrator>,
    database: TestDatabase,
}

impl System {
    pub(crate) async fn start() -> Self {
        Self::with_policy(lenient_policy()).await
    }

    pub(crate) async fn with_policy(policy: Policy) -> Self {
        let runtime = |document| testing::runtime(document).unwrap();
        Self::with_runtimes(policy, runtime(CUSTOMERS_DOCUMENT), runtime(ORDERS_DOCUMENT)).await
    }

    /// Starts the system with these runtimes for the customers and orders services.
    pub(crate) async fn with_runtimes(policy: Policy, customers: Runtime, orders: Runtime) -> Self {
        let database = TestDatabase::seeded().await;
        let mut config = customers::Config::from_env(&env(&database, "")).unwrap();
        config.runtime = customers;
        let customers_server = customers::start(config).unwrap();
        let server = OrdersServer::start(&env(&database, &customers_server.base_url()), orders);
        let (customers, orders) =
            (FaultProxy::start(customers_server.local_addr()), FaultProxy::start(server.running.local_addr()));
        let mut config = harness::config("production", &customers.base_url(), &orders.base_url());
        config.policy = policy;
        let orchestrator = orchestrator::start(config).unwrap();
        let token = Auth::from_env(&env(&database, "")).unwrap().tokens().issue("ann", Role::Operator).unwrap();
        let mut system = Self {
            customers,
            orders,
            base_url: orchestrator.base_url(),
            http: reqwest::Client::new(),
            token,
            initial_stock: 0,
            server,
            customers_server,
            _orchestrator: orchestrator,
            database,
        };
        system.initial_stock = system.stock().await;
        system
    }

    /// Stops the orders server abruptly, even while it processes requests.
    pub(crate) fn kill_orders(&mut self) {
        self.server.kill();
    }

    /// Starts a new orders server on the same database.
    pub(crate) fn restart_orders(&mut self) {
        let runtime = testing::runtime(ORDERS_DOCUMENT).unwrap();
        self.server = OrdersServer::start(&env(&self.database, &self.customers_server.base_url()), runtime);
        self.orders.forward_to(self.server.running.local_addr());
    }

    pub(crate) fn send(&self, body: &Value) -> impl Future<Output = Reply> + Send + use<> {
        let request = self.http.post(format!("{}{PATH}", self.base_url));
        Reply::send(request.bearer_auth(SERVICE_TOKEN).json(body))
    }

    pub(crate) async fn order(&self, key: &str) -> Reply {
        self.send(&harness::order_body(key)).await
    }

    /// Returns a client that is authenticated as an operator and bypasses the proxies.
    pub(crate) fn operator(&self) -> orders_client::Client {
        let outbound = Outbound::new().bearer(&self.token);
        orders_client::Client::new_with_client(&self.server.running.base_url(), self.http.clone(), outbound)
    }

    /// Deletes customer 1, to whom all orders belong, as an operator.
    pub(crate) async fn delete_customer(&self) {
        let (base_url, outbound) = (self.customers_server.base_url(), Outbound::new().bearer(&self.token));
        let client = customers_client::Client::new_with_client(&base_url, self.http.clone(), outbound);
        client_common::send(client.customer_delete().id(1).send()).await.unwrap();
    }

    async fn stock(&self) -> i64 {
        client_common::send(self.operator().product_view().id(PRODUCT).send()).await.unwrap().stock
    }

    pub(crate) fn initial_stock(&self) -> i64 {
        self.initial_stock
    }

    /// Returns the quantity that is allocated to orders.
    pub(crate) async fn allocated(&self) -> i64 {
        self.initial_stock - self.stock().await
    }

    /// Retrieves the order with this ID, which is a value from a JSON response.
    pub(crate) async fn view(&self, id: &Value) -> Order {
        let id = id.as_i64().unwrap();
        client_common::send(self.operator().order_view().id(id).send()).await.unwrap().into_inner()
    }

    pub(crate) async fn newest_order(&self) -> i64 {
        let orders = client_common::send(self.operator().order_list().send()).await.unwrap();
        orders.data.iter().max_by_key(|order| order.id).unwrap().id
    }

    /// Opens a database connection for reading state or holding locks.
    pub(crate) async fn connection(&self) -> AsyncMysqlConnection {
        self.database.connection().await
    }

    /// Returns the number that a query selects as `n`.
    pub(crate) async fn query_number(&self, query: &str) -> i64 {
        let row: Number = diesel::sql_query(query).get_result(&mut self.connection().await).await.unwrap();
        row.n
    }

    /// Waits until the query selects this number as `n`.
    pub(crate) async fn wait_until_count(&self, query: &str, expected: i64) {
        let started = Instant::now();
        while self.query_number(query).await != expected {
            assert!(started.elapsed() < MAX_WAIT, "not {expected} after {MAX_WAIT:?}: {query}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until a transaction holds a lock on an idempotency key.
    pub(crate) async fn wait_until_key_is_locked(&self) {
        let mut connection = self.connection().await;
        let started = Instant::now();
        while connection.batch_execute("SELECT `key` FROM idempotency_keys FOR UPDATE NOWAIT").await.is_ok() {
            assert!(started.elapsed() < MAX_WAIT, "no key is locked after {MAX_WAIT:?}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// Policy whose attempts have enough time on a busy machine.
pub(crate) fn lenient_policy() -> Policy {
    Policy { retry: Retry { attempt: Policy::default().retry.attempt, ..POLICY.retry }, ..POLICY }
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Orders server in a separate tokio runtime, so that it can be stopped in the middle of a request.
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
        _ => harness::settings("production", customers_base, "").get(name),
    })
}
