//! The error body, and the value a handler fails with.

use std::marker::PhantomData;
use std::time::Duration;

use dropshot::{ErrorStatusCode, HttpError, HttpResponseError};
use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::{ArrayValidation, InstanceType, Schema, SchemaObject};
use serde::Serialize;

use crate::values::bounded_text;
use crate::{codes, etag};

/// When a caller may come back after a passing failure.
const SOON: Duration = Duration::from_secs(1);
/// The most characters of a request id.
const MAX_REQUEST_ID: usize = 64;
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

/// The body of every answer that is not 2xx.
///
/// `C` lists the codes of the service, for the document.
#[derive(Debug, Serialize)]
pub struct ErrorBody<C> {
    /// Names this very request in the logs.
    pub request_id: String,
    /// A stable code. Missing only where the path or the method does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// For people.
    pub message: String,
    /// What exactly was wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
    #[serde(skip)]
    status: ErrorStatusCode,
    #[serde(skip)]
    codes: PhantomData<C>,
}

impl<C: ErrorCodes> ErrorBody<C> {
    /// The body for a failure of the request with this id.
    pub fn new(request_id: &str, failure: &Failure) -> Self {
        Self {
            request_id: request_id.to_owned(),
            error_code: Some(failure.code.name.to_owned()),
            message: failure.message.clone(),
            details: failure.details.clone(),
            status: ErrorStatusCode::from_u16(failure.code.status).unwrap_or(ErrorStatusCode::INTERNAL_SERVER_ERROR),
            codes: PhantomData,
        }
    }
}

/// Only dropshot itself makes these, for a failure before or after our handlers: there is no request id to be had here.
impl<C: ErrorCodes> From<HttpError> for ErrorBody<C> {
    fn from(error: HttpError) -> Self {
        let code = if error.status_code.is_client_error() { codes::INVALID_REQUEST } else { codes::INTERNAL };
        Self {
            request_id: String::new(),
            error_code: Some(code.name.to_owned()),
            message: error.external_message,
            details: Vec::new(),
            status: error.status_code,
            codes: PhantomData,
        }
    }
}

impl<C: ErrorCodes> std::fmt::Display for ErrorBody<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl<C: ErrorCodes> HttpResponseError for ErrorBody<C> {
    fn status_code(&self) -> ErrorStatusCode {
        self.status
    }
}

impl<C: ErrorCodes> JsonSchema for ErrorBody<C> {
    fn schema_name() -> String {
        "Error".to_owned()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = SchemaObject { instance_type: Some(InstanceType::Object.into()), ..Default::default() };
        schema.metadata().description = Some("The body of every answer that is not 2xx.".to_owned());
        let object = schema.object();
        let mut property = |name: &str, schema: Schema, description: &str| {
            let mut schema = schema.into_object();
            schema.metadata().description = Some(description.to_owned());
            object.properties.insert(name.to_owned(), schema.into());
        };
        property("request_id", bounded_text(MAX_REQUEST_ID), "Names this very request in the logs.");
        property("error_code", code_schema(C::ALL), "A stable code.");
        property("message", bounded_text(MAX_MESSAGE), "For people; may change.");
        property("details", details_schema(generator), "What exactly was wrong.");
        object.required.extend(["request_id", "message"].map(str::to_owned));
        schema.into()
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
