//! Request and response bodies, and query parameters, of operations on products and stock movements.

use common_contract::{Cursor, OrderId, PageLimit, PriceCents, ProductId, Sku, Stock, StockDelta, Text, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Request to create a product.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductInput {
    /// Stock keeping unit (SKU). The SKU must be unique and is case-sensitive.
    pub sku: Sku,
    /// Name of the product.
    pub name: Text<200>,
    /// Price per unit, in cents.
    pub price_cents: PriceCents,
    /// Initial stock, in units.
    pub stock: Stock,
}

/// Request to update a product. Omitted fields remain unchanged.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductPatch {
    /// New name of the product.
    pub name: Option<Text<200>>,
    /// New price per unit, in cents. The new price applies to orders that are created after the change.
    pub price_cents: Option<PriceCents>,
    /// New stock, in units. It replaces the current stock, and the difference is recorded as a stock movement.
    pub stock: Option<Stock>,
    /// Expected current stock, in units. If the current stock differs, the product is not changed.
    pub expected_stock: Option<Stock>,
}

/// Product.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Product {
    /// ID of the product.
    pub id: ProductId,
    /// Stock keeping unit (SKU).
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
    /// Time at which the product or its stock was last changed.
    pub updated_at: Timestamp,
    /// Version number of the product. It starts at 1 and increases with each change, including changes to the stock.
    /// The `ETag` header is derived from it.
    #[schemars(range(min = 1))]
    pub version: i64,
}

/// Search and pagination of the list of products.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductListQuery {
    /// Search words. A product matches if each word is a prefix of a word in the SKU or the
    /// name. The comparison ignores letter case, accents and invisible characters. Only the
    /// first eight search words, and the first 24 characters of each, are used.
    pub search: Option<Text<200>>,
    /// Value of `next_cursor` from the previous page. The cursor is valid only with the same `search` value.
    pub cursor: Option<Cursor>,
    /// Maximum number of products per page: 1 to 100. Defaults to 20.
    pub limit: Option<PageLimit>,
}

/// Request to adjust the stock of a product.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StockAdjustmentInput {
    /// Number of units to add to the stock. A negative number removes units. The number must not be 0.
    pub delta: StockDelta,
    /// Reason for the adjustment, such as `delivery`, `count` or `damage`. `initial`, `set`, `order` and `cancel` are
    /// reserved, regardless of case, accents and surrounding spaces.
    pub reason: Text<40>,
    /// Reference to a document or ticket that explains the adjustment.
    pub reference: Option<Text<100>>,
}

/// Stock movement: an entry in the stock ledger of a product.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StockMovement {
    /// ID of the stock movement. Later movements of a product have higher IDs.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// ID of the product whose stock changed.
    pub product_id: ProductId,
    /// Number of units that were added to the stock. A negative number means that units were removed.
    pub delta: i64,
    /// Reason for the movement: `initial` for the initial stock, `set` for an update of the product's `stock`, `order`
    /// for an allocation to an order, `cancel` for a return from a canceled order, or the reason for a stock
    /// adjustment.
    #[schemars(length(max = 40))]
    pub reason: String,
    /// Reference to a document or ticket that explains the adjustment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub reference: Option<String>,
    /// ID of the order to which the units were allocated or from which they were returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// Caller that made the change: `operator:NAME` for a user account, `service` or `service:NAME` for a service, or
    /// `system:expiry` if the order was canceled because its reservation expired.
    #[schemars(length(max = 100))]
    pub principal: String,
    /// Time at which the stock changed.
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
