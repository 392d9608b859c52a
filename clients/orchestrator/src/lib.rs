//! Typed client of the orchestrator, generated from `specs/orchestrator.json`: an order made and confirmed in one call.
//!
//! ```no_run
//! use orchestrator_client::types::{CreateAndConfirm, Item};
//! use orchestrator_client::{Client, codes};
//! use client_common::{Outbound, Retry, send};
//!
//! # async fn example(service_token: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let orchestrator = Client::connect("http://127.0.0.1:3003", Outbound::new().bearer(service_token))?;
//!
//! // The key in the body makes it repeatable.
//! let order = CreateAndConfirm::builder()
//!     .customer_id(1)
//!     .items([Item::builder().product_id(2).qty(3)])
//!     .idempotency_key("abc-123");
//! let call = || send(orchestrator.order_create_and_confirm().body(order.clone()).send());
//! match Retry::default().repeatable(call).await {
//!     Ok(done) => println!("order {} is confirmed", done.data.order.id),
//!     Err(fault) if fault.has_code(codes::INSUFFICIENT_STOCK) => println!("there is too little"),
//!     Err(fault) => return Err(fault.into()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A failure says of itself whether the same request may be sent again ([`types::FailureReason::safe_to_retry`]), and
//! [`Retry`](client_common::Retry) does as it says. An answer may take 28 s, less than the shared connections wait.
//!
//! # Where things are
//!
//! [`Client`] has one method for each operation; each returns a builder of [`builder`], whose methods are the parameters.
//! What goes in and comes out is in [`types`], what can go wrong in [`codes`] and [`Fault`]. All of it is generated from
//! the document when the crate is built, but for `codes`, [`Client::connect`] and what an error body says of itself.
//!
//! [`Fault`]: client_common::Fault

mod generated {
    #![expect(clippy::all, clippy::restriction, clippy::pedantic, missing_docs, reason = "generated code")]

    include!(concat!(env!("OUT_DIR"), "/client.rs"));
}

pub use generated::*;

client_common::client!("../../../specs/orchestrator.json":);

impl client_common::Coded for types::Failure {
    const NOTHING_DONE: &'static [&'static str] =
        &[codes::UNAVAILABLE, codes::UPSTREAM_UNAVAILABLE, codes::UPSTREAM_TIMEOUT, codes::IDEMPOTENCY_IN_PROGRESS];

    fn code(&self) -> Option<&str> {
        Some(&self.error.code)
    }

    /// Waiting alone brings no stock.
    fn may_pass(&self) -> Option<bool> {
        Some(self.error.safe_to_retry && self.error.code != codes::INSUFFICIENT_STOCK)
    }
}

/// The example in the clients' README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
