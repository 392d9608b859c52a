//! Typed client for the orchestrator, generated from `specs/orchestrator.json`: creates and confirms an order in one
//! call.
//!
//! ```no_run
//! use orchestrator_client::types::{CreateAndConfirm, Item};
//! use orchestrator_client::{Client, codes};
//! use client_common::{Outbound, Retry, send};
//!
//! # async fn example(service_token: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let orchestrator = Client::connect("http://127.0.0.1:3003", Outbound::new().bearer(service_token))?;
//!
//! // The idempotency key in the body makes the call repeatable.
//! let order = CreateAndConfirm::builder()
//!     .customer_id(1)
//!     .items([Item::builder().product_id(2).qty(3)])
//!     .idempotency_key("abc-123");
//! let call = || send(orchestrator.order_create_and_confirm().body(order.clone()).send());
//! match Retry::default().repeatable(call).await {
//!     Ok(done) => println!("order {} is confirmed", done.data.order.id),
//!     Err(fault) if fault.has_code(codes::INSUFFICIENT_STOCK) => println!("insufficient stock"),
//!     Err(fault) => return Err(fault.into()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A failure states whether the same request can be retried ([`types::FailureReason::safe_to_retry`]), and
//! [`Retry`](client_common::Retry) retries accordingly. A saga takes at most 20 s, which is less than the timeout of
//! the shared connection pool.
//!
//! # Structure
//!
//! [`Client`] has a method per operation, which returns a builder from [`builder`] with a method per parameter. Request
//! and response bodies are in [`types`]; errors are in [`codes`] and [`Fault`]. Everything is generated from the
//! document at build time, except [`Client::connect`] and the implementation of [`Coded`](client_common::Coded).
//!
//! [`Fault`]: client_common::Fault

mod generated {
    #![expect(clippy::all, clippy::restriction, clippy::pedantic, missing_docs, reason = "generated code")]

    include!(concat!(env!("OUT_DIR"), "/client.rs"));
}

pub use generated::*;

client_common::client!("../../../specs/orchestrator.json":);

impl client_common::Coded for types::Failure {
    const UNCHANGED_CODES: &'static [&'static str] =
        &[codes::UNAVAILABLE, codes::UPSTREAM_UNAVAILABLE, codes::UPSTREAM_TIMEOUT, codes::IDEMPOTENCY_IN_PROGRESS];

    fn code(&self) -> Option<&str> {
        Some(&self.error.code)
    }

    /// Excludes `insufficient_stock`, because a delay does not make a retry more likely to succeed.
    fn is_transient(&self) -> Option<bool> {
        Some(self.error.safe_to_retry && self.error.code != codes::INSUFFICIENT_STOCK)
    }
}

/// Compiles the example in `clients/README.md`.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
