//! Typed client for the customers service, generated from `specs/customers.json`: access tokens, customers and user
//! accounts.
//!
//! ```no_run
//! use customers_client::types::CustomerInput;
//! use customers_client::{Client, codes, log_in};
//! use futures::TryStreamExt;
//! use client_common::{Retry, send};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let base = "http://127.0.0.1:3001";
//! let customers = Client::connect(base, log_in(base, "admin", "admin").await?.correlation_id("import-17"))?;
//!
//! // A call is built from its parameters and sent once. A request with an invalid value is not sent.
//! let acme = CustomerInput::builder().name("ACME").email("ops@acme.com");
//! match send(customers.customer_create().body(acme).send()).await {
//!     Ok(customer) => println!("created {} as {}", customer.name, customer.id),
//!     Err(fault) if fault.has_code(codes::EMAIL_TAKEN) => println!("already exists"),
//!     Err(fault) => return Err(fault.into()),
//! }
//!
//! // Reads are repeatable.
//! let view = || send(customers.customer_view().id(1).send());
//! let customer = Retry::default().repeatable(view).await?;
//!
//! // Update the customer only if its version is unchanged; otherwise, the service returns 412.
//! let renamed = CustomerInput::builder().name("ACME Ltd").email(customer.email.clone());
//! let etag = format!("\"v{}\"", customer.version);
//! send(customers.customer_update().id(1).if_match(etag).body(renamed).send()).await?;
//!
//! // All customers with a matching word in the name or the email address, newest first.
//! let mut found = customers.customer_list().search("acme").limit(100).rows(Retry::default());
//! while let Some(customer) = found.try_next().await? {
//!     println!("{}", customer.name);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A token expires after [`types::Token::expires_in`] seconds. After that, every call fails with status 401 and code
//! [`UNAUTHORIZED`](codes::UNAUTHORIZED): log in again, and create a new client.
//!
//! # Structure
//!
//! [`Client`] has a method per operation, which returns a builder from [`builder`] with a method per parameter. Request
//! and response bodies are in [`types`]; errors are in [`codes`] and [`Fault`]. Everything is generated from the
//! document at build time, except [`Client::connect`], [`log_in`], the `rows` methods of lists and the implementation
//! of [`Coded`](client_common::Coded).
//!
//! [`Fault`]: client_common::Fault

mod generated {
    #![expect(clippy::all, clippy::restriction, clippy::pedantic, missing_docs, reason = "generated code")]

    include!(concat!(env!("OUT_DIR"), "/client.rs"));
}

pub use generated::*;

client_common::client!("../../../specs/customers.json": CustomerList of Customer, OperatorList of OperatorAccount);

impl client_common::Coded for types::Error {
    const UNCHANGED_CODES: &'static [&'static str] = &[codes::UNAVAILABLE];

    fn code(&self) -> Option<&str> {
        self.error_code.as_deref()
    }
}

/// Logs in with a user account. Returns the headers that authenticate clients of all services.
///
/// # Errors
///
/// [`UNAUTHORIZED`](codes::UNAUTHORIZED) for an incorrect username or password;
/// [`TOO_MANY_ATTEMPTS`](codes::TOO_MANY_ATTEMPTS) after too many failed attempts; [`Fault::Invalid`] for an invalid
/// argument.
///
/// [`Fault::Invalid`]: client_common::Fault::Invalid
pub async fn log_in(
    base: &str,
    username: &str,
    password: &str,
) -> Result<client_common::Outbound, client_common::Fault<types::Error>> {
    let invalid = |error: client_common::ConnectError| client_common::Fault::Invalid(error.to_string());
    let client = Client::connect(base, client_common::Outbound::new()).map_err(invalid)?;
    let credentials = types::Credentials::builder().username(username).password(password);
    let token = client_common::send(client.token_create().body(credentials).send()).await?;
    Ok(client_common::Outbound::new().bearer(&token.access_token))
}
