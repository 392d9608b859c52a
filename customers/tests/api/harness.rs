//! Test harness: each test has its own server and database.

use std::time::Duration;

use client_common::Outbound;
use common_server::Running;
use common_server::auth::Auth;
use common_server::settings::Env;
use common_server::testing;
use customers::{Config, Context};
use customers_client::{Client, Error, ResponseValue, types};
use db_testing::TestDatabase;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

pub(crate) const DOCUMENT: &str = include_str!("../../../specs/customers.json");
pub(crate) const SERVICE_TOKEN: &str = "service-token-for-integration-tests-only";
pub(crate) const JWT_SECRET: &str = "jwt-secret-for-integration-tests-only";
pub(crate) const USER: &str = "admin";
pub(crate) const PASSWORD: &str = "correct horse";

/// Running server with its database. Dropping it stops the server.
pub(crate) struct Harness {
    server: Running<Context>,
    http: reqwest::Client,
    /// Dropped after the server, because the server uses it.
    database: TestDatabase,
}

impl Harness {
    pub(crate) async fn start() -> Self {
        Self::on(TestDatabase::create().await)
    }

    pub(crate) async fn seeded() -> Self {
        Self::on(TestDatabase::seeded().await)
    }

    /// Starts a server that trusts the loopback address as a proxy.
    pub(crate) async fn behind_proxy() -> Self {
        let database = TestDatabase::create().await;
        let server = start_server(&env(database.url(), Some("127.0.0.1")));
        Self { server, http: http(), database }
    }

    fn on(database: TestDatabase) -> Self {
        let server = start_server(&env(database.url(), None));
        Self { server, http: http(), database }
    }

    /// Starts a second server that uses the same database.
    pub(crate) fn start_replica(&self) -> Running<Context> {
        start_server(&env(self.database.url(), None))
    }

    /// Executes SQL statements.
    pub(crate) async fn sql(&self, statement: &str) {
        self.database.connection().await.batch_execute(statement).await.expect("the statement runs");
    }

    /// Runs a query and returns its only value, an integer.
    pub(crate) async fn query_integer(&self, query: &str) -> i64 {
        let query = diesel::dsl::sql::<diesel::sql_types::BigInt>(&format!("CAST(({query}) AS SIGNED)"));
        let mut connection = self.database.connection().await;
        diesel::select(query).get_result(&mut connection).await.expect("the query runs")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.base_url())
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) fn client(&self, outbound: Outbound) -> Client {
        Client::new_with_client(&self.server.base_url(), self.http.clone(), outbound)
    }

    pub(crate) async fn token(&self) -> String {
        self.token_for(USER, PASSWORD).await
    }

    async fn token_for(&self, username: &str, password: &str) -> String {
        let token = self.log_in(username, password).await;
        token.expect("the login succeeds").into_inner().access_token
    }

    pub(crate) async fn log_in(
        &self,
        username: &str,
        password: &str,
    ) -> Result<ResponseValue<types::Token>, Error<types::Error>> {
        let credentials = types::Credentials::builder().username(username).password(password);
        self.client(Outbound::new()).token_create().body(credentials).send().await
    }

    /// Logs in through a proxy, for a client at this address.
    pub(crate) async fn log_in_from(&self, address: &str, username: &str, password: &str) -> reqwest::Response {
        let credentials = serde_json::json!({ "username": username, "password": password });
        let request = self.http.post(self.url("/auth/token")).header("x-client-address", address).json(&credentials);
        request.send().await.expect("the server responds")
    }

    /// Returns a client logged in as the bootstrap admin.
    pub(crate) async fn admin(&self) -> Client {
        self.client(Outbound::new().bearer(&self.token().await))
    }

    /// Returns a client logged in with these credentials.
    pub(crate) async fn logged_in(&self, username: &str, password: &str) -> Client {
        self.client(Outbound::new().bearer(&self.token_for(username, password).await))
    }

    /// Returns a client that authenticates with the service token.
    pub(crate) fn service(&self) -> Client {
        self.client(Outbound::new().bearer(SERVICE_TOKEN))
    }
}

/// Returns the settings of a test server. Port 0 selects a free port.
pub(crate) fn config(database_url: &str) -> Config {
    config_from(&env(database_url, None))
}

/// Returns the settings, with a runtime that verifies every response against the OpenAPI document.
fn config_from(env: &Env<'_>) -> Config {
    let mut config = Config::from_env(env).expect("the settings are valid");
    config.runtime = testing::runtime(DOCUMENT).expect("the document can be read");
    config
}

/// Returns the authentication settings of the server.
pub(crate) fn auth() -> Auth {
    Auth::from_env(&env("", None)).expect("the settings are valid")
}

fn start_server(env: &Env<'_>) -> Running<Context> {
    customers::start(config_from(env)).expect("the server starts")
}

fn http() -> reqwest::Client {
    client_common::http_client(Duration::from_secs(2), Duration::from_secs(30)).expect("TLS can be set up")
}

fn env<'a>(database_url: &'a str, trusted_proxies: Option<&'a str>) -> Env<'a> {
    Env::new(move |name| {
        let value = match name {
            "PORT" => "0",
            "DATABASE_URL" => database_url,
            "JWT_SECRET" => JWT_SECRET,
            "SERVICE_TOKEN" => SERVICE_TOKEN,
            "ADMIN_USER" => USER,
            "ADMIN_PASSWORD" => PASSWORD,
            "TRUSTED_PROXIES" => trusted_proxies?,
            _ => return None,
        };
        Some(value.to_owned())
    })
}

/// Creates a user account with [`PASSWORD`].
pub(crate) async fn create_account(admin: &Client, username: &str, role: types::Role) -> types::OperatorAccount {
    let new = types::OperatorInput::builder().username(username).password(PASSWORD).role(role);
    admin.operator_create().body(new).send().await.expect("the account is created").into_inner()
}

/// Creates a customer.
pub(crate) async fn create_customer(client: &Client, name: &str, email: &str) -> types::Customer {
    let input = types::CustomerInput::builder().name(name).email(email);
    client.customer_create().body(input).send().await.expect("the customer is created").into_inner()
}

/// Returns the status and the error code of a rejected request.
pub(crate) fn refusal<T: std::fmt::Debug>(
    result: Result<ResponseValue<T>, Error<types::Error>>,
) -> (u16, Option<String>) {
    match result.expect_err("the request is refused") {
        Error::ErrorResponse(response) => (response.status().as_u16(), response.into_inner().error_code),
        other => panic!("expected an error of the contract, got {other:?}"),
    }
}

/// Returns the expected [`refusal`] with this status and error code.
pub(crate) fn refused(status: u16, code: &str) -> (u16, Option<String>) {
    (status, Some(code.to_owned()))
}
