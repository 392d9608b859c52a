//! A server of its own for each test, on a database of its own, beside a customers service of its own.

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
/// How long to wait before looking again.
const POLL: Duration = Duration::from_millis(20);
/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The one customer of a database that was not seeded.
pub(crate) const CUSTOMER: i64 = 1;

/// A running server. It ends with the test, unless it is closed before.
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
    /// With one customer and no products.
    pub(crate) async fn start() -> Self {
        let database = with_a_customer(TestDatabase::create().await).await;
        Self::beside_real_customers(database)
    }

    /// With the rows of the seed.
    pub(crate) async fn seeded() -> Self {
        Self::beside_real_customers(TestDatabase::seeded().await)
    }

    /// With one customer, whom the customers service at this address is asked about.
    pub(crate) async fn beside(customers_base: &str) -> Self {
        let database = with_a_customer(TestDatabase::create().await).await;
        let config = config(database.url(), customers_base);
        Self::on(database, config, None, customers_base)
    }

    /// With one customer, and a proxy between the server and its database. Until something is asked of the server, it
    /// sends no COMMIT from here on: its first look for expired keys is over.
    pub(crate) async fn behind_a_proxy() -> (Self, Proxy) {
        let database = with_a_customer(TestDatabase::create().await).await;
        database.connection().await.batch_execute(EXPIRED_KEY).await.expect("the key is made");
        let proxy = Proxy::start(database.url()).await;
        let customers = real_customers(&database);
        let (config, base) = (config(proxy.database_url(), &customers.base_url()), customers.base_url());
        let harness = Self::on(database, config, Some(customers), &base);
        harness.becomes("SELECT COUNT(*) AS n FROM idempotency_keys", 0).await;
        (harness, proxy)
    }

    /// With one customer, and so many connections to the database.
    pub(crate) async fn with_connections(count: usize) -> Self {
        let database = with_a_customer(TestDatabase::create().await).await;
        let customers = real_customers(&database);
        let (config, base) = (few_connections(count, database.url(), &customers.base_url()), customers.base_url());
        Self::on(database, config, Some(customers), &base)
    }

    fn beside_real_customers(database: TestDatabase) -> Self {
        let customers = real_customers(&database);
        let (config, base) = (config(database.url(), &customers.base_url()), customers.base_url());
        Self::on(database, config, Some(customers), &base)
    }

    fn on(
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

    /// One more server on the same database.
    pub(crate) fn another_server(&self) -> Running<Context> {
        orders::start(config(self.database.url(), &self.customers_base)).expect("the server starts")
    }

    /// An operator who calls that server.
    pub(crate) fn operator_at(&self, server: &Running<Context>) -> Client {
        let [operator, _] = clients(&server.base_url(), &self.http);
        operator
    }

    /// Ends the server and goes on with another one, on the same database.
    pub(crate) async fn restart(&mut self) {
        self.close().await;
        let server = self.another_server();
        self.base_url = server.base_url();
        [self.operator, self.service] = clients(&self.base_url, &self.http);
        self.server = Some(server);
    }

    /// Closes the server. The database can still be looked at.
    pub(crate) async fn close(&mut self) {
        self.server.take().expect("the server was not closed before").close().await;
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// Where the customers service is.
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

    /// A product that exists from now on, at 100 cents.
    pub(crate) async fn product(&self, sku: &str, stock: i64) -> i64 {
        let new = types::NewProduct::builder().sku(sku).name(format!("Product {sku}")).price_cents(100).stock(stock);
        self.operator().product_create().body(new).send().await.expect("the product is made").id
    }

    pub(crate) async fn stock(&self, id: i64) -> i64 {
        self.operator().product_view().id(id).send().await.expect("the product is there").stock
    }

    /// An order of the customer that exists from now on.
    pub(crate) async fn order(&self, lines: &[(i64, i64)]) -> types::Order {
        let answer = self.operator().order_create().body(new_order(lines)).send().await;
        answer.expect("the order is made").into_inner()
    }

    pub(crate) async fn confirmed(&self, lines: &[(i64, i64)]) -> types::Order {
        let id = self.order(lines).await.id;
        let answer = self.operator().order_confirm().id(id).x_idempotency_key(format!("confirm-{id}")).send().await;
        answer.expect("the order is confirmed").into_inner()
    }

    /// Changes the database behind the server's back.
    pub(crate) async fn sql(&self, statements: &str) {
        let mut connection = self.database.connection().await;
        connection.batch_execute(statements).await.expect("the statements are good");
    }

    /// The one number that a query gives as `n`.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        let mut connection = self.database.connection().await;
        let row: Number = diesel::sql_query(query).get_result(&mut connection).await.expect("the query is good");
        row.n
    }

    /// The same, of rows that no transaction has committed yet, too.
    pub(crate) async fn uncommitted_number(&self, query: &str) -> i64 {
        let mut connection = self.database.connection().await;
        let look = "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED";
        connection.batch_execute(look).await.expect("the isolation can be set");
        let row: Number = diesel::sql_query(query).get_result(&mut connection).await.expect("the query is good");
        row.n
    }

    /// Waits until this is the one number that the query gives.
    pub(crate) async fn becomes(&self, query: &str, wanted: i64) {
        let started = Instant::now();
        loop {
            let n = self.number(query).await;
            if n == wanted {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "after {PATIENCE:?} still {n} instead of {wanted}: {query}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until a request has claimed a key after this moment, in microseconds, and gives when that was. It need not
    /// have done anything more.
    pub(crate) async fn claimed_after(&self, moment: i64) -> i64 {
        let claimed = "SELECT COALESCE(MAX(TIMESTAMPDIFF(MICROSECOND, '2000-01-01', created_at)), 0) AS n \
                       FROM idempotency_keys WHERE status = 'in_progress'";
        let started = Instant::now();
        loop {
            let n = self.uncommitted_number(claimed).await;
            if n > moment {
                return n;
            }
            assert!(started.elapsed() < PATIENCE, "after {PATIENCE:?} nobody has claimed a key");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Fails if a transaction is open that has so much as read from one of these tables: locking a whole table waits for
    /// the end of every such transaction.
    pub(crate) async fn no_transaction_uses(&self, tables: &[&str]) {
        self.transactions_end(tables, Duration::from_secs(1)).await;
    }

    /// Waits so long for the end of every transaction that has so much as read from one of these tables, and fails if
    /// one stays open.
    pub(crate) async fn transactions_end(&self, tables: &[&str], patience: Duration) {
        let locks: Vec<_> = tables.iter().map(|table| format!("{table} WRITE")).collect();
        let (seconds, locks) = (patience.as_secs(), locks.join(", "));
        self.sql(&format!("SET lock_wait_timeout = {seconds}; LOCK TABLES {locks}; UNLOCK TABLES")).await;
    }

    /// A POST whose answer's bytes matter.
    pub(crate) async fn post(&self, path: &str, key: &str, json: &str) -> Raw {
        self.post_to(&self.base_url, path, key, json).await
    }

    /// The same to another server.
    pub(crate) async fn post_to(&self, base_url: &str, path: &str, key: &str, json: &str) -> Raw {
        let url = format!("{base_url}{path}");
        let request = self.http.post(url).bearer_auth(operator_token("ann")).header("x-idempotency-key", key);
        let answer = request.body(json.to_owned()).send().await.expect("an answer comes");
        let replayed = answer.headers().contains_key("idempotent-replayed");
        Raw { status: answer.status().as_u16(), replayed, body: answer.text().await.expect("the body is text") }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) status: u16,
    pub(crate) replayed: bool,
    pub(crate) body: String,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// A key that no request can have, long past its time.
const EXPIRED_KEY: &str = "INSERT INTO idempotency_keys (scope, principal, `key`, nonce, request_hash, status, \
     created_at, expires_at) VALUES ('test', 'test', 'k', REPEAT('n', 16), REPEAT('h', 32), 'completed', \
     UTC_TIMESTAMP(6) - INTERVAL 4 DAY, UTC_TIMESTAMP(6) - INTERVAL 1 DAY)";

fn real_customers(database: &TestDatabase) -> Running<customers::Context> {
    let mut config = customers::Config::from_env(&env(database.url(), "http://unused")).expect("the settings are good");
    config.runtime = testing::runtime(CUSTOMERS_DOCUMENT).expect("the document can be read");
    customers::start(config).expect("the customers service starts")
}

async fn with_a_customer(database: TestDatabase) -> TestDatabase {
    let insert =
        "INSERT INTO customers (id, name, email, email_key) VALUES (1, 'ACME', 'ops@acme.com', 'ops@acme.com')";
    database.connection().await.batch_execute(insert).await.expect("the customer is made");
    database
}

/// The clients of an operator and of a service.
fn clients(base_url: &str, http: &reqwest::Client) -> [Client; 2] {
    [operator_token("ann"), SERVICE_TOKEN.to_owned()]
        .map(|token| Client::new_with_client(base_url, http.clone(), Outbound::new().bearer(&token)))
}

/// A token as the customers service issues it.
pub(crate) fn operator_token(name: &str) -> String {
    auth().tokens().issue(name, Role::Operator).expect("the token is signed")
}

/// What the servers tell callers apart with.
pub(crate) fn auth() -> Auth {
    Auth::from_env(&env("", "")).expect("the settings are good")
}

pub(crate) fn config(database_url: &str, customers_base: &str) -> Config {
    config_from(&env(database_url, customers_base))
}

/// With a runtime that holds every answer to the document.
pub(crate) fn config_from(env: &Env<'_>) -> Config {
    let mut config = Config::from_env(env).expect("the settings are good");
    config.runtime = testing::runtime(DOCUMENT).expect("the document can be read");
    config
}

fn few_connections(count: usize, database_url: &str, customers_base: &str) -> Config {
    let env = env(database_url, customers_base);
    let few = Env::new(|name| if name == "DB_POOL_SIZE" { Some(count.to_string()) } else { env.get(name) });
    config_from(&few)
}

/// The settings of a test's servers. Port 0 lets the system choose.
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

/// An order of the customer, to be made.
pub(crate) fn new_order(lines: &[(i64, i64)]) -> types::builder::NewOrder {
    let item = |(product, qty): &(i64, i64)| types::NewOrderItem::builder().product_id(*product).qty(*qty);
    types::NewOrder::builder().customer_id(CUSTOMER).items(lines.iter().map(item))
}

/// The status and the code of an error answer.
pub(crate) fn refusal<T: std::fmt::Debug>(
    result: Result<ResponseValue<T>, Error<types::Error>>,
) -> (u16, Option<String>) {
    let error = refused_with(result);
    (error.status().as_u16(), error.into_inner().error_code)
}

/// An error answer of the contract.
pub(crate) fn refused_with<T: std::fmt::Debug>(
    result: Result<ResponseValue<T>, Error<types::Error>>,
) -> ResponseValue<types::Error> {
    match result.expect_err("the request is refused") {
        Error::ErrorResponse(answer) => answer,
        other => panic!("expected an error of the contract, got {other:?}"),
    }
}

pub(crate) fn refused(status: u16, code: &str) -> (u16, Option<String>) {
    (status, Some(code.to_owned()))
}

/// Whether the answer is one that an earlier request got.
pub(crate) fn is_replay<T>(answer: &ResponseValue<T>) -> bool {
    answer.headers().get("idempotent-replayed").is_some_and(|value| value == "true")
}
