//! Vocabulary of every contract: checked values, identifiers, error codes, failures, pages and document metadata.
//!
//! A leaf: nothing here reads a request, sends a response or runs a server. Extractors and responses are in `common-http`,
//! authentication and server life cycle in `common-server`.

pub mod codes;
pub mod document;
mod error;
mod health;
mod ids;
mod page;
mod preconditions;
mod role;
pub mod values;

pub use document::{Contract, Link, Operation, Security};
pub use error::{Detail, ErrorCode, ErrorCodes, Failure, code_schema, details_schema, message_schema};
pub use health::{Health, Readiness};
pub use ids::{CustomerId, OperatorId, OrderId, ProductId};
pub use page::{Cursor, Page, PageLimit};
pub use preconditions::{IdempotencyKey, IfMatch, etag};
pub use role::Role;
pub use values::{Email, List, PriceCents, Qty, Sku, Stock, StockDelta, Text, Username};

/// The header that names one piece of work across every service it passes through.
pub const CORRELATION_ID: &str = "x-correlation-id";

/// A moment, in UTC, to the microsecond.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
