//! The contract of the Orders API: products, their stock, and the orders that take it.
//!
//! The trait below is the truth; `specs/orders.json` is made from it.

mod codes;
mod orders;
mod products;

use common_contract::document::{BY_ID, BY_ID_AND_VERSION, NEXT_PAGE};
use common_contract::{
    Contract, ErrorCodes, Health, Link, Operation, OrderId, Page, ProductId, Readiness, Role, Security, codes as shared,
};
use common_http::{
    ChangedHeaders, Conditional, ConditionalKeyRequired, ConditionalKeyed, CreatedAnswer, CreatedHeaders, CreatedWith,
    EntityHeaders, Headers, JsonBody, Keyed, KeyedCreatedHeaders, OkAnswer, OkWith, PathId, QueryParams,
};
use dropshot::RequestContext;

pub use codes::*;
pub use orders::{
    AbandonOutcome, AbandonRequest, Abandoned, NewOrder, NewOrderItem, Order, OrderEvent, OrderItem, OrderListQuery,
    OrderLookupQuery, OrderStatus, OrderSummary, OrderTerms,
};
pub use products::{
    NewProduct, NewStockAdjustment, Product, ProductListQuery, ProductPatch, StockMovement, StockMovementListQuery,
};

/// What the document says beyond the trait.
pub const CONTRACT: Contract = Contract {
    name: "orders",
    title: "Orders API",
    description: "Keeps products and their stock. An order takes its stock when it is created and is confirmed exactly once.",
    version: "1.2.0",
    local_url: "http://127.0.0.1:3002",
    operations: &[
        Operation::new("product_create", Security::Role(Role::Operator), &[shared::WRITES, &[SKU_TAKEN]]),
        Operation::new(
            "product_update",
            Security::Role(Role::Operator),
            &[shared::WRITES, &[PRODUCT_NOT_FOUND, STOCK_CHANGED]],
        ),
        Operation::new("product_view", Security::Role(Role::Viewer), &[shared::READS, &[PRODUCT_NOT_FOUND]]),
        Operation::new("product_list", Security::Role(Role::Viewer), &[shared::READS]),
        Operation::new(
            "stock_adjustment_create",
            Security::Role(Role::Operator),
            &[shared::WRITES, &[PRODUCT_NOT_FOUND, STOCK_OUT_OF_RANGE]],
        ),
        Operation::new("stock_adjustment_list", Security::Role(Role::Viewer), &[shared::READS, &[PRODUCT_NOT_FOUND]]),
        Operation::new(
            "order_create",
            Security::RoleOrService(Role::Operator),
            &[
                shared::WRITES,
                CUSTOMER_CHECK,
                &[PRODUCT_NOT_FOUND, INSUFFICIENT_STOCK, TOTAL_CHANGED, TOTAL_OUT_OF_RANGE, IDEMPOTENCY_KEY_ABANDONED],
            ],
        ),
        Operation::new("order_view", Security::RoleOrService(Role::Viewer), &[shared::READS, &[ORDER_NOT_FOUND]]),
        Operation::new("order_list", Security::Role(Role::Viewer), &[shared::READS]),
        Operation::new(
            "order_confirm",
            Security::RoleOrService(Role::Operator),
            &[shared::WRITES, &[ORDER_NOT_FOUND, ORDER_CANCELED]],
        ),
        Operation::new(
            "order_cancel",
            Security::RoleOrService(Role::Operator),
            &[shared::WRITES, &[ORDER_NOT_FOUND, CANCEL_WINDOW_PASSED]],
        ),
        Operation::new("order_event_list", Security::Role(Role::Viewer), &[shared::READS, &[ORDER_NOT_FOUND]]),
        Operation::new("internal_order_abandon", Security::Service, &[shared::WRITES, shared::IDEMPOTENCY]),
        Operation::new("internal_order_lookup", Security::Service, &[shared::READS, &[ORDER_NOT_FOUND]]),
        Operation::new("health_view", Security::Anyone, &[]),
        Operation::new("readiness_view", Security::Anyone, &[shared::READS]),
    ],
    links: &[
        Link::new("product_create", &["product_view", "stock_adjustment_create", "stock_adjustment_list"], BY_ID),
        Link::new("product_create", &["product_update"], BY_ID_AND_VERSION),
        Link::new("product_view", &["product_update"], BY_ID_AND_VERSION),
        Link::new("product_list", &["product_list"], NEXT_PAGE),
        Link::new(
            "stock_adjustment_list",
            &["stock_adjustment_list"],
            &[("id", "$request.path.id"), ("cursor", "$response.body#/next_cursor")],
        ),
        Link::new("order_create", &["order_view", "order_event_list"], BY_ID),
        Link::new("order_create", &["order_confirm", "order_cancel"], BY_ID_AND_VERSION),
        Link::new("order_create", &["internal_order_lookup"], &[("create_key", "$request.header.X-Idempotency-Key")]),
        Link::new("order_confirm", &["order_view", "order_event_list"], BY_ID),
        Link::new("order_confirm", &["order_cancel"], BY_ID_AND_VERSION),
        Link::new("order_cancel", &["order_view", "order_event_list"], BY_ID),
        Link::new("order_list", &["order_list"], NEXT_PAGE),
    ],
    codes: Codes::ALL,
    examples: include_str!("../examples.json"),
};

/// The Orders API.
#[dropshot::api_description {
    tag_config = {
        tags = {
            "products" = { description = "Products and their stock." },
            "orders" = { description = "Orders, from creation to confirmation or cancellation." },
            "internal" = { description = "For other services." },
            "system" = { description = "For whoever runs the service." },
        },
    },
}]
pub trait OrdersApi {
    /// What the implementation keeps between requests.
    type Context;

    /// Create a product
    ///
    /// The sku must not belong to another product; letter case counts. The first stock is the ledger's first entry.
    #[endpoint { method = POST, path = "/products", tags = ["products"] }]
    async fn product_create(
        rqctx: RequestContext<Self::Context>,
        body: JsonBody<NewProduct>,
    ) -> Result<CreatedWith<Product, CreatedHeaders>, Error>;

    /// Change a product
    ///
    /// Only what is given changes. An absolute stock overwrites what others did in between, unless If-Match or
    /// `expected_stock` says what the caller saw; a stock adjustment is the safe way. Orders keep the price of the
    /// moment they were made.
    #[endpoint { method = PATCH, path = "/products/{id}", tags = ["products"] }]
    async fn product_update(
        rqctx: RequestContext<Self::Context>,
        id: PathId<ProductId>,
        headers: Headers<Conditional>,
        body: JsonBody<ProductPatch>,
    ) -> Result<OkWith<Product, EntityHeaders>, Error>;

    /// Fetch a product
    ///
    /// With the stock of this moment.
    #[endpoint { method = GET, path = "/products/{id}", tags = ["products"] }]
    async fn product_view(
        rqctx: RequestContext<Self::Context>,
        id: PathId<ProductId>,
    ) -> Result<OkWith<Product, EntityHeaders>, Error>;

    /// List products
    ///
    /// Newest first. The search finds products in whose sku and name every word of it begins a word.
    #[endpoint { method = GET, path = "/products", tags = ["products"] }]
    async fn product_list(
        rqctx: RequestContext<Self::Context>,
        query: QueryParams<ProductListQuery>,
    ) -> Result<OkAnswer<Page<Product>>, Error>;

    /// Adjust a product's stock
    ///
    /// Adds to the stock or takes from it, whatever it is at that moment, and writes the reason into the ledger.
    #[endpoint { method = POST, path = "/products/{id}/stock-adjustments", tags = ["products"] }]
    async fn stock_adjustment_create(
        rqctx: RequestContext<Self::Context>,
        id: PathId<ProductId>,
        body: JsonBody<NewStockAdjustment>,
    ) -> Result<CreatedAnswer<StockMovement>, Error>;

    /// List a product's ledger
    ///
    /// Every change of the stock, newest first: adjustments, and what orders took and gave back. The stock is their
    /// sum.
    #[endpoint { method = GET, path = "/products/{id}/stock-adjustments", tags = ["products"] }]
    async fn stock_adjustment_list(
        rqctx: RequestContext<Self::Context>,
        id: PathId<ProductId>,
        query: QueryParams<StockMovementListQuery>,
    ) -> Result<OkAnswer<Page<StockMovement>>, Error>;

    /// Create an order
    ///
    /// Checks the customer, takes the stock and computes the totals, all or nothing. Lines of one product are merged.
    /// A service has to send an idempotency key; its order holds the stock for 15 minutes unless confirmed.
    #[endpoint { method = POST, path = "/orders", tags = ["orders"] }]
    async fn order_create(
        rqctx: RequestContext<Self::Context>,
        headers: Headers<Keyed>,
        body: JsonBody<NewOrder>,
    ) -> Result<CreatedWith<Order, KeyedCreatedHeaders>, Error>;

    /// Fetch an order
    ///
    /// With its items.
    #[endpoint { method = GET, path = "/orders/{id}", tags = ["orders"] }]
    async fn order_view(
        rqctx: RequestContext<Self::Context>,
        id: PathId<OrderId>,
    ) -> Result<OkWith<Order, EntityHeaders>, Error>;

    /// List orders
    ///
    /// Newest first, without their items.
    #[endpoint { method = GET, path = "/orders", tags = ["orders"] }]
    async fn order_list(
        rqctx: RequestContext<Self::Context>,
        query: QueryParams<OrderListQuery>,
    ) -> Result<OkAnswer<Page<OrderSummary>>, Error>;

    /// Confirm an order
    ///
    /// Needs an idempotency key. An order that is confirmed already stays as it is and is answered with 200. A body is
    /// ignored.
    #[endpoint { method = POST, path = "/orders/{id}/confirm", tags = ["orders"] }]
    async fn order_confirm(
        rqctx: RequestContext<Self::Context>,
        id: PathId<OrderId>,
        headers: Headers<ConditionalKeyRequired>,
    ) -> Result<OkWith<Order, ChangedHeaders>, Error>;

    /// Cancel an order
    ///
    /// Gives the stock back. A confirmed order can be canceled for 10 minutes after its confirmation. An order that is
    /// canceled already stays as it is and is answered with 200. A body is ignored.
    #[endpoint { method = POST, path = "/orders/{id}/cancel", tags = ["orders"] }]
    async fn order_cancel(
        rqctx: RequestContext<Self::Context>,
        id: PathId<OrderId>,
        headers: Headers<ConditionalKeyed>,
    ) -> Result<OkWith<Order, ChangedHeaders>, Error>;

    /// List an order's events
    ///
    /// Who changed the order, when, and into what; newest first. There are three at most.
    #[endpoint { method = GET, path = "/orders/{id}/events", tags = ["orders"] }]
    async fn order_event_list(
        rqctx: RequestContext<Self::Context>,
        id: PathId<OrderId>,
    ) -> Result<OkAnswer<Page<OrderEvent>>, Error>;

    /// Give up a create
    ///
    /// For a service that does not know whether its create arrived. Cancels the order made under the key where it is
    /// still CREATED; where there is none, a create that arrives later under this key is refused. Where the key belongs
    /// to a request with other content, nothing changes, and the create will never be carried out.
    #[endpoint { method = POST, path = "/internal/orders/abandon", tags = ["internal"] }]
    async fn internal_order_abandon(
        rqctx: RequestContext<Self::Context>,
        body: JsonBody<AbandonRequest>,
    ) -> Result<OkAnswer<Abandoned>, Error>;

    /// Find the order made under a key
    ///
    /// The caller's own keys only.
    #[endpoint { method = GET, path = "/internal/orders/lookup", tags = ["internal"] }]
    async fn internal_order_lookup(
        rqctx: RequestContext<Self::Context>,
        query: QueryParams<OrderLookupQuery>,
    ) -> Result<OkWith<Order, EntityHeaders>, Error>;

    /// Check that the process answers
    ///
    /// Looks at nothing else.
    #[endpoint { method = GET, path = "/health", tags = ["system"] }]
    async fn health_view(rqctx: RequestContext<Self::Context>) -> Result<OkAnswer<Health>, Error>;

    /// Check that the service can work
    ///
    /// The database has to answer within 500 ms.
    #[endpoint { method = GET, path = "/ready", tags = ["system"] }]
    async fn readiness_view(rqctx: RequestContext<Self::Context>) -> Result<OkAnswer<Readiness>, Error>;
}
