//! Products and their ledger, on the wire.

use common_contract::{Cursor, OrderId, PageLimit, PriceCents, ProductId, Sku, Stock, StockDelta, Text, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A product, as an operator makes it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProduct {
    /// The stock keeping unit. No two products share one.
    pub sku: Sku,
    /// What it is called.
    pub name: Text<200>,
    /// What one piece costs, in cents.
    pub price_cents: PriceCents,
    /// How many pieces there are.
    pub stock: Stock,
}

/// Changes of a product. What is left out stays as it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductPatch {
    /// A new name.
    pub name: Option<Text<200>>,
    /// A new price in cents, for orders made from now on.
    pub price_cents: Option<PriceCents>,
    /// A new stock, whatever it was before; the difference enters the ledger.
    pub stock: Option<Stock>,
    /// The stock that the caller saw. Another current stock refuses the change.
    pub expected_stock: Option<Stock>,
}

/// A product.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Product {
    /// Given by the service.
    pub id: ProductId,
    /// The stock keeping unit.
    #[schemars(length(max = 64))]
    pub sku: String,
    /// What it is called.
    #[schemars(length(max = 200))]
    pub name: String,
    /// What one piece costs, in cents.
    #[schemars(range(min = 0))]
    pub price_cents: i64,
    /// How many pieces there are.
    #[schemars(range(min = 0))]
    pub stock: i64,
    /// When the product was made.
    pub created_at: Timestamp,
    /// When the product or its stock was last changed.
    pub updated_at: Timestamp,
    /// Counts the changes, from 1, those of the stock included; the ETag is made from it.
    #[schemars(range(min = 1))]
    pub version: i64,
}

/// Which products, and where in the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductListQuery {
    /// Words; each has to begin a word of the sku or of the name. The first eight count, and the first
    /// 24 characters of each.
    pub search: Option<Text<200>>,
    /// The `next_cursor` of the page before, under the same search.
    pub cursor: Option<Cursor>,
    /// How many products at most; 20 where absent.
    pub limit: Option<PageLimit>,
}

/// A change of the stock that is no order's.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewStockAdjustment {
    /// Pieces added, or taken where negative. Not 0.
    pub delta: StockDelta,
    /// Why: `delivery`, `count`, `damage` … The words `initial`, `set`, `order` and `cancel` are the service's own.
    pub reason: Text<40>,
    /// A paper or a ticket that tells more.
    pub reference: Option<Text<100>>,
}

/// One entry of a product's ledger.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StockMovement {
    /// Given by the service, ascending.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// The product whose stock changed.
    pub product_id: ProductId,
    /// Pieces added, or taken where negative.
    pub delta: i64,
    /// `initial`, `set`, `order`, `cancel`, or what the operator gave.
    #[schemars(length(max = 40))]
    pub reason: String,
    /// A paper or a ticket that tells more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub reference: Option<String>,
    /// The order that took the pieces or gave them back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// Who did it.
    #[schemars(length(max = 100))]
    pub principal: String,
    /// When.
    pub created_at: Timestamp,
}

/// Where in the ledger.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StockMovementListQuery {
    /// The `next_cursor` of the page before.
    pub cursor: Option<Cursor>,
    /// How many entries at most; 20 where absent.
    pub limit: Option<PageLimit>,
}
