//! In-memory fake orders service with one product. The fake follows the contract for idempotency keys, versions and
//! stock, and counts confirmations and cancellations.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use common_contract::{
    Detail, Failure, Health, IdempotencyKey, IfMatch, OrderId, Page, ProductId, Readiness, Timestamp, codes, etag,
};
use common_http::{
    Answer, ChangedHeaders, Conditional, ConditionalKeyRequired, ConditionalKeyed, CreatedAnswer, CreatedHeaders,
    EntityHeaders, Headers, JsonBody, Keyed, KeyedCreatedHeaders, OkAnswer, PathId, QueryParams, replayed,
};
use common_server::auth::Auth;
use common_server::{Call, HasRuntime, Running, Runtime};
use dropshot::{HttpError, HttpResponseCreated, HttpResponseHeaders, HttpResponseOk, RequestContext};
use orders_api::{
    AbandonOutcome, AbandonRequest, Abandoned, Error, IDEMPOTENCY_KEY_ABANDONED, INSUFFICIENT_STOCK, ORDER_CANCELED,
    ORDER_NOT_FOUND, Order, OrderEvent, OrderInput, OrderItem, OrderListQuery, OrderLookupQuery, OrderStatus,
    OrderSummary, OrderTerms, OrdersApi, PRODUCT_NOT_FOUND, Product, ProductInput, ProductListQuery, ProductPatch,
    StockAdjustmentInput, StockMovement, StockMovementListQuery,
};

/// The only product, its price and its initial stock.
pub(crate) const PRODUCT: i64 = 2;
pub(crate) const PRICE_CENTS: i64 = 129_900;
pub(crate) const INITIAL_STOCK: i64 = 50;

/// State of the service, which tests inspect.
#[derive(Default)]
pub(crate) struct OrderStore {
    pub(crate) allocated: i64,
    pub(crate) orders: BTreeMap<i64, Order>,
    pub(crate) confirmations: usize,
    pub(crate) cancellations: usize,
    created: HashMap<String, (serde_json::Value, Vec<u8>)>,
    changed: HashMap<String, Vec<u8>>,
    order_by_key: HashMap<String, i64>,
    abandoned: HashMap<String, serde_json::Value>,
}

pub(crate) struct FakeOrders {
    runtime: Runtime,
    auth: Auth,
    store: Arc<Mutex<OrderStore>>,
}

impl HasRuntime for FakeOrders {
    fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

pub(crate) fn start(auth: Auth, store: Arc<Mutex<OrderStore>>) -> Running<FakeOrders> {
    let api = orders_api::orders_api_mod::api_description::<Server>().unwrap();
    let fake = FakeOrders { runtime: Runtime::default(), auth, store };
    common_server::serve(api, fake, "127.0.0.1:0".parse().unwrap()).unwrap()
}

impl OrderStore {
    pub(crate) fn stock(&self) -> i64 {
        INITIAL_STOCK - self.allocated
    }

    /// Returns the status of the only order.
    pub(crate) fn only_order(&self) -> OrderStatus {
        assert_eq!(self.orders.len(), 1, "expected one order");
        self.orders.values().next().unwrap().status
    }

    /// Cancels every order, as an operator could.
    pub(crate) fn cancel_all(&mut self) {
        for id in self.orders.keys().copied().collect::<Vec<_>>() {
            self.cancel(id);
        }
    }

    fn create(&mut self, key: &IdempotencyKey, requested: &OrderInput) -> Result<(Vec<u8>, bool), Failure> {
        let request = serde_json::to_value(requested).unwrap();
        if let Some(first) = self.abandoned.get(key.as_str()) {
            let code = if *first == request { IDEMPOTENCY_KEY_ABANDONED } else { codes::IDEMPOTENCY_KEY_REUSED };
            return Err(Failure::new(code, "abandoned"));
        }
        match self.created.get(key.as_str()) {
            Some((first, _)) if *first != request => return Err(Failure::new(codes::IDEMPOTENCY_KEY_REUSED, "reused")),
            Some((_, saved)) => return Ok((saved.clone(), true)),
            None => {}
        }
        let order = self.new_order(requested)?;
        let saved = serde_json::to_vec(&order).unwrap();
        self.order_by_key.insert(key.as_str().to_owned(), order.id.get());
        self.created.insert(key.as_str().to_owned(), (request, saved.clone()));
        self.orders.insert(order.id.get(), order);
        Ok((saved, false))
    }

    fn new_order(&mut self, requested: &OrderInput) -> Result<Order, Failure> {
        let item = &requested.items.as_slice()[0];
        let (product_id, qty) = (item.product_id, item.qty.get());
        if product_id.get() != PRODUCT {
            let detail = Detail { product_id: Some(product_id.get()), ..Detail::default() };
            return Err(Failure::new(PRODUCT_NOT_FOUND, "product not found").with(detail));
        }
        if qty > self.stock() {
            let (product_id, available) = (Some(PRODUCT), Some(self.stock()));
            let detail = Detail { product_id, requested: Some(qty), available, ..Detail::default() };
            return Err(Failure::new(INSUFFICIENT_STOCK, "insufficient stock").with(detail));
        }
        self.allocated += qty;
        let subtotal_cents = PRICE_CENTS * qty;
        let (sku, name) = ("sku".to_owned(), "name".to_owned());
        Ok(Order {
            id: OrderId::stored(101 + i64::try_from(self.orders.len()).unwrap()),
            customer_id: requested.customer_id,
            status: OrderStatus::Created,
            terms: OrderTerms {
                total_cents: subtotal_cents,
                external_reference: None,
                created_at: Timestamp::default(),
            },
            confirmed_at: None,
            canceled_at: None,
            version: 1,
            items: vec![OrderItem { product_id, sku, name, qty, unit_price_cents: PRICE_CENTS, subtotal_cents }],
        })
    }

    fn confirm(&mut self, id: i64) -> Result<(), Failure> {
        let order = self.orders.get_mut(&id).ok_or_else(|| Failure::new(ORDER_NOT_FOUND, "no such order"))?;
        match order.status {
            OrderStatus::Canceled => return Err(Failure::new(ORDER_CANCELED, "the order was canceled")),
            OrderStatus::Confirmed => {}
            OrderStatus::Created => {
                order.status = OrderStatus::Confirmed;
                order.confirmed_at = Some(Timestamp::default());
                order.version += 1;
                self.confirmations += 1;
            }
        }
        Ok(())
    }

    fn cancel(&mut self, id: i64) {
        let order = self.orders.get_mut(&id).unwrap();
        if order.status != OrderStatus::Canceled {
            order.status = OrderStatus::Canceled;
            order.version += 1;
            self.cancellations += 1;
            self.allocated -= order.items[0].qty;
        }
    }

    fn abandon(&mut self, create: &AbandonRequest) -> Result<Abandoned, Failure> {
        let (key, request) = (create.create_key.as_str(), serde_json::to_value(&create.order).unwrap());
        let first = self.created.get(key).map(|(first, _)| first).or(self.abandoned.get(key));
        if first.is_some_and(|first| *first != request) {
            return Err(Failure::new(codes::IDEMPOTENCY_KEY_REUSED, "reused"));
        }
        let Some(&id) = self.order_by_key.get(key) else {
            self.abandoned.insert(key.to_owned(), request);
            return Ok(Abandoned { outcome: AbandonOutcome::NeverCreated, order: None });
        };
        let confirmed = self.orders[&id].status == OrderStatus::Confirmed;
        if !confirmed {
            self.cancel(id);
        }
        let outcome = if confirmed { AbandonOutcome::Confirmed } else { AbandonOutcome::Canceled };
        Ok(Abandoned { outcome, order: Some(self.orders[&id].clone()) })
    }
}

enum Server {}

type Ok<T, H> = Answer<HttpResponseHeaders<HttpResponseOk<T>, H>>;
type Created<T, H> = Answer<HttpResponseHeaders<HttpResponseCreated<T>, H>>;

macro_rules! not_faked {
    ($($name:ident($($argument:ty),*) -> $answer:ty;)+) => {
        $(async fn $name(_: RequestContext<FakeOrders>, $(_: $argument),*) -> Result<$answer, Error> {
            Err(HttpError::for_internal_error("not faked".to_owned()).into())
        })+
    };
}

impl OrdersApi for Server {
    type Context = FakeOrders;

    async fn order_create(
        rqctx: RequestContext<FakeOrders>,
        headers: Headers<Keyed>,
        body: JsonBody<OrderInput>,
    ) -> Result<Created<Order, KeyedCreatedHeaders>, Error> {
        let (call, fake) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            fake.auth.service(&call)?;
            let key = headers.checked()?.ok_or_else(|| Failure::invalid_field("X-Idempotency-Key", "is missing"))?;
            let (saved, is_replay) = fake.store.lock().unwrap().create(&key, &body.checked()?)?;
            let headers = KeyedCreatedHeaders {
                location: "/orders/101".to_owned(),
                etag: etag(1),
                idempotent_replayed: replayed(is_replay),
            };
            Answer::stored(saved, headers)
        };
        Ok(call.answer(work).await)
    }

    async fn order_view(
        rqctx: RequestContext<FakeOrders>,
        id: PathId<OrderId>,
    ) -> Result<Ok<Order, EntityHeaders>, Error> {
        let (call, fake) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            fake.auth.service(&call)?;
            let order = fake.store.lock().unwrap().orders.get(&id.checked()?.get()).cloned();
            let order = order.ok_or_else(|| Failure::new(ORDER_NOT_FOUND, "no such order"))?;
            let headers = EntityHeaders { etag: etag(order.version) };
            Answer::of(HttpResponseHeaders::new(HttpResponseOk(order), headers))
        };
        Ok(call.answer(work).await)
    }

    async fn order_confirm(
        rqctx: RequestContext<FakeOrders>,
        id: PathId<OrderId>,
        headers: Headers<ConditionalKeyRequired>,
    ) -> Result<Ok<Order, ChangedHeaders>, Error> {
        change(rqctx, id, headers.checked().map(|(key, if_match)| (Some(key), if_match)), OrderStore::confirm).await
    }

    async fn order_cancel(
        rqctx: RequestContext<FakeOrders>,
        id: PathId<OrderId>,
        headers: Headers<ConditionalKeyed>,
    ) -> Result<Ok<Order, ChangedHeaders>, Error> {
        change(rqctx, id, headers.checked(), |store, id| {
            store.cancel(id);
            Ok(())
        })
        .await
    }

    async fn internal_order_abandon(
        rqctx: RequestContext<FakeOrders>,
        body: JsonBody<AbandonRequest>,
    ) -> Result<OkAnswer<Abandoned>, Error> {
        let (call, fake) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            fake.auth.service(&call)?;
            OkAnswer::ok(fake.store.lock().unwrap().abandon(&body.checked()?)?)
        };
        Ok(call.answer(work).await)
    }

    async fn internal_order_lookup(
        rqctx: RequestContext<FakeOrders>,
        query: QueryParams<OrderLookupQuery>,
    ) -> Result<Ok<Order, EntityHeaders>, Error> {
        let (call, fake) = (Call::new(&rqctx), rqctx.context());
        let work = async {
            fake.auth.service(&call)?;
            let store = fake.store.lock().unwrap();
            let id = store.order_by_key.get(query.checked()?.create_key.as_str());
            let order = id.map(|id| store.orders[id].clone());
            let order = order.ok_or_else(|| Failure::new(ORDER_NOT_FOUND, "no such order"))?;
            let headers = EntityHeaders { etag: etag(order.version) };
            Answer::of(HttpResponseHeaders::new(HttpResponseOk(order), headers))
        };
        Ok(call.answer(work).await)
    }

    async fn readiness_view(rqctx: RequestContext<FakeOrders>) -> Result<OkAnswer<Readiness>, Error> {
        let work = async { OkAnswer::ok(Readiness::ready()) };
        Ok(Call::new(&rqctx).answer(work).await)
    }

    not_faked! {
        product_create(JsonBody<ProductInput>) -> Created<Product, CreatedHeaders>;
        product_update(PathId<ProductId>, Headers<Conditional>, JsonBody<ProductPatch>) -> Ok<Product, EntityHeaders>;
        product_view(PathId<ProductId>) -> Ok<Product, EntityHeaders>;
        product_list(QueryParams<ProductListQuery>) -> OkAnswer<Page<Product>>;
        stock_adjustment_create(PathId<ProductId>, JsonBody<StockAdjustmentInput>)
            -> CreatedAnswer<StockMovement>;
        stock_adjustment_list(PathId<ProductId>, QueryParams<StockMovementListQuery>)
            -> OkAnswer<Page<StockMovement>>;
        order_list(QueryParams<OrderListQuery>) -> OkAnswer<Page<OrderSummary>>;
        order_event_list(PathId<OrderId>) -> OkAnswer<Page<OrderEvent>>;
        health_view() -> OkAnswer<Health>;
    }
}

/// Applies a change with an idempotency key: checks the version, and stores the first response.
async fn change(
    rqctx: RequestContext<FakeOrders>,
    id: PathId<OrderId>,
    headers: Result<(Option<IdempotencyKey>, Option<IfMatch>), Failure>,
    change: impl Fn(&mut OrderStore, i64) -> Result<(), Failure> + Send,
) -> Result<Ok<Order, ChangedHeaders>, Error> {
    let (call, fake) = (Call::new(&rqctx), rqctx.context());
    let work = async {
        fake.auth.service(&call)?;
        let (id, (key, if_match)) = (id.checked()?.get(), headers?);
        let key = key.ok_or_else(|| Failure::invalid_field("X-Idempotency-Key", "is missing"))?;
        let mut store = fake.store.lock().unwrap();
        let saved = store.changed.get(key.as_str()).cloned();
        let is_replay = saved.is_some();
        let current = store.orders.get(&id).map_or(0, |order| order.version);
        let response = match (saved, if_match) {
            (Some(saved), _) => saved,
            (None, Some(condition)) if !condition.allows(current) => return Err(Failure::precondition_failed(current)),
            _ => {
                change(&mut store, id)?;
                serde_json::to_vec(&store.orders[&id]).unwrap()
            }
        };
        store.changed.insert(key.as_str().to_owned(), response.clone());
        Answer::stored(response, ChangedHeaders { etag: etag(current), idempotent_replayed: replayed(is_replay) })
    };
    Ok(call.answer(work).await)
}
