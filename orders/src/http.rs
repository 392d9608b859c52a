//! HTTP handlers that implement the API contract: each handler authenticates the caller, validates the arguments, calls
//! `app` and builds the response. Only this module of the crate uses dropshot directly.

use common_contract::{Failure, Health, OrderId, Page, ProductId, Readiness, etag};
use common_http::{
    Answer, ChangedHeaders, Conditional, ConditionalKeyRequired, ConditionalKeyed, CreatedAnswer, CreatedHeaders,
    CreatedWith, EntityHeaders, Headers, JsonBody, Keyed, KeyedCreatedHeaders, OkAnswer, OkWith, PathId, QueryParams,
    replayed,
};
use common_server::Call;
use dropshot::{HttpResponseCreated, HttpResponseHeaders, HttpResponseOk, RequestContext};
use orders_api::{
    AbandonRequest, Abandoned, Error, Order, OrderEvent, OrderInput, OrderListQuery, OrderLookupQuery, OrderSummary,
    OrdersApi, Product, ProductInput, ProductListQuery, ProductPatch, StockAdjustmentInput, StockMovement,
    StockMovementListQuery,
};

use crate::Context;
use crate::app::OrderResponse;

pub(crate) enum OrdersServer {}

impl OrdersApi for OrdersServer {
    type Context = Context;

    async fn product_create(
        rqctx: RequestContext<Context>,
        body: JsonBody<ProductInput>,
    ) -> Result<CreatedWith<Product, CreatedHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let operator = context.auth.operator(&call)?;
            let product = context.products.create(&operator, &body.checked()?).await?;
            let location = format!("/products/{}", product.id);
            let headers = CreatedHeaders { location, etag: etag(product.version) };
            Answer::of(HttpResponseHeaders::new(HttpResponseCreated(product), headers))
        };
        Ok(call.answer(work).await)
    }

    async fn product_update(
        rqctx: RequestContext<Context>,
        id: PathId<ProductId>,
        headers: Headers<Conditional>,
        body: JsonBody<ProductPatch>,
    ) -> Result<OkWith<Product, EntityHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let operator = context.auth.operator(&call)?;
            let (id, if_match, patch) = (id.checked()?, headers.checked()?, body.checked()?);
            product_response(context.products.update(&operator, id, if_match.as_ref(), &patch).await?)
        };
        Ok(call.answer(work).await)
    }

    async fn product_view(
        rqctx: RequestContext<Context>,
        id: PathId<ProductId>,
    ) -> Result<OkWith<Product, EntityHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let viewer = context.auth.viewer(&call)?;
            product_response(context.products.view(&viewer, id.checked()?).await?)
        };
        Ok(call.answer(work).await)
    }

    async fn product_list(
        rqctx: RequestContext<Context>,
        query: QueryParams<ProductListQuery>,
    ) -> Result<OkAnswer<Page<Product>>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let viewer = context.auth.viewer(&call)?;
            Answer::ok(context.products.list(&viewer, &query.checked()?).await?)
        };
        Ok(call.answer(work).await)
    }

    async fn stock_adjustment_create(
        rqctx: RequestContext<Context>,
        id: PathId<ProductId>,
        body: JsonBody<StockAdjustmentInput>,
    ) -> Result<CreatedAnswer<StockMovement>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let operator = context.auth.operator(&call)?;
            let (id, adjustment) = (id.checked()?, body.checked()?);
            let movement = context.products.adjust_stock(&operator, id, &adjustment).await?;
            Answer::created(movement)
        };
        Ok(call.answer(work).await)
    }

    async fn stock_adjustment_list(
        rqctx: RequestContext<Context>,
        id: PathId<ProductId>,
        query: QueryParams<StockMovementListQuery>,
    ) -> Result<OkAnswer<Page<StockMovement>>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let viewer = context.auth.viewer(&call)?;
            let (id, query) = (id.checked()?, query.checked()?);
            Answer::ok(context.products.ledger(&viewer, id, &query).await?)
        };
        Ok(call.answer(work).await)
    }

    async fn order_create(
        rqctx: RequestContext<Context>,
        headers: Headers<Keyed>,
        body: JsonBody<OrderInput>,
    ) -> Result<CreatedWith<Order, KeyedCreatedHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let caller = context.auth.caller(&call)?;
            let (key, new) = (headers.checked()?, body.checked()?);
            let order = context.orders.for_caller(&caller).create(&call, &caller, key.as_ref(), &new).await?;
            let headers = KeyedCreatedHeaders {
                location: format!("/orders/{}", order.id),
                etag: etag(order.version),
                idempotent_replayed: replayed(order.replayed),
            };
            Answer::stored(order.json, headers)
        };
        Ok(call.answer(work).await)
    }

    async fn order_view(
        rqctx: RequestContext<Context>,
        id: PathId<OrderId>,
    ) -> Result<OkWith<Order, EntityHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let caller = context.auth.caller(&call)?;
            order_response(context.orders.for_caller(&caller).view(&caller, id.checked()?).await?)
        };
        Ok(call.answer(work).await)
    }

    async fn order_list(
        rqctx: RequestContext<Context>,
        query: QueryParams<OrderListQuery>,
    ) -> Result<OkAnswer<Page<OrderSummary>>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let viewer = context.auth.viewer(&call)?;
            Answer::ok(context.orders.list(&viewer, &query.checked()?).await?)
        };
        Ok(call.answer(work).await)
    }

    async fn order_confirm(
        rqctx: RequestContext<Context>,
        id: PathId<OrderId>,
        headers: Headers<ConditionalKeyRequired>,
    ) -> Result<OkWith<Order, ChangedHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let caller = context.auth.caller(&call)?;
            let (id, (key, if_match)) = (id.checked()?, headers.checked()?);
            transition_response(
                context.orders.for_caller(&caller).confirm(&call, &caller, id, &key, if_match.as_ref()).await?,
            )
        };
        Ok(call.answer(work).await)
    }

    async fn order_cancel(
        rqctx: RequestContext<Context>,
        id: PathId<OrderId>,
        headers: Headers<ConditionalKeyed>,
    ) -> Result<OkWith<Order, ChangedHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let caller = context.auth.caller(&call)?;
            let (id, (key, if_match)) = (id.checked()?, headers.checked()?);
            transition_response(
                context.orders.for_caller(&caller).cancel(&call, &caller, id, key.as_ref(), if_match.as_ref()).await?,
            )
        };
        Ok(call.answer(work).await)
    }

    async fn order_event_list(
        rqctx: RequestContext<Context>,
        id: PathId<OrderId>,
    ) -> Result<OkAnswer<Page<OrderEvent>>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let viewer = context.auth.viewer(&call)?;
            Answer::ok(context.orders.events(&viewer, id.checked()?).await?)
        };
        Ok(call.answer(work).await)
    }

    async fn internal_order_abandon(
        rqctx: RequestContext<Context>,
        body: JsonBody<AbandonRequest>,
    ) -> Result<OkAnswer<Abandoned>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let service = context.auth.service(&call)?;
            Answer::ok(context.orders.for_service().abandon(&call, &service, &body.checked()?).await?)
        };
        Ok(call.answer(work).await)
    }

    async fn internal_order_lookup(
        rqctx: RequestContext<Context>,
        query: QueryParams<OrderLookupQuery>,
    ) -> Result<OkWith<Order, EntityHeaders>, Error> {
        let (call, context) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            let service = context.auth.service(&call)?;
            order_response(context.orders.for_service().lookup(&service, &query.checked()?).await?)
        };
        Ok(call.answer(work).await)
    }

    async fn health_view(rqctx: RequestContext<Context>) -> Result<OkAnswer<Health>, Error> {
        let work = async { Answer::ok(Health::ok()) };
        Ok(Call::new(&rqctx).answer(work).await)
    }

    async fn readiness_view(rqctx: RequestContext<Context>) -> Result<OkAnswer<Readiness>, Error> {
        let work = async {
            rqctx.context().runtime.refuse_while_draining()?;
            rqctx.context().orders.ready().await?;
            Answer::ok(Readiness::ready())
        };
        Ok(Call::new(&rqctx).answer(work).await)
    }
}

fn product_response(product: Product) -> Result<OkWith<Product, EntityHeaders>, Failure> {
    let headers = EntityHeaders { etag: etag(product.version) };
    Answer::of(HttpResponseHeaders::new(HttpResponseOk(product), headers))
}

fn order_response(order: Order) -> Result<OkWith<Order, EntityHeaders>, Failure> {
    let headers = EntityHeaders { etag: etag(order.version) };
    Answer::of(HttpResponseHeaders::new(HttpResponseOk(order), headers))
}

fn transition_response(order: OrderResponse) -> Result<OkWith<Order, ChangedHeaders>, Failure> {
    let headers = ChangedHeaders { etag: etag(order.version), idempotent_replayed: replayed(order.replayed) };
    Answer::stored(order.json, headers)
}
