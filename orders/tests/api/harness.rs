//! Test harness, which provides a separate server, database and customers service for each test.

use std::time::{Duration, Instant};

use client_common::Outbound;
use common_contract::Role;
use common_server::Running;
use common_server::auth::Auth;
use common_server::settings::Env;
use common_server::testing;
use db_testing::TestDatabase;
use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use orders::{Config, Context};
use orders_client::{Client, Error, ResponseValue, types};

use crate::connection_loss::Proxy;

pub(crate) const DOCUMENT: &str = include_str!("../../../specs/orders.json");
const CUSTOMERS_DOCUMENT: &str = include_str!("../../../specs/customers.json");
pub(crate) const SERVICE_TOKEN: &str = "service-token-of-the-tests-and-of-nothing-else";
pub(crate) const JWT_SECRET: &str = "jwt-secret-of-the-tests-and-of-nothing-else";
/// Interval between two polls.
const POLL: Duration = Duration::from_millis(20);
/// Maximum time to wait for a condition.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// The only customer of a database without seed data.
pub(crate) const CUSTOMER: i64 = 1;

/// A running server with its database and clients. Dropping it stops the server.
pub(crate) struct Harness {
    pub(crate) database: TestDatabase,
    server: Option<Running<Context>>,
    base_url: String,
    customers_base: String,
    _customers: Option<Running<customers::Context>>,
    http: reqwest::Client,
    operator: Client,
    service: Client,
}

impl Harness {
    /// Starts a server on a database with one customer and no products.
    pub(crate) async fn start() -> Self {
        let database = insert_customer(TestDatabase::create().await).await;
        Self::with_real_customers(database)
    }

    /// Starts a server on a database with seed data.
    pub(crate) async fn seeded() -> Self {
        Self::with_real_customers(TestDatabase::seeded().await)
    }

    /// Starts a server on a database with one customer. The server sends its customer checks to this address.
    pub(crate) async fn with_customers_at(customers_base: &str) -> Self {
        let database = insert_customer(TestDatabase::create().await).await;
        let config = config(database.url(), customers_base);
        Self::new(database, config, None, customers_base)
    }

    /// Starts a server on a database with one customer, with a proxy between the server and the database. Waits until
    /// the first run of the background jobs has ended, so that the server sends no COMMIT before its first request.
    pub(crate) async fn with_proxy() -> (Self, Proxy) {
        let database = insert_customer(TestDatabase::create().await).await;
        database.connection().await.batch_execute(EXPIRED_KEY).await.expect("the key is inserted");
        let proxy = Proxy::start(database.url()).await;
        let customers = real_customers(&database);
        let (config, base) = (config(proxy.database_url(), &customers.base_url()), customers.base_url());
        let harness = Self::new(database, config, Some(customers), &base);
        harness.wait_for("SELECT COUNT(*) AS n FROM idempotency_keys", 0).await;
        (harness, proxy)
    }

    /// Starts a server on a database with one customer, with a connection pool of this size.
    pub(crate) async fn with_connections(count: usize) -> Self {
        let database = insert_customer(TestDatabase::create().await).await;
        let customers = real_customers(&database);
        let (config, base) =
            (config_with_pool_size(count, database.url(), &customers.base_url()), customers.base_url());
        Self::new(database, config, Some(customers), &base)
    }

    fn with_real_customers(database: TestDatabase) -> Self {
        let customers = real_customers(&database);
        let (config, base) = (config(database.url(), &customers.base_url()), customers.base_url());
        Self::new(database, config, Some(customers), &base)
    }

    fn new(
        database: TestDatabase,
        config: Config,
        customers: Option<Running<customers::Context>>,
        customers_base: &str,
    ) -> Self {
        let server = orders::start(config).expect("the server starts");
        let (base_url, customers_base) = (server.base_url(), customers_base.to_owned());
        let http =
            client_common::http_client(Duration::from_secs(2), Duration::from_secs(60)).expect("TLS can be set up");
        let [operator, service] = clients(&base_url, &http);
        let server = Some(server);
        Self { database, server, base_url, customers_base, _customers: customers, http, operator, service }
    }

    /// Starts another server on the same database.
    pub(crate) fn start_server(&self) -> Running<Context> {
        orders::start(config(self.database.url(), &self.customers_base)).expect("the server starts")
    }

    /// Returns a client for `server`, authenticated as an operator.
    pub(crate) fn operator_of(&self, server: &Running<Context>) -> Client {
        let [operator, _] = clients(&server.base_url(), &self.http);
        operator
    }

    /// Replaces the server with a new one on the same database.
    pub(crate) async fn restart(&mut self) {
        self.close().await;
        let server = self.start_server();
        self.base_url = server.base_url();
        [self.operator, self.service] = clients(&self.base_url, &self.http);
        self.server = Some(server);
    }

    /// Closes the server. The database remains accessible.
    pub(crate) async fn close(&mut self) {
        self.server.take().expect("the server is running").close().await;
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// Returns the base URL of the customers service.
    pub(crate) fn customers_base(&self) -> &str {
        &self.customers_base
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) fn client(&self, outbound: Outbound) -> Client {
        Client::new_with_client(&self.base_url, self.http.clone(), outbound)
    }

    pub(crate) fn operator(&self) -> &Client {
        &self.operator
    }

    pub(crate) fn service(&self) -> &Client {
        &self.service
    }

    /// Creates a product with a price of 100 cents.
    pub(crate) async fn product(&self, sku: &str, stock: i64) -> i64 {
        let new = types::ProductInput::builder().sku(sku).name(format!("Product {sku}")).price_cents(100).stock(stock);
        self.operator().product_create().body(new).send().await.expect("the product is created").id
    }

    pub(crate) async fn stock(&self, id: i64) -> i64 {
        self.operator().product_view().id(id).send().await.expect("the product exists").stock
    }

    /// Creates an order for the customer.
    pub(crate) async fn order(&self, lines: &[(i64, i64)]) -> types::Order {
        let response = self.operator().order_create().body(new_order(lines)).send().await;
        response.expect("the order is created").into_inner()
    }

    pub(crate) async fn confirmed(&self, lines: &[(i64, i64)]) -> types::Order {
        let id = self.order(lines).await.id;
        let response = self.operator().order_confirm().id(id).x_idempotency_key(format!("confirm-{id}")).send().await;
        response.expect("the order is confirmed").into_inner()
    }

    /// Executes SQL statements directly on the database.
    pub(crate) async fn sql(&self, statements: &str) {
        let mut connection = self.database.connection().await;
        connection.batch_execute(statements).await.expect("the statements are valid");
    }

    /// Returns the column `n` of a query that returns one row.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        let mut connection = self.database.connection().await;
        let row: Number = diesel::sql_query(query).get_result(&mut connection).await.expect("the query is valid");
        row.n
    }

    /// Returns the column `n` of a query that returns one row and also reads uncommitted changes.
    pub(crate) async fn uncommitted_number(&self, query: &str) -> i64 {
        let mut connection = self.database.connection().await;
        let read_uncommitted = "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED";
        connection.batch_execute(read_uncommitted).await.expect("the isolation can be set");
        let row: Number = diesel::sql_query(query).get_result(&mut connection).await.expect("the query is valid");
        row.n
    }

    /// Waits until the column `n` of the query has this value.
    pub(crate) async fn wait_for(&self, query: &str, wanted: i64) {
        let started = Instant::now();
        loop {
            let n = self.number(query).await;
            if n == wanted {
                return;
            }
            assert!(started.elapsed() < MAX_WAIT, "{n} instead of {wanted} after {MAX_WAIT:?}: {query}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until this many keys are held by open transactions.
    pub(crate) async fn wait_for_held_keys(&self, count: i64) {
        let held = "SELECT COUNT(*) AS n FROM idempotency_keys WHERE status = 'in_progress'";
        let started = Instant::now();
        while self.uncommitted_number(held).await != count {
            assert!(started.elapsed() < MAX_WAIT, "{count} keys are not held at once within {MAX_WAIT:?}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until a request in flight has acquired a key after this time, and returns when it did. Both times are in
    /// microseconds since 2000.
    pub(crate) async fn wait_for_key_after(&self, time: i64) -> i64 {
        let acquired = "SELECT COALESCE(MAX(TIMESTAMPDIFF(MICROSECOND, '2000-01-01', created_at)), 0) AS n \
                       FROM idempotency_keys WHERE status = 'in_progress'";
        let started = Instant::now();
        loop {
            let n = self.uncommitted_number(acquired).await;
            if n > time {
                return n;
            }
            assert!(started.elapsed() < MAX_WAIT, "no key was acquired within {MAX_WAIT:?}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Fails if a transaction that has read from or written to one of these tables stays open for a second.
    pub(crate) async fn assert_no_transaction_uses(&self, tables: &[&str]) {
        self.wait_for_transactions(tables, Duration::from_secs(1)).await;
    }

    /// Waits for the end of every transaction that has read from or written to one of these tables, by using LOCK
    /// TABLES. Fails if such a transaction is still open after `max_wait`.
    pub(crate) async fn wait_for_transactions(&self, tables: &[&str], max_wait: Duration) {
        let locks: Vec<_> = tables.iter().map(|table| format!("{table} WRITE")).collect();
        let (seconds, locks) = (max_wait.as_secs(), locks.join(", "));
        self.sql(&format!("SET lock_wait_timeout = {seconds}; LOCK TABLES {locks}; UNLOCK TABLES")).await;
    }

    /// Sends a POST request. Returns the response with its body as text.
    pub(crate) async fn post(&self, path: &str, key: &str, json: &str) -> RawResponse {
        self.post_to(&self.base_url, path, key, json).await
    }

    /// Sends a POST request to another server.
    pub(crate) async fn post_to(&self, base_url: &str, path: &str, key: &str, json: &str) -> RawResponse {
        let url = format!("{base_url}{path}");
        let request = self.http.post(url).bearer_auth(operator_token("ann")).header("x-idempotency-key", key);
        let response = request.body(json.to_owned()).send().await.expect("the server responds");
        let replayed = response.headers().contains_key("idempotent-replayed");
        RawResponse {
            status: response.status().as_u16(),
            replayed,
            body: response.text().await.expect("the body is text"),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RawResponse {
    pub(crate) status: u16,
    pub(crate) replayed: bool,
    pub(crate) body: String,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// An expired idempotency key that no request can use.
const EXPIRED_KEY: &str = "INSERT INTO idempotency_keys (scope, principal, `key`, nonce, request_hash, status, \
     created_at, expires_at) VALUES ('test', 'test', 'k', REPEAT('n', 16), REPEAT('h', 32), 'completed', \
     UTC_TIMESTAMP(6) - INTERVAL 4 DAY, UTC_TIMESTAMP(6) - INTERVAL 1 DAY)";

fn real_customers(database: &TestDatabase) -> Running<customers::Context> {
    let mut config =
        customers::Config::from_env(&env(database.url(), "http://unused")).expect("the settings are valid");
    config.runtime = testing::runtime(CUSTOMERS_DOCUMENT).expect("the document can be read");
    customers::start(config).expect("the customers service starts")
}

async fn insert_customer(database: TestDatabase) -> TestDatabase {
    let insert =
        "INSERT INTO customers (id, name, email, email_key) VALUES (1, 'ACME', 'ops@acme.com', 'ops@acme.com')";
    database.connection().await.batch_execute(insert).await.expect("the customer is inserted");
    database
}

/// Returns one client with an operator's token and one with a service token.
fn clients(base_url: &str, http: &reqwest::Client) -> [Client; 2] {
    [operator_token("ann"), SERVICE_TOKEN.to_owned()]
        .map(|token| Client::new_with_client(base_url, http.clone(), Outbound::new().bearer(&token)))
}

/// Returns a token for an operator, in the form that the customers service issues.
pub(crate) fn operator_token(name: &str) -> String {
    auth().tokens().issue(name, Role::Operator).expect("the token is signed")
}

/// Returns the authentication configured with the test servers' secrets.
pub(crate) fn auth() -> Auth {
    Auth::from_env(&env("", "")).expect("the settings are valid")
}

pub(crate) fn config(database_url: &str, customers_base: &str) -> Config {
    config_from(&env(database_url, customers_base))
}

/// Returns a configuration whose runtime checks every response against the OpenAPI document.
pub(crate) fn config_from(env: &Env<'_>) -> Config {
    let mut config = Config::from_env(env).expect("the settings are valid");
    config.runtime = testing::runtime(DOCUMENT).expect("the document can be read");
    config
}

fn config_with_pool_size(count: usize, database_url: &str, customers_base: &str) -> Config {
    let env = env(database_url, customers_base);
    let few = Env::new(|name| if name == "DB_POOL_SIZE" { Some(count.to_string()) } else { env.get(name) });
    config_from(&few)
}

/// Returns the test servers' settings. Port 0 lets the operating system choose a port.
pub(crate) fn env<'e>(database_url: &'e str, customers_base: &'e str) -> Env<'e> {
    Env::new(move |name| {
        let value = match name {
            "PORT" => "0",
            "DATABASE_URL" => database_url,
            "CUSTOMERS_API_BASE" => customers_base,
            "JWT_SECRET" => JWT_SECRET,
            "SERVICE_TOKEN" => SERVICE_TOKEN,
            "ADMIN_USER" => "admin",
            "ADMIN_PASSWORD" => "correct horse",
            _ => return None,
        };
        Some(value.to_owned())
    })
}

/// Builds the request to create an order for the customer.
pub(crate) fn new_order(lines: &[(i64, i64)]) -> types::builder::OrderInput {
    let item = |(product, qty): &(i64, i64)| types::OrderItemInput::builder().product_id(*product).qty(*qty);
    types::OrderInput::builder().customer_id(CUSTOMER).items(lines.iter().map(item))
}

/// Returns the status and the code of an error response.
pub(crate) fn error_of<T: std::fmt::Debug>(
    result: Result<ResponseValue<T>, Error<types::Error>>,
) -> (u16, Option<String>) {
    let error = expect_error(result);
    (error.status().as_u16(), error.into_inner().error_code)
}

/// Returns the error response, which must follow the API contract.
pub(crate) fn expect_error<T: std::fmt::Debug>(
    result: Result<ResponseValue<T>, Error<types::Error>>,
) -> ResponseValue<types::Error> {
    match result.expect_err("the request fails") {
        Error::ErrorResponse(response) => response,
        other => panic!("expected a documented error response, got {other:?}"),
    }
}

pub(crate) fn api_error(status: u16, code: &str) -> (u16, Option<String>) {
    (status, Some(code.to_owned()))
}

/// Returns whether the response is marked as replayed.
pub(crate) fn is_replay<T>(response: &ResponseValue<T>) -> bool {
    response.headers().get("idempotent-replayed").is_some_and(|value| value == "true")
}
