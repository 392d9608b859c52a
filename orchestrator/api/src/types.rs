//! The shapes on the wire.

use common_contract::{
    CustomerId, Detail, List, OrderId, ProductId, Qty, Text, Timestamp, code_schema, details_schema, message_schema,
};
use dropshot::{ErrorStatusCode, HttpError, HttpResponseError};
use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use serde::{Deserialize, Serialize};

/// What to order, for whom, and under which name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAndConfirm {
    /// Who orders.
    pub customer_id: CustomerId,
    /// What is ordered. Lines of one product are merged.
    pub items: List<Item, 1, 100>,
    /// The caller's own name for this order: sent again, it never makes a second one.
    pub idempotency_key: Text<255>,
    /// Names this piece of work; made up where absent. Not part of what makes two requests equal. In logs and headers it stands
    /// only if all its characters are visible ASCII.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Text<128>>,
}

/// One line of the order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Which product.
    pub product_id: ProductId,
    /// How many pieces.
    pub qty: Qty,
}

/// The order was created and confirmed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Success {
    /// Always true.
    pub success: bool,
    /// The piece of work.
    #[serde(rename = "correlationId")]
    #[schemars(length(max = 128))]
    pub correlation_id: String,
    /// What came of it.
    pub data: Outcome,
}

/// The order, and whom it is for.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Outcome {
    /// Who ordered.
    pub customer: Customer,
    /// The confirmed order.
    pub order: Order,
}

/// Who ordered.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Customer {
    /// The customer's id.
    pub id: CustomerId,
    /// The company's or the person's name.
    #[schemars(length(max = 200))]
    pub name: String,
    /// Where order papers go.
    #[schemars(length(max = 254), email)]
    pub email: String,
    /// How to call them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub phone: Option<String>,
}

/// The confirmed order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Order {
    /// The order's id.
    pub id: OrderId,
    /// Who ordered.
    pub customer_id: CustomerId,
    /// Always CONFIRMED.
    pub status: OrderStatus,
    /// What it costs, in cents.
    #[schemars(range(min = 0))]
    pub total_cents: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was confirmed.
    pub confirmed_at: Timestamp,
    /// What was ordered, by ascending product.
    #[schemars(length(max = 100))]
    pub items: Vec<OrderItem>,
}

/// Where the order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum OrderStatus {
    /// The customer will get it.
    Confirmed,
}

/// One line of the order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OrderItem {
    /// Which product.
    pub product_id: ProductId,
    /// How many pieces.
    #[schemars(range(min = 1))]
    pub qty: i64,
    /// What one piece cost, in cents.
    #[schemars(range(min = 0))]
    pub unit_price_cents: i64,
    /// What the line costs, in cents.
    #[schemars(range(min = 0))]
    pub subtotal_cents: i64,
}

/// The step at which it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Reading the request and asking who sent it.
    Input,
    /// Asking whether the customer exists.
    Validate,
    /// Creating the order.
    Create,
    /// Confirming it.
    Confirm,
}

/// Whether what was done before the failure was undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compensated {
    /// Nothing was done.
    NotNeeded,
    /// It was undone.
    Done,
    /// It could not be undone yet: the order expires by itself, or the same key resolves it.
    Pending,
}

/// Why the order is not confirmed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FailureReason {
    /// A stable code.
    #[schemars(schema_with = "codes")]
    pub code: String,
    /// For people; may change.
    #[schemars(schema_with = "message_schema")]
    pub message: String,
    /// The step at which it failed.
    pub step: Step,
    /// How often that step was tried.
    pub attempts: u32,
    /// The order, where one was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// Whether what was done before was undone.
    pub compensated: Compensated,
    /// Whether sending the same request with the same key again can succeed.
    pub safe_to_retry: bool,
    /// What exactly was wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, schema_with = "details_schema")]
    pub details: Vec<Detail>,
}

fn codes(_: &mut SchemaGenerator) -> Schema {
    code_schema(crate::codes::ALL)
}

/// The body of every answer that is not 2xx.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Failure")]
pub struct FailureBody {
    /// Always false.
    pub success: bool,
    /// The piece of work.
    #[serde(rename = "correlationId")]
    #[schemars(length(max = 128))]
    pub correlation_id: String,
    /// Why.
    pub error: FailureReason,
    #[serde(skip)]
    #[schemars(skip)]
    status: ErrorStatusCode,
}

impl FailureBody {
    /// The body for a piece of work that failed for this reason, to be sent under this status.
    pub fn new(correlation_id: &str, status: u16, error: FailureReason) -> Self {
        let status = ErrorStatusCode::from_u16(status).unwrap_or(ErrorStatusCode::INTERNAL_SERVER_ERROR);
        Self { success: false, correlation_id: correlation_id.to_owned(), error, status }
    }
}

/// Only dropshot itself makes these, for a failure before or after our handlers.
impl From<HttpError> for FailureBody {
    fn from(error: HttpError) -> Self {
        let ours = if error.status_code.is_client_error() {
            common_contract::codes::INVALID_REQUEST
        } else {
            common_contract::codes::INTERNAL
        };
        Self {
            success: false,
            correlation_id: String::new(),
            error: FailureReason {
                code: ours.name.to_owned(),
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
