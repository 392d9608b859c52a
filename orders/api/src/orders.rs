//! Orders, on the wire.

use common_contract::{Cursor, CustomerId, IdempotencyKey, List, OrderId, PageLimit, ProductId, Qty, Text, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where an order stands. CANCELED is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum OrderStatus {
    /// The stock is taken.
    Created,
    /// The customer will get it.
    Confirmed,
    /// The stock was given back.
    Canceled,
}

/// An order to be made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// Who orders.
    pub customer_id: CustomerId,
    /// What is ordered. Lines of one product are merged.
    pub items: List<NewOrderItem, 1, 100>,
    /// What the caller expects the order to cost, in cents; another total refuses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_total_cents: Option<i64>,
    /// The caller's own name for the order; it can be searched for, and need not be unique.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_reference: Option<Text<100>>,
}

/// One line of an order to be made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrderItem {
    /// Which product.
    pub product_id: ProductId,
    /// How many pieces.
    pub qty: Qty,
}

/// An order with its items.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Order {
    /// Given by the service.
    pub id: OrderId,
    /// Who ordered.
    pub customer_id: CustomerId,
    /// Where the order stands.
    pub status: OrderStatus,
    /// Fixed by its creation.
    #[serde(flatten)]
    pub terms: OrderTerms,
    /// When it was confirmed; kept when it is canceled afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    /// When it was canceled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canceled_at: Option<Timestamp>,
    /// Counts the changes, from 1; the ETag is made from it.
    #[schemars(range(min = 1))]
    pub version: i64,
    /// What was ordered, by ascending product.
    #[schemars(length(max = 100))]
    pub items: Vec<OrderItem>,
}

/// Terms of an order: fixed when it is created, and shown wherever it is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OrderTerms {
    /// What it costs, in cents.
    #[schemars(range(min = 0))]
    pub total_cents: i64,
    /// The caller's own name for the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub external_reference: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// One line of an order, at the price and under the name of the moment it was made.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OrderItem {
    /// Which product.
    pub product_id: ProductId,
    /// Its stock keeping unit.
    #[schemars(length(max = 64))]
    pub sku: String,
    /// What it was called.
    #[schemars(length(max = 200))]
    pub name: String,
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

/// An order as lists show it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OrderSummary {
    /// The order's id.
    pub id: OrderId,
    /// Who ordered.
    pub customer_id: CustomerId,
    /// Where the order stands.
    pub status: OrderStatus,
    /// Fixed by its creation.
    #[serde(flatten)]
    pub terms: OrderTerms,
    /// When it was confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    /// When it was canceled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canceled_at: Option<Timestamp>,
    /// Counts the changes, from 1.
    #[schemars(range(min = 1))]
    pub version: i64,
}

/// Which orders, and where in the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderListQuery {
    /// Only orders that stand here.
    pub status: Option<OrderStatus>,
    /// Only orders made at this moment or later.
    pub from: Option<Timestamp>,
    /// Only orders made before this moment.
    pub to: Option<Timestamp>,
    /// Only orders of this customer.
    pub customer_id: Option<CustomerId>,
    /// Only orders with exactly this reference.
    pub external_reference: Option<Text<100>>,
    /// The `next_cursor` of the page before, under the same filters.
    pub cursor: Option<Cursor>,
    /// How many orders at most; 20 where absent.
    pub limit: Option<PageLimit>,
}

/// One change of an order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OrderEvent {
    /// Given by the service, ascending.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// Where the order stood before; absent for its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_status: Option<OrderStatus>,
    /// Where it stands since.
    pub to_status: OrderStatus,
    /// Who did it.
    #[schemars(length(max = 100))]
    pub principal: String,
    /// The piece of work it was part of.
    #[schemars(length(max = 128))]
    pub correlation_id: String,
    /// When.
    pub created_at: Timestamp,
}

/// The create to be given up.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AbandonRequest {
    /// The idempotency key under which this caller sent the create.
    pub create_key: IdempotencyKey,
    /// What that create asked for. Another order under the key is left alone.
    pub order: NewOrder,
}

/// How a create that was given up ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Abandoned {
    /// What became of it.
    pub outcome: AbandonOutcome,
    /// The order, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
}

/// What became of a create that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AbandonOutcome {
    /// No order was made under the key, and none will be.
    NeverCreated,
    /// The order was made, and is canceled: now, or earlier.
    Canceled,
    /// The order was confirmed before and stays so.
    Confirmed,
}

/// The key to look an order up by.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderLookupQuery {
    /// The idempotency key under which this caller made the order.
    pub create_key: IdempotencyKey,
}
