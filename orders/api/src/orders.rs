//! Request and response bodies, and query parameters, of operations on orders.

use common_contract::{Cursor, CustomerId, IdempotencyKey, List, OrderId, PageLimit, ProductId, Qty, Text, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Status of an order. The status CANCELED is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum OrderStatus {
    /// The stock is allocated, and the order awaits confirmation.
    Created,
    /// The order is confirmed.
    Confirmed,
    /// The order is canceled, and its units were returned to the stock.
    Canceled,
}

/// Request to create an order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderInput {
    /// ID of the customer who places the order.
    pub customer_id: CustomerId,
    /// Line items of the order. Line items for the same product are merged into one.
    pub items: List<OrderItemInput, 1, 100>,
    /// Expected total, in cents. If the actual total differs, the order is not created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_total_cents: Option<i64>,
    /// Reference in the caller's system, such as a purchase order number. It does not have to be unique. The list of
    /// orders can be filtered by this reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_reference: Option<Text<100>>,
}

/// Line item in a request to create an order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderItemInput {
    /// ID of the product.
    pub product_id: ProductId,
    /// Quantity, in units.
    pub qty: Qty,
}

/// Order with its line items.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Order {
    /// ID of the order.
    pub id: OrderId,
    /// ID of the customer who placed the order.
    pub customer_id: CustomerId,
    /// Current status of the order.
    pub status: OrderStatus,
    /// Terms of the order, fixed at creation.
    #[serde(flatten)]
    pub terms: OrderTerms,
    /// Time at which the order was confirmed. This time is retained if the order is canceled later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    /// Time at which the order was canceled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canceled_at: Option<Timestamp>,
    /// Version number of the order. It starts at 1 and increases with each change. The `ETag` header is derived from
    /// it.
    #[schemars(range(min = 1))]
    pub version: i64,
    /// Line items, sorted by ascending product ID.
    #[schemars(length(max = 100))]
    pub items: Vec<OrderItem>,
}

/// Terms of an order, fixed at creation.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OrderTerms {
    /// Total of the order, in cents.
    #[schemars(range(min = 0))]
    pub total_cents: i64,
    /// Reference in the caller's system.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub external_reference: Option<String>,
    /// Time at which the order was created.
    pub created_at: Timestamp,
}

/// Line item of an order, with the name and price of the product at the time when the order was created.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OrderItem {
    /// ID of the product.
    pub product_id: ProductId,
    /// Stock keeping unit of the product.
    #[schemars(length(max = 64))]
    pub sku: String,
    /// Name of the product when the order was created.
    #[schemars(length(max = 200))]
    pub name: String,
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

/// Order without its line items.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OrderSummary {
    /// ID of the order.
    pub id: OrderId,
    /// ID of the customer who placed the order.
    pub customer_id: CustomerId,
    /// Current status of the order.
    pub status: OrderStatus,
    /// Terms of the order, fixed at creation.
    #[serde(flatten)]
    pub terms: OrderTerms,
    /// Time at which the order was confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    /// Time at which the order was canceled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canceled_at: Option<Timestamp>,
    /// Version number of the order. It starts at 1 and increases with each change.
    #[schemars(range(min = 1))]
    pub version: i64,
}

/// Filters and pagination of the list of orders.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderListQuery {
    /// Filter by status.
    pub status: Option<OrderStatus>,
    /// Filter by creation time: the order was created at or after this time.
    pub from: Option<Timestamp>,
    /// Filter by creation time: the order was created before this time.
    pub to: Option<Timestamp>,
    /// Filter by customer ID.
    pub customer_id: Option<CustomerId>,
    /// Filter by external reference (exact match).
    pub external_reference: Option<Text<100>>,
    /// Value of `next_cursor` from the previous page. The cursor is valid only with the same filters.
    pub cursor: Option<Cursor>,
    /// Maximum number of orders per page: 1 to 100. Defaults to 20.
    pub limit: Option<PageLimit>,
}

/// Status change of an order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OrderEvent {
    /// ID of the event. Later events of an order have higher IDs.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// Status before the change. Absent if the event is the creation of the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_status: Option<OrderStatus>,
    /// Status after the change.
    pub to_status: OrderStatus,
    /// Caller that made the change: `operator:NAME` for a user account, `service` or `service:NAME` for a service, or
    /// `system:expiry` if the order was canceled because its reservation expired.
    #[schemars(length(max = 100))]
    pub principal: String,
    /// Correlation ID of the request that made the change.
    #[schemars(length(max = 128))]
    pub correlation_id: String,
    /// Time of the change.
    pub created_at: Timestamp,
}

/// Request to abandon a create request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AbandonRequest {
    /// Idempotency key of the create request.
    pub create_key: IdempotencyKey,
    /// Body of the create request. If an order with different content was created with the same key, that order remains
    /// unchanged.
    #[serde(deserialize_with = "common_contract::values::object")]
    pub order: OrderInput,
}

/// Result of abandoning a create request.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Abandoned {
    /// Outcome of the create request.
    pub outcome: AbandonOutcome,
    /// Order that was created. Absent if no order was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
}

/// Outcome of an abandoned create request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AbandonOutcome {
    /// No order was created with the key, and no order can be created with it.
    NeverCreated,
    /// An order was created. It was canceled by this request, or it had already been canceled.
    Canceled,
    /// An order was created and confirmed. It remains confirmed.
    Confirmed,
}

/// Idempotency key to look up.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderLookupQuery {
    /// Idempotency key with which the calling service created the order.
    pub create_key: IdempotencyKey,
}
