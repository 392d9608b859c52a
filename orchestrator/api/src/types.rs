//! Request and response bodies.

use common_contract::{
    CustomerId, Detail, List, OrderId, ProductId, Qty, Text, Timestamp, code_schema, details_schema, email_schema,
    message_schema,
};
use dropshot::{ErrorStatusCode, HttpError, HttpResponseError};
use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use serde::{Deserialize, Serialize};

/// Request to create and confirm an order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAndConfirm {
    /// ID of the customer who places the order.
    pub customer_id: CustomerId,
    /// Line items of the order. Line items for the same product are merged into one.
    pub items: List<Item, 1, 100>,
    /// Idempotency key of the order: 1 to 255 characters. Each caller must use a different key for each order. A retry
    /// with the same key never creates a second order.
    pub idempotency_key: Text<255>,
    /// Correlation ID of the request. The default is the value of the `X-Correlation-Id` header or, without this
    /// header, a generated ID. Requests with the same idempotency key can have different correlation IDs. The
    /// correlation ID is used in logs and headers only if it consists of visible ASCII characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Text<128>>,
}

/// Line item in a request to create and confirm an order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// ID of the product.
    pub product_id: ProductId,
    /// Quantity, in units.
    pub qty: Qty,
}

/// Response of a successful request, with the customer and the confirmed order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Success {
    /// Always true.
    pub success: bool,
    /// Correlation ID of the request.
    #[serde(rename = "correlationId")]
    #[schemars(length(max = 128))]
    pub correlation_id: String,
    /// Customer and confirmed order.
    pub data: Outcome,
}

/// Confirmed order and its customer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Outcome {
    /// Customer who placed the order.
    pub customer: Customer,
    /// Confirmed order.
    pub order: Order,
}

/// Customer who placed the order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Customer {
    /// ID of the customer.
    pub id: CustomerId,
    /// Name of the company or person.
    #[schemars(length(max = 200))]
    pub name: String,
    /// Email address for order documents.
    #[schemars(schema_with = "email_schema")]
    pub email: String,
    /// Phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub phone: Option<String>,
}

/// Confirmed order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Order {
    /// ID of the order.
    pub id: OrderId,
    /// ID of the customer who placed the order.
    pub customer_id: CustomerId,
    /// Always CONFIRMED.
    pub status: OrderStatus,
    /// Total of the order, in cents.
    #[schemars(range(min = 0))]
    pub total_cents: i64,
    /// Time at which the order was created.
    pub created_at: Timestamp,
    /// Time at which the order was confirmed.
    pub confirmed_at: Timestamp,
    /// Line items, sorted by ascending product ID.
    #[schemars(length(max = 100))]
    pub items: Vec<OrderItem>,
}

/// Status of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum OrderStatus {
    /// The order is confirmed.
    Confirmed,
}

/// Line item of the order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OrderItem {
    /// ID of the product.
    pub product_id: ProductId,
    /// Quantity, in units.
    #[schemars(range(min = 1))]
    pub qty: i64,
    /// Price per unit when the order was created, in cents.
    #[schemars(range(min = 0))]
    pub unit_price_cents: i64,
    /// Subtotal of the line item, in cents.
    #[schemars(range(min = 0))]
    pub subtotal_cents: i64,
}

/// Step of the create-and-confirm workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Read the request and authenticate the caller.
    Input,
    /// Check that the customer exists.
    Validate,
    /// Create the order.
    Create,
    /// Confirm the order.
    Confirm,
}

/// State of the compensation after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compensated {
    /// This request made no changes that must be compensated.
    NotNeeded,
    /// The order is canceled.
    Done,
    /// The compensation is incomplete. If an unconfirmed order exists, it is canceled automatically when its
    /// reservation expires. To confirm or cancel it sooner, retry with the same idempotency key.
    Pending,
}

/// Reason for the failure of the request.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FailureReason {
    /// Stable error code.
    #[schemars(schema_with = "codes")]
    pub code: String,
    /// Human-readable message. Its wording can change; programs must use `code` instead.
    #[schemars(schema_with = "message_schema")]
    pub message: String,
    /// Step that failed.
    pub step: Step,
    /// Number of attempts of the failed step. The number is 0 if the step is `input`.
    pub attempts: u32,
    /// ID of the order. Absent if no order was created or the ID is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// State of the compensation.
    pub compensated: Compensated,
    /// Whether the request can succeed if it is retried with the same idempotency key.
    pub safe_to_retry: bool,
    /// Causes of the error, such as invalid fields or products that cannot be ordered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, schema_with = "details_schema")]
    pub details: Vec<Detail>,
}

fn codes(_: &mut SchemaGenerator) -> Schema {
    code_schema(crate::codes::ALL)
}

/// Body of every response with a status other than 2xx.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Failure")]
pub struct FailureBody {
    /// Always false.
    pub success: bool,
    /// Correlation ID of the request.
    #[serde(rename = "correlationId")]
    #[schemars(length(max = 128))]
    pub correlation_id: String,
    /// Reason for the failure.
    pub error: FailureReason,
    #[serde(skip)]
    #[schemars(skip)]
    status: ErrorStatusCode,
}

impl FailureBody {
    /// Creates the body of a failed request, with its HTTP status.
    pub fn new(correlation_id: &str, status: u16, error: FailureReason) -> Self {
        let status = ErrorStatusCode::from_u16(status).unwrap_or(ErrorStatusCode::INTERNAL_SERVER_ERROR);
        Self { success: false, correlation_id: correlation_id.to_owned(), error, status }
    }
}

/// Converts errors that dropshot returns before or after the handlers.
impl From<HttpError> for FailureBody {
    fn from(error: HttpError) -> Self {
        let code = if error.status_code.is_client_error() {
            common_contract::codes::INVALID_REQUEST
        } else {
            common_contract::codes::INTERNAL
        };
        Self {
            success: false,
            correlation_id: String::new(),
            error: FailureReason {
                code: code.name.to_owned(),
                message: error.external_message,
                step: Step::Input,
                attempts: 0,
                order_id: None,
                compensated: Compensated::NotNeeded,
                safe_to_retry: false,
                details: Vec::new(),
            },
            status: error.status_code,
        }
    }
}

impl std::fmt::Display for FailureBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.error.message)
    }
}

impl HttpResponseError for FailureBody {
    fn status_code(&self) -> ErrorStatusCode {
        self.status
    }
}
