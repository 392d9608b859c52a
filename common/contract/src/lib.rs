//! Types shared by all API contracts: validated values, identifiers, error codes, failures, pages and document
//! metadata.
//!
//! This crate does not read requests, send responses or run a server. Extractors and responses are in `common-http`;
//! authentication and the server life cycle are in `common-server`.

pub mod codes;
pub mod document;
mod email;
mod error;
mod health;
mod ids;
mod page;
mod preconditions;
mod role;
pub mod values;
mod visible;

pub use document::{Contract, Link, Operation, Security};
pub use email::{Email, email_schema};
pub use error::{Detail, ErrorCode, ErrorCodes, Failure, code_schema, details_schema, message_schema};
pub use health::{Health, Readiness};
pub use ids::{CustomerId, OperatorId, OrderId, ProductId};
pub use page::{Cursor, Page, PageLimit};
pub use preconditions::{IdempotencyKey, IfMatch, etag};
pub use role::Role;
pub use values::{List, PriceCents, Qty, Sku, Stock, StockDelta, Text, Username};

/// Header that propagates the correlation id of a unit of work between services.
pub const CORRELATION_ID: &str = "x-correlation-id";

/// Point in time in UTC, with microsecond precision.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
