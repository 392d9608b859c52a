//! The words every contract here shares: error body, pages, headers, identifiers, and how a request is read.
//!
//! An API crate builds its trait from these. Nothing here verifies a caller, opens a database or runs a server:
//! that is the `service` crate's part.

mod answer;
pub mod codes;
pub mod document;
mod error;
mod headers;
mod health;
mod ids;
mod input;
mod page;
mod role;
mod values;

pub use answer::{
    Answer, ChangedHeaders, CreatedAnswer, CreatedHeaders, CreatedWith, EntityHeaders, KeyedCreatedHeaders, OkAnswer,
    OkWith, etag, replayed,
};
pub use document::{Contract, Link, Operation, Security};
pub use error::{Detail, ErrorBody, ErrorCode, ErrorCodes, Failure, code_schema, details_schema, message_schema};
pub use headers::{Conditional, ConditionalKeyRequired, ConditionalKeyed, IdempotencyKey, IfMatch, Keyed};
pub use health::{Health, Readiness};
pub use ids::{CustomerId, OperatorId, OrderId, ProductId};
pub use input::{FromHeaders, Headers, JsonBody, PathId, QueryParams, json_body, query_params};
pub use page::{Cursor, Page, PageLimit};
pub use role::Role;
pub use values::{Email, List, PriceCents, Qty, Sku, Stock, StockDelta, Text, Username};

/// The header that names one piece of work across every service it passes through.
pub const CORRELATION_ID: &str = "x-correlation-id";

/// A moment, in UTC, to the microsecond.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
