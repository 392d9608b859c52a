//! Request and response bodies, and query parameters, of operations on products and stock movements.

use common_contract::{Cursor, OrderId, PageLimit, PriceCents, ProductId, Sku, Stock, StockDelta, Text, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Product to be created.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProduct {
    /// Stock keeping unit. Unique and case-sensitive.
    pub sku: Sku,
    /// Name of the product.
    pub name: Text<200>,
    /// Price per unit, in cents.
    pub price_cents: PriceCents,
    /// Initial stock, in units.
    pub stock: Stock,
}

/// Changes of a product. Omitted fields remain unchanged.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductPatch {
    /// New name.
    pub name: Option<Text<200>>,
    /// New price per unit, in cents. Applies to orders that are created from now on.
    pub price_cents: Option<PriceCents>,
    /// New stock, in units, regardless of its current value. The difference is recorded as a stock movement.
    pub stock: Option<Stock>,
    /// Expected current stock, in units. If the current stock differs, the product is not changed.
    pub expected_stock: Option<Stock>,
}

/// Product.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Product {
    /// ID of the product.
    pub id: ProductId,
    /// Stock keeping unit.
    #[schemars(length(max = 64))]
    pub sku: String,
    /// Name of the product.
    #[schemars(length(max = 200))]
    pub name: String,
    /// Price per unit, in cents.
    #[schemars(range(min = 0))]
    pub price_cents: i64,
    /// Current stock, in units.
    #[schemars(range(min = 0))]
    pub stock: i64,
    /// Time at which the product was created.
    pub created_at: Timestamp,
    /// Time of the last change to the product or its stock.
    pub updated_at: Timestamp,
    /// Version number. Starts at 1 and increases with each change, including changes of the stock; the `ETag` is
    /// derived from it.
    #[schemars(range(min = 1))]
    pub version: i64,
}

/// Search and pagination of the list of products.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductListQuery {
    /// Words to search for, ignoring case, accents and invisible characters. Each must be a prefix of a word in the SKU or the name. Only the
    /// first eight words, and the first 24 characters of each, are used.
    pub search: Option<Text<200>>,
    /// Value of `next_cursor` from the previous page, valid with the same `search` only.
    pub cursor: Option<Cursor>,
    /// Maximum number of products per page: 1 to 100. Defaults to 20.
    pub limit: Option<PageLimit>,
}

/// Stock adjustment to be created.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewStockAdjustment {
    /// Units to add, or to remove if negative. Must not be 0.
    pub delta: StockDelta,
    /// Reason for the adjustment, such as `delivery`, `count` or `damage`. `initial`, `set`, `order` and `cancel` are
    /// reserved, regardless of case, accents and surrounding spaces.
    pub reason: Text<40>,
    /// Reference to a document or ticket.
    pub reference: Option<Text<100>>,
}

/// Stock movement: an entry of a product's stock ledger.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StockMovement {
    /// ID of the stock movement. IDs are ascending.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// ID of the product whose stock changed.
    pub product_id: ProductId,
    /// Units added, or removed if negative.
    pub delta: i64,
    /// Reason for the movement: `initial`, `set`, `order`, `cancel`, or the reason of a stock adjustment.
    #[schemars(length(max = 40))]
    pub reason: String,
    /// Reference to a document or ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub reference: Option<String>,
    /// ID of the order that allocated or returned the units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// Caller that made the change: `operator:NAME`, `service`, `service:NAME`, or `system:expiry` for an expired
    /// reservation.
    #[schemars(length(max = 100))]
    pub principal: String,
    /// Time of the movement.
    pub created_at: Timestamp,
}

/// Pagination of the list of stock movements.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StockMovementListQuery {
    /// Value of `next_cursor` from the previous page.
    pub cursor: Option<Cursor>,
    /// Maximum number of stock movements per page: 1 to 100. Defaults to 20.
    pub limit: Option<PageLimit>,
}
