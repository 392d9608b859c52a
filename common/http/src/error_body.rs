//! Body of error responses.

use std::marker::PhantomData;

use common_contract::values::bounded_text;
use common_contract::{Detail, ErrorCodes, Failure, code_schema, codes, details_schema, message_schema};
use dropshot::{ErrorStatusCode, HttpError, HttpResponseError};
use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::{InstanceType, Schema, SchemaObject};
use serde::Serialize;

/// Maximum length of a request id, in characters.
const MAX_REQUEST_ID: usize = 64;

/// Body of every response with a status other than 2xx.
///
/// `C` lists the service's error codes for the OpenAPI document.
#[derive(Debug, Serialize)]
pub struct ErrorBody<C> {
    /// ID that identifies the request in the logs.
    pub request_id: String,
    /// Stable error code. Absent only if the path or the method does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// Human-readable message. Its wording can change.
    pub message: String,
    /// Causes of the error, such as invalid fields or products that cannot be ordered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
    #[serde(skip)]
    status: ErrorStatusCode,
    #[serde(skip)]
    codes: PhantomData<C>,
}

impl<C> ErrorBody<C> {
    /// Creates the body that reports a failure of the request with this id.
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

/// Converts an error that dropshot returns before or after the handler. The request id is not available here.
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
        schema.metadata().description = Some("Body of every response with a status other than 2xx.".to_owned());
        let object = schema.object();
        let mut property = |name: &str, schema: Schema, description: &str| {
            let mut schema = schema.into_object();
            schema.metadata().description = Some(description.to_owned());
            object.properties.insert(name.to_owned(), schema.into());
        };
        property("request_id", bounded_text(MAX_REQUEST_ID), "ID that identifies the request in the logs.");
        property("error_code", code_schema(C::ALL), "Stable error code.");
        property(
            "message",
            message_schema(generator),
            "Human-readable message. Its wording can change; programs must use `error_code` instead.",
        );
        property(
            "details",
            details_schema(generator),
            "Causes of the error, such as invalid fields or products that cannot be ordered.",
        );
        object.required.extend(["request_id", "message"].map(str::to_owned));
        schema.into()
    }
}
