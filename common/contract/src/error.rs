//! The error body, and the value a handler fails with.

use std::time::Duration;

use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::{ArrayValidation, Schema};
use serde::Serialize;

use crate::values::bounded_text;
use crate::{codes, etag};

/// When a caller may come back after a passing failure.
const SOON: Duration = Duration::from_secs(1);
/// The most characters of an error code.
const MAX_CODE: usize = 64;
/// The most characters of a message. What the caller sent may be part of it, and may be long.
const MAX_MESSAGE: usize = 500;
/// The most details of a failure: one for each line of a full order.
const MAX_DETAILS: u32 = 100;

/// A stable name for one kind of failure, with the status it is always sent under.
///
/// Clients match on the name; the message beside it is for people and may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode {
    /// The HTTP status, 400 to 599.
    pub status: u16,
    /// The name in `error_code`.
    pub name: &'static str,
    /// When it is sent, in one sentence, for the document.
    pub meaning: &'static str,
}

impl ErrorCode {
    /// Names a kind of failure.
    pub const fn new(status: u16, name: &'static str, meaning: &'static str) -> Self {
        Self { status, name, meaning }
    }
}

/// The codes one service answers with.
pub trait ErrorCodes: Send + Sync + 'static {
    /// Every code, the shared ones included.
    const ALL: &'static [&'static [ErrorCode]];
}

/// One thing that was wrong: a field of the request, or a product of the order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Detail {
    /// The field, as a path into the body (`items[0].qty`), or the name of the parameter or header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub field: Option<String>,
    /// What is wrong with it, and what was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub message: Option<String>,
    /// The product concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub product_id: Option<i64>,
    /// How many pieces were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub requested: Option<i64>,
    /// How many pieces there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub available: Option<i64>,
    /// What the order costs now, in cents.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub total_cents: Option<i64>,
}

impl Detail {
    /// A field, and what is wrong with it.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: Some(shortened(field.into())), message: Some(shortened(message.into())), ..Self::default() }
    }
}

/// Why a request was not carried out: what the caller is told, and what only the log is told.
#[derive(Debug)]
pub struct Failure {
    /// The kind of failure; decides the status.
    pub code: ErrorCode,
    /// For the caller.
    pub message: String,
    /// What exactly was wrong.
    pub details: Vec<Detail>,
    /// When a retry makes sense.
    pub retry_after: Option<Duration>,
    /// For the log alone.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Failure {
    /// A failure with nothing but a code and a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let message = shortened(message.into());
        Self { code, message, details: Vec::new(), retry_after: None, source: None }
    }

    /// One field of the request is not as the contract says.
    pub fn invalid_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        Self::new(codes::INVALID_REQUEST, format!("{field}: {message}")).with(Detail::field(field, message))
    }

    /// Something broke on this side. The caller learns nothing of it.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(codes::INTERNAL, "something went wrong on our side").caused_by(source)
    }

    /// The service cannot work at the moment; nothing was changed.
    pub fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(codes::UNAVAILABLE, "the service cannot work at the moment; nothing was changed")
            .retry_after(SOON)
            .caused_by(source)
    }

    /// Nobody knows whether the change was made.
    pub fn outcome_unknown(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(codes::OUTCOME_UNKNOWN, "the change may or may not have been made")
            .retry_after(SOON)
            .caused_by(source)
    }

    /// The caller saw another version than this one.
    pub fn precondition_failed(current: i64) -> Self {
        Self::new(codes::PRECONDITION_FAILED, "the resource was changed by somebody else")
            .with(Detail::field("If-Match", format!("the current version is {}", etag(current))))
    }

    /// Adds one detail.
    #[must_use]
    pub fn with(mut self, detail: Detail) -> Self {
        self.details.push(detail);
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// As much of a text as an answer has room for.
fn shortened(text: String) -> String {
    match text.char_indices().nth(MAX_MESSAGE) {
        None => text,
        Some(_) => text.chars().take(MAX_MESSAGE - 1).chain(['…']).collect(),
    }
}

/// The schema of the text for people that goes with an error code.
pub fn message_schema(_: &mut SchemaGenerator) -> Schema {
    bounded_text(MAX_MESSAGE)
}

/// The schema of what exactly was wrong.
pub fn details_schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<Vec<Detail>>().into_object();
    schema.array = schema.array.map(|array| Box::new(ArrayValidation { max_items: Some(MAX_DETAILS), ..*array }));
    schema.into()
}

/// The schema of an error code: an open list. A client compiled today must be able to read a code that is added
/// tomorrow, so it stays a string. When each code is sent, whoever writes the document adds.
pub fn code_schema(codes: &[&[ErrorCode]]) -> Schema {
    let mut names: Vec<_> = codes.iter().copied().flatten().map(|code| code.name).collect();
    // A code may be sent under two statuses, and is then listed twice in a row.
    names.dedup();
    let mut schema = bounded_text(MAX_CODE).into_object();
    schema.extensions.insert("x-extensible-enum".to_owned(), names.into());
    schema.into()
}
