//! Business rules for products and orders. This module contains no HTTP and no SQL code.
//!
//! `create`, `confirm`, `cancel`, `abandon` and `expire` change orders; `orders` reads orders. `products` reads and
//! changes products and their stock. `idempotent` applies an order status transition at most once per idempotency key.

mod abandon;
mod cancel;
mod confirm;
mod create;
mod error;
mod expire;
mod idempotent;
mod orders;
mod products;

pub(crate) use create::Dispatcher;
pub(crate) use error::OrdersError;
pub(crate) use expire::expire;
pub(crate) use idempotent::OrderResponse;
pub(crate) use orders::Orders;
pub(crate) use products::Products;

/// Stock movement reasons that only the server may use.
mod reason {
    pub(super) const INITIAL: &str = "initial";
    pub(super) const SET: &str = "set";
    pub(super) const ORDER: &str = "order";
    pub(super) const CANCEL: &str = "cancel";
    pub(super) const RESERVED: [&str; 4] = [INITIAL, SET, ORDER, CANCEL];

    /// Whether the database or a reader may take this text for a reserved reason. The column's collation ignores
    /// trailing spaces; letter case and accents are ignored regardless of it.
    pub(super) fn is_reserved(reason: &str) -> bool {
        RESERVED.contains(&db::search::normalized(reason).trim())
    }
}
