//! Error codes, error details, and the failure that a handler returns.

use std::time::Duration;

use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::{ArrayValidation, Schema};
use serde::Serialize;

use crate::values::bounded_text;
use crate::{codes, etag};

/// `Retry-After` for transient failures.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// Maximum length of an error code, in characters.
const MAX_CODE: usize = 64;
/// Maximum length of a message, in characters. Longer messages are truncated, because they may quote input of any
/// length.
const MAX_MESSAGE: usize = 500;
/// Maximum number of details: one for each line item of an order.
const MAX_DETAILS: u32 = 100;

/// Stable error code with its HTTP status.
///
/// Clients match on the name. The message is for humans and may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode {
    /// HTTP status, from 400 to 599.
    pub status: u16,
    /// Name, sent as `error_code`.
    pub name: &'static str,
    /// Condition under which the error is returned: one or two sentences for the OpenAPI document.
    pub meaning: &'static str,
}

impl ErrorCode {
    /// Creates an error code.
    pub const fn new(status: u16, name: &'static str, meaning: &'static str) -> Self {
        Self { status, name, meaning }
    }
}

/// Error codes that a service can return.
pub trait ErrorCodes: Send + Sync + 'static {
    /// All codes of the service, including the shared ones.
    const ALL: &'static [&'static [ErrorCode]];
}

/// One cause of an error, such as an invalid field in the request or a product that cannot be ordered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Detail {
    /// Invalid field: its path in the request body, such as `items[0].qty`, or the name of the parameter or header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub field: Option<String>,
    /// Human-readable description of the problem, such as the expected format.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub message: Option<String>,
    /// ID of the product that caused the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub product_id: Option<i64>,
    /// Requested quantity of the product, in units.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub requested: Option<i64>,
    /// Available stock of the product, in units.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub available: Option<i64>,
    /// Current total of the order, in cents.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub total_cents: Option<i64>,
}

impl Detail {
    /// Creates a detail about an invalid field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: Some(truncated(field.into())), message: Some(truncated(message.into())), ..Self::default() }
    }
}

/// Failed request: the response to the caller, and the cause for the log.
#[derive(Debug)]
pub struct Failure {
    /// Error code, which determines the status.
    pub code: ErrorCode,
    /// Human-readable message, returned to the caller.
    pub message: String,
    /// Details of the cause, returned to the caller.
    pub details: Vec<Detail>,
    /// Delay after which a retry may succeed, sent as `Retry-After`.
    pub retry_after: Option<Duration>,
    /// Underlying error, which is logged but not returned to the caller.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Failure {
    /// Creates a failure that has only a code and a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let message = truncated(message.into());
        Self { code, message, details: Vec::new(), retry_after: None, source: None }
    }

    /// Creates the failure for an invalid field of the request.
    pub fn invalid_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        Self::new(codes::INVALID_REQUEST, format!("{field}: {message}")).with(Detail::field(field, message))
    }

    /// Creates the failure for an unexpected error. The cause is logged but not returned to the caller.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(codes::INTERNAL, "something went wrong on our side").caused_by(source)
    }

    /// Creates the failure for a temporarily unavailable dependency. Use it only if no changes were made.
    pub fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(codes::UNAVAILABLE, "the service is temporarily unavailable; nothing was changed")
            .retry_after(RETRY_DELAY)
            .caused_by(source)
    }

    /// Creates the failure for an ambiguous commit.
    pub fn outcome_unknown(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(codes::OUTCOME_UNKNOWN, "the outcome of the change is unknown")
            .retry_after(RETRY_DELAY)
            .caused_by(source)
    }

    /// Creates the failure for an `If-Match` that does not match the current version.
    pub fn precondition_failed(current: i64) -> Self {
        Self::new(codes::PRECONDITION_FAILED, "the resource has changed since it was read")
            .with(Detail::field("If-Match", format!("the current version is {}", etag(current))))
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, detail: Detail) -> Self {
        self.details.push(detail);
        self
    }

    /// Sets `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Sets the underlying error, which is logged but not returned to the caller.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// Truncates text to [`MAX_MESSAGE`] characters.
fn truncated(text: String) -> String {
    match text.char_indices().nth(MAX_MESSAGE) {
        None => text,
        Some(_) => text.chars().take(MAX_MESSAGE - 1).chain(['…']).collect(),
    }
}

/// Returns the schema of error messages.
pub fn message_schema(_: &mut SchemaGenerator) -> Schema {
    bounded_text(MAX_MESSAGE)
}

/// Returns the schema of error details.
pub fn details_schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<Vec<Detail>>().into_object();
    schema.array = schema.array.map(|array| Box::new(ArrayValidation { max_items: Some(MAX_DETAILS), ..*array }));
    schema.into()
}

/// Returns the schema of error codes. It is a string and not an enum, so that existing clients can parse codes that are
/// added later. The descriptions of the codes are added when the document is generated.
pub fn code_schema(codes: &[&[ErrorCode]]) -> Schema {
    let mut names: Vec<_> = codes.iter().copied().flatten().map(|code| code.name).collect();
    // A code that has two statuses occurs twice in succession.
    names.dedup();
    let mut schema = bounded_text(MAX_CODE).into_object();
    schema.extensions.insert("x-extensible-enum".to_owned(), names.into());
    schema.into()
}
