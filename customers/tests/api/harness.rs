//! A server of its own for each test, on a database of its own.

use std::time::Duration;

use customers::{Config, Context};
use customers_client::{Client, Error, ResponseValue, types};
use db::testing::TestDatabase;
use outbound::Outbound;
use service::Running;
use service::auth::Auth;
use service::settings::Env;
use service::testing::hold_answers_to;

pub(crate) const DOCUMENT: &str = include_str!("../../../specs/customers.json");
pub(crate) const SERVICE_TOKEN: &str = "service-token-of-the-tests-and-of-nothing-else";
pub(crate) const JWT_SECRET: &str = "jwt-secret-of-the-tests-and-of-nothing-else";
pub(crate) const USER: &str = "admin";
pub(crate) const PASSWORD: &str = "correct horse";

/// A running server. It ends with the test.
pub(crate) struct Harness {
    server: Running<Context>,
    http: reqwest::Client,
    /// Lives as long as the server that uses it.
    _database: TestDatabase,
}

impl Harness {
    pub(crate) async fn start() -> Self {
        Self::on(TestDatabase::create().await)
    }

    pub(crate) async fn seeded() -> Self {
        Self::on(TestDatabase::seeded().await)
    }

    fn on(database: TestDatabase) -> Self {
        hold_answers_to(DOCUMENT).expect("the document can be read");
        let server = customers::start(config(database.url())).expect("the server starts");
        let http = outbound::http_client(Duration::from_secs(2), Duration::from_secs(30)).expect("TLS can be set up");
        Self { server, http, _database: database }
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
        let credentials = types::Credentials::builder().username(USER).password(PASSWORD);
        let token = self.client(Outbound::new()).token_create().body(credentials).send().await;
        token.expect("the operator gets a token").into_inner().access_token
    }

    pub(crate) async fn operator(&self) -> Client {
        self.client(Outbound::new().bearer(&self.token().await))
    }

    pub(crate) fn service(&self) -> Client {
        self.client(Outbound::new().bearer(SERVICE_TOKEN))
    }
}

/// The settings of a test's server. Port 0 lets the system choose.
pub(crate) fn config(database_url: &str) -> Config {
    Config::from_env(&env(database_url)).expect("the settings are good")
}

/// What the server tells callers apart with.
pub(crate) fn auth() -> Auth {
    Auth::from_env(&env("")).expect("the settings are good")
}

fn env(database_url: &str) -> Env<'_> {
    Env::new(move |name| {
        let value = match name {
            "PORT" => "0",
            "DATABASE_URL" => database_url,
            "JWT_SECRET" => JWT_SECRET,
            "SERVICE_TOKEN" => SERVICE_TOKEN,
            "ADMIN_USER" => USER,
            "ADMIN_PASSWORD" => PASSWORD,
            _ => return None,
        };
        Some(value.to_owned())
    })
}

/// A customer that exists from now on.
pub(crate) async fn make(client: &Client, name: &str, email: &str) -> types::Customer {
    let input = types::CustomerInput::builder().name(name).email(email);
    client.customer_create().body(input).send().await.expect("the customer is made").into_inner()
}

/// The status and the code of an error answer.
pub(crate) fn refusal<T: std::fmt::Debug>(
    result: Result<ResponseValue<T>, Error<types::Error>>,
) -> (u16, Option<String>) {
    match result.expect_err("the request is refused") {
        Error::ErrorResponse(answer) => (answer.status().as_u16(), answer.into_inner().error_code),
        other => panic!("expected an error of the contract, got {other:?}"),
    }
}

pub(crate) fn refused(status: u16, code: &str) -> (u16, Option<String>) {
    (status, Some(code.to_owned()))
}
