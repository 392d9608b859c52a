//! Contract of the Orders API: products, their stock, and orders.
//!
//! The trait below is the source of truth; `specs/orders.json` is generated from it.

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
    AbandonOutcome, AbandonRequest, Abandoned, Order, OrderEvent, OrderInput, OrderItem, OrderItemInput,
    OrderListQuery, OrderLookupQuery, OrderStatus, OrderSummary, OrderTerms,
};
pub use products::{
    Product, ProductInput, ProductListQuery, ProductPatch, StockAdjustmentInput, StockMovement, StockMovementListQuery,
};

/// Metadata for the document that the trait cannot express.
pub const CONTRACT: Contract = Contract {
    name: "orders",
    title: "Orders API",
    description: "Manages products, their stock, and orders. Stock is allocated to an order when the order is created. \
                  An order is confirmed at most once.",
    version: "2.0.0",
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
    prefixed_enums: &["AbandonOutcome"],
    codes: Codes::ALL,
    examples: include_str!("../examples.json"),
};

/// The Orders API.
#[dropshot::api_description {
    tag_config = {
        tags = {
            "products" = { description = "Products and their stock." },
            "orders" = { description = "Creation, confirmation and cancellation of orders." },
            "internal" = { description = "Operations that other services call." },
            "system" = { description = "Liveness and readiness checks." },
        },
    },
}]
pub trait OrdersApi {
    /// State that the implementation shares between requests.
    type Context;

    /// Create a product
    ///
    /// Creates a product. The SKU must be unique and is case-sensitive. If the initial stock is not 0, it is recorded
    /// as the first stock movement of the product.
    #[endpoint { method = POST, path = "/products", tags = ["products"] }]
    async fn product_create(
        rqctx: RequestContext<Self::Context>,
        body: JsonBody<ProductInput>,
    ) -> Result<CreatedWith<Product, CreatedHeaders>, Error>;

    /// Update a product
    ///
    /// Changes only the fields that the request contains. Setting `stock` overwrites concurrent changes unless the
    /// request contains `If-Match` or `expected_stock`. To add or remove units, create a stock adjustment instead.
    /// Existing orders keep the price that was valid when they were created.
    #[endpoint { method = PATCH, path = "/products/{id}", tags = ["products"] }]
    async fn product_update(
        rqctx: RequestContext<Self::Context>,
        id: PathId<ProductId>,
        headers: Headers<Conditional>,
        body: JsonBody<ProductPatch>,
    ) -> Result<OkWith<Product, EntityHeaders>, Error>;

    /// Retrieve a product
    ///
    /// Returns the product with its current stock.
    #[endpoint { method = GET, path = "/products/{id}", tags = ["products"] }]
    async fn product_view(
        rqctx: RequestContext<Self::Context>,
        id: PathId<ProductId>,
    ) -> Result<OkWith<Product, EntityHeaders>, Error>;

    /// List products
    ///
    /// Returns products, newest first. If `search` is given, returns only products that match all search words.
    #[endpoint { method = GET, path = "/products", tags = ["products"] }]
    async fn product_list(
        rqctx: RequestContext<Self::Context>,
        query: QueryParams<ProductListQuery>,
    ) -> Result<OkAnswer<Page<Product>>, Error>;

    /// Adjust a product's stock
    ///
    /// Adds units to the current stock or removes units from it, and records the change and its reason as a stock
    /// movement.
    #[endpoint { method = POST, path = "/products/{id}/stock-adjustments", tags = ["products"] }]
    async fn stock_adjustment_create(
        rqctx: RequestContext<Self::Context>,
        id: PathId<ProductId>,
        body: JsonBody<StockAdjustmentInput>,
    ) -> Result<CreatedAnswer<StockMovement>, Error>;

    /// List a product's stock movements
    ///
    /// Returns all changes to the stock, newest first: the initial stock, updates of the product's `stock`, stock
    /// adjustments, allocations to orders, and returns from canceled orders. The current stock is the sum of all stock
    /// movements.
    #[endpoint { method = GET, path = "/products/{id}/stock-adjustments", tags = ["products"] }]
    async fn stock_adjustment_list(
        rqctx: RequestContext<Self::Context>,
        id: PathId<ProductId>,
        query: QueryParams<StockMovementListQuery>,
    ) -> Result<OkAnswer<Page<StockMovement>>, Error>;

    /// Create an order
    ///
    /// Checks that the customer exists. Then allocates the stock and creates the order at current prices in a single
    /// transaction. Line items for the same product are merged into one. Services must send an idempotency key. An
    /// order that a service creates reserves its stock for 15 minutes by default. If the order is not confirmed within
    /// this time, it is canceled automatically.
    #[endpoint { method = POST, path = "/orders", tags = ["orders"] }]
    async fn order_create(
        rqctx: RequestContext<Self::Context>,
        headers: Headers<Keyed>,
        body: JsonBody<OrderInput>,
    ) -> Result<CreatedWith<Order, KeyedCreatedHeaders>, Error>;

    /// Retrieve an order
    ///
    /// Returns the order with its line items.
    #[endpoint { method = GET, path = "/orders/{id}", tags = ["orders"] }]
    async fn order_view(
        rqctx: RequestContext<Self::Context>,
        id: PathId<OrderId>,
    ) -> Result<OkWith<Order, EntityHeaders>, Error>;

    /// List orders
    ///
    /// Returns orders, newest first, without their line items.
    #[endpoint { method = GET, path = "/orders", tags = ["orders"] }]
    async fn order_list(
        rqctx: RequestContext<Self::Context>,
        query: QueryParams<OrderListQuery>,
    ) -> Result<OkAnswer<Page<OrderSummary>>, Error>;

    /// Confirm an order
    ///
    /// Confirms the order. The request must contain an idempotency key. If the order is already confirmed, the
    /// operation changes nothing and returns 200. A request body is ignored.
    #[endpoint { method = POST, path = "/orders/{id}/confirm", tags = ["orders"] }]
    async fn order_confirm(
        rqctx: RequestContext<Self::Context>,
        id: PathId<OrderId>,
        headers: Headers<ConditionalKeyRequired>,
    ) -> Result<OkWith<Order, ChangedHeaders>, Error>;

    /// Cancel an order
    ///
    /// Cancels the order and returns its units to the stock. A confirmed order can be canceled within 10 minutes of its
    /// confirmation. If the order is already canceled, the operation changes nothing and returns 200. A request body is
    /// ignored.
    #[endpoint { method = POST, path = "/orders/{id}/cancel", tags = ["orders"] }]
    async fn order_cancel(
        rqctx: RequestContext<Self::Context>,
        id: PathId<OrderId>,
        headers: Headers<ConditionalKeyed>,
    ) -> Result<OkWith<Order, ChangedHeaders>, Error>;

    /// List an order's events
    ///
    /// Returns the status changes of the order, newest first. An order has at most three events: its creation,
    /// confirmation and cancellation.
    #[endpoint { method = GET, path = "/orders/{id}/events", tags = ["orders"] }]
    async fn order_event_list(
        rqctx: RequestContext<Self::Context>,
        id: PathId<OrderId>,
    ) -> Result<OkAnswer<Page<OrderEvent>>, Error>;

    /// Abandon a create request
    ///
    /// A service calls this operation if it does not know the outcome of its create request. If an order was created
    /// with the idempotency key and has the status CREATED, the order is canceled. If no order was created, later
    /// create requests with this key are rejected. If the key was used for a request with different content, the
    /// operation changes nothing and returns 422; in this case, the create request cannot succeed.
    #[endpoint { method = POST, path = "/internal/orders/abandon", tags = ["internal"] }]
    async fn internal_order_abandon(
        rqctx: RequestContext<Self::Context>,
        body: JsonBody<AbandonRequest>,
    ) -> Result<OkAnswer<Abandoned>, Error>;

    /// Look up an order by its idempotency key
    ///
    /// Returns the order that the calling service created with this idempotency key. Orders that other callers created
    /// are not returned.
    #[endpoint { method = GET, path = "/internal/orders/lookup", tags = ["internal"] }]
    async fn internal_order_lookup(
        rqctx: RequestContext<Self::Context>,
        query: QueryParams<OrderLookupQuery>,
    ) -> Result<OkWith<Order, EntityHeaders>, Error>;

    /// Check liveness
    ///
    /// Returns 200 while the process accepts requests. Does not check dependencies.
    #[endpoint { method = GET, path = "/health", tags = ["system"] }]
    async fn health_view(rqctx: RequestContext<Self::Context>) -> Result<OkAnswer<Health>, Error>;

    /// Check readiness
    ///
    /// Returns 200 if the database accepts writes and the service is not shutting down, 503 otherwise, within 500 ms.
    #[endpoint { method = GET, path = "/ready", tags = ["system"] }]
    async fn readiness_view(rqctx: RequestContext<Self::Context>) -> Result<OkAnswer<Readiness>, Error>;

    /// Check liveness without a body
    ///
    /// Same as `GET /health`, for probes that send HEAD.
    #[endpoint { method = HEAD, path = "/health", operation_id = "health_view", unpublished = true }]
    async fn health_head(rqctx: RequestContext<Self::Context>) -> Result<OkAnswer<Health>, Error> {
        Self::health_view(rqctx).await
    }

    /// Check readiness without a body
    ///
    /// Same as `GET /ready`, for probes that send HEAD.
    #[endpoint { method = HEAD, path = "/ready", operation_id = "readiness_view", unpublished = true }]
    async fn readiness_head(rqctx: RequestContext<Self::Context>) -> Result<OkAnswer<Readiness>, Error> {
        Self::readiness_view(rqctx).await
    }
}
