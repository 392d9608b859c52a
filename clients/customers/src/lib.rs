//! Typed client of the customers service, generated from `specs/customers.json`: logging in, and keeping customers.
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
//! // A call is made of its parts and sent once. A value that the contract forbids is not even sent.
//! let acme = CustomerInput::builder().name("ACME").email("ops@acme.com");
//! match send(customers.customer_create().body(acme).send()).await {
//!     Ok(made) => println!("{} is {}", made.name, made.id),
//!     Err(fault) if fault.has_code(codes::EMAIL_TAKEN) => println!("it is there already"),
//!     Err(fault) => return Err(fault.into()),
//! }
//!
//! // What reads may be sent again, whatever became of it.
//! let view = || send(customers.customer_view().id(1).send());
//! let seen = Retry::default().repeatable(view).await?;
//!
//! // Changes only what was seen: 412 where somebody else was faster.
//! let renamed = CustomerInput::builder().name("ACME Ltd").email(seen.email.clone());
//! let etag = format!("\"v{}\"", seen.version);
//! send(customers.customer_update().id(1).if_match(etag).body(renamed).send()).await?;
//!
//! // Every customer whose name or email address has a word that begins like this, newest first.
//! let mut found = customers.customer_list().search("acme").limit(100).rows(Retry::default());
//! while let Some(customer) = found.try_next().await? {
//!     println!("{}", customer.name);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A token ends: [`types::Token::expires_in`] says when, and after that every call is answered 401
//! [`UNAUTHORIZED`](codes::UNAUTHORIZED). Log in again, and make a new client.
//!
//! # Where things are
//!
//! [`Client`] has one method for each operation; each returns a builder of [`builder`], whose methods are the parameters.
//! What goes in and comes out is in [`types`], what can go wrong in [`codes`] and [`Fault`]. All of it is generated from
//! the document when the crate is built, but for `codes`, [`Client::connect`], [`log_in`], the `rows` of lists and what an
//! error body says of itself.
//!
//! [`Fault`]: client_common::Fault

mod generated {
    #![expect(clippy::all, clippy::restriction, clippy::pedantic, missing_docs, reason = "generated code")]

    include!(concat!(env!("OUT_DIR"), "/client.rs"));
}

pub use generated::*;

client_common::client!("../../../specs/customers.json": CustomerList of Customer, OperatorList of OperatorAccount);

impl client_common::Coded for types::Error {
    const NOTHING_DONE: &'static [&'static str] = &[codes::UNAVAILABLE];

    fn code(&self) -> Option<&str> {
        self.error_code.as_deref()
    }
}

/// Logs an operator in, and gives what shows who calls: for clients of this service, and of the others.
///
/// # Errors
///
/// [`UNAUTHORIZED`](codes::UNAUTHORIZED) where the name or the password is wrong; [`TOO_MANY_ATTEMPTS`](codes::TOO_MANY_ATTEMPTS)
/// where that was so too often; [`Fault::Invalid`] where they or `base` cannot be right.
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
