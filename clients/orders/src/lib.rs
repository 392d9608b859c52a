//! Typed client of the orders service, generated from `specs/orders.json`: products, their stock, and orders.
//!
//! ```no_run
//! use futures::TryStreamExt;
//! use orders_client::types::{NewOrder, NewOrderItem, OrderStatus};
//! use orders_client::{Client, codes};
//! use client_common::{Outbound, Retry, send};
//!
//! # async fn example(token: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let orders = Client::connect("http://127.0.0.1:3002", Outbound::new().bearer(token))?;
//!
//! // Under a key a create is repeatable: it never makes a second order, whatever became of the attempts before.
//! let item = NewOrderItem::builder().product_id(2).qty(3);
//! let new = NewOrder::builder().customer_id(1).items([item]);
//! let create = || send(orders.order_create().x_idempotency_key("2026-11-22/acme/1").body(new.clone()).send());
//! let order = match Retry::default().repeatable(create).await {
//!     Ok(order) => order,
//!     Err(fault) if fault.has_code(codes::INSUFFICIENT_STOCK) => {
//!         for lack in fault.body().into_iter().flat_map(|body| &body.details) {
//!             println!("of product {:?} there are {:?}", lack.product_id, lack.available);
//!         }
//!         return Ok(());
//!     }
//!     Err(fault) => return Err(fault.into()),
//! };
//!
//! let confirm = || send(orders.order_confirm().id(order.id).x_idempotency_key("2026-11-22/acme/1/confirm").send());
//! Retry::default().repeatable(confirm).await?;
//!
//! // A list is a stream of its rows, newest first. Rows that are added meanwhile do not disturb it.
//! let confirmed = orders.order_list().status(OrderStatus::Confirmed).limit(100).rows(Retry::default());
//! let cents = confirmed.try_fold(0, async |sum, order| Ok(sum + order.total_cents)).await?;
//! println!("{cents} cents");
//! # Ok(())
//! # }
//! ```
//!
//! # Keys
//!
//! A key is made once for each thing that is to happen once, and kept until it is known what came of it: the same key with
//! the same content gets the first answer, byte for byte, for at least a day. With other content it is
//! [`IDEMPOTENCY_KEY_REUSED`](codes::IDEMPOTENCY_KEY_REUSED). Only what succeeded is kept, so what was refused is judged
//! anew under the same key.
//!
//! What takes no key, as creating a product, goes through [`unrepeatable`](client_common::Retry::unrepeatable): after
//! [`OUTCOME_UNKNOWN`](codes::OUTCOME_UNKNOWN), a cut-off answer or none, look whether it is there before you send it again.
//!
//! # Where things are
//!
//! [`Client`] has one method for each operation; each returns a builder of [`builder`], whose methods are the parameters.
//! What goes in and comes out is in [`types`], what can go wrong in [`codes`] and [`Fault`]. All of it is generated from
//! the document when the crate is built, but for `codes`, [`Client::connect`], the `rows` of lists and what an error body
//! says of itself.
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
    const NOTHING_DONE: &'static [&'static str] =
        &[codes::UNAVAILABLE, codes::CUSTOMER_SERVICE_UNAVAILABLE, codes::IDEMPOTENCY_IN_PROGRESS];

    fn code(&self) -> Option<&str> {
        self.error_code.as_deref()
    }
}
