//! Typed client for the orders service, generated from `specs/orders.json`: products, their stock, and orders.
//!
//! ```no_run
//! use futures::TryStreamExt;
//! use orders_client::types::{OrderInput, OrderItemInput, OrderStatus};
//! use orders_client::{Client, codes};
//! use client_common::{Outbound, Retry, send};
//!
//! # async fn example(token: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let orders = Client::connect("http://127.0.0.1:3002", Outbound::new().bearer(token))?;
//!
//! // An idempotency key makes the create request repeatable: a retry never creates a second order.
//! let item = OrderItemInput::builder().product_id(2).qty(3);
//! let new = OrderInput::builder().customer_id(1).items([item]);
//! let create = || send(orders.order_create().x_idempotency_key("2026-11-22/acme/1").body(new.clone()).send());
//! let order = match Retry::default().repeatable(create).await {
//!     Ok(order) => order,
//!     Err(fault) if fault.has_code(codes::INSUFFICIENT_STOCK) => {
//!         for shortage in fault.body().into_iter().flat_map(|body| &body.details) {
//!             println!("product {:?}: {:?} available", shortage.product_id, shortage.available);
//!         }
//!         return Ok(());
//!     }
//!     Err(fault) => return Err(fault.into()),
//! };
//!
//! let confirm = || send(orders.order_confirm().id(order.id).x_idempotency_key("2026-11-22/acme/1/confirm").send());
//! Retry::default().repeatable(confirm).await?;
//!
//! // A list is a stream of rows, newest first. Rows that are added concurrently do not affect the stream.
//! let confirmed = orders.order_list().status(OrderStatus::Confirmed).limit(100).rows(Retry::default());
//! let cents = confirmed.try_fold(0, async |sum, order| Ok(sum + order.total_cents)).await?;
//! println!("{cents} cents");
//! # Ok(())
//! # }
//! ```
//!
//! # Idempotency keys
//!
//! Create one key per change, and keep it until the outcome is known. Retrying with the same key and content returns
//! the stored response, byte for byte, for at least 24 hours. Different content fails with
//! [`IDEMPOTENCY_KEY_REUSED`](codes::IDEMPOTENCY_KEY_REUSED). Only successful responses are stored, so a request that
//! was rejected is executed again when it is retried with the same key.
//!
//! For operations that do not accept a key, such as creating a product, use
//! [`unrepeatable`](client_common::Retry::unrepeatable). After [`OUTCOME_UNKNOWN`](codes::OUTCOME_UNKNOWN), a timeout
//! or an incomplete response, check whether the change was applied before you retry.
//!
//! # Structure
//!
//! [`Client`] has a method per operation, which returns a builder from [`builder`] with a method per parameter. Request
//! and response bodies are in [`types`]; errors are in [`codes`] and [`Fault`]. Everything is generated from the
//! document at build time, except [`Client::connect`], the `rows` methods of lists and the implementation of
//! [`Coded`](client_common::Coded).
//!
//! [`Fault`]: client_common::Fault

mod generated {
    #![expect(clippy::all, clippy::restriction, clippy::pedantic, missing_docs, reason = "generated code")]

    include!(concat!(env!("OUT_DIR"), "/client.rs"));
}

pub use generated::*;

client_common::client! {
    "../../../specs/orders.json":
    OrderList of OrderSummary,
    ProductList of Product,
    StockAdjustmentList of StockMovement
}

impl client_common::Coded for types::Error {
    const UNCHANGED_CODES: &'static [&'static str] =
        &[codes::UNAVAILABLE, codes::CUSTOMER_SERVICE_UNAVAILABLE, codes::IDEMPOTENCY_IN_PROGRESS];

    fn code(&self) -> Option<&str> {
        self.error_code.as_deref()
    }
}
