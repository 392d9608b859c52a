//! Model: the state of the shop, and the expected response to each operation.
//!
//! The model identifies products and orders by index, and keys by number. It does not model concurrency, failures or a
//! clock: only operations advance time.

use std::collections::BTreeMap;

use orders_client::types::{AbandonOutcome, OrderStatus};

use super::operation::{Caller, Content, Operation, Tag};

/// Maximum stock that can be set directly or reached by an adjustment.
pub(super) const MAX_STOCK: i64 = 1_000_000_000;

/// The comparable part of an order, which excludes IDs and times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OrderView {
    pub(super) order: usize,
    pub(super) status: OrderStatus,
    pub(super) version: i64,
    pub(super) total: i64,
    /// Product, quantity, unit price.
    pub(super) lines: Vec<(usize, i64, i64)>,
    pub(super) was_confirmed: bool,
    pub(super) was_canceled: bool,
}

/// The comparable part of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Response {
    /// No response, because the operation sends no request.
    Nothing,
    Order {
        status: u16,
        replayed: bool,
        view: OrderView,
    },
    Abandoned {
        outcome: AbandonOutcome,
        view: Option<OrderView>,
    },
    Product {
        price: i64,
        stock: i64,
        version: i64,
    },
    Movement {
        delta: i64,
    },
    /// An error. `facts` contains the numbers in its details: product, requested, available, total.
    Error {
        status: u16,
        code: String,
        facts: Vec<i64>,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Product {
    pub(super) price: i64,
    pub(super) stock: i64,
    pub(super) version: i64,
}

#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) view: OrderView,
    pub(super) created_by: Caller,
    key: Option<u8>,
    content: Lines,
    pub(super) cancel_window_ended: bool,
}

/// Content that distinguishes create requests from each other: the quantity per product, and the expected total.
type Lines = (BTreeMap<usize, i64>, Option<i64>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Request {
    Create(Lines),
    Confirm(usize),
    Cancel(usize),
}

impl Request {
    fn scope(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Confirm(_) => "confirm",
            Self::Cancel(_) => "cancel",
        }
    }
}

/// A stored key: its request and, unless the request was abandoned, the response and its step.
#[derive(Debug, Clone)]
struct StoredKey {
    request: Request,
    response: Option<(Response, usize)>,
}

#[derive(Debug, Clone)]
pub(super) struct Shop {
    pub(super) products: Vec<Product>,
    pub(super) orders: Vec<Order>,
    keys: BTreeMap<(&'static str, Caller, u8), StoredKey>,
    /// Create requests that were sent with a key, for retries.
    pub(super) sent: Vec<(Caller, u8, Content)>,
    /// Number of operations so far.
    steps: usize,
    /// Expected response to the last operation.
    pub(super) response: Response,
    /// The earlier operation whose response the last one replays.
    pub(super) replay_of: Option<usize>,
}

impl Shop {
    /// Creates a shop whose products have these stocks and a price of 100 cents each.
    pub(super) fn with_stocks(stocks: &[i64]) -> Self {
        let products = stocks.iter().map(|&stock| Product { price: 100, stock, version: 1 }).collect();
        let (orders, keys, sent) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { products, orders, keys, sent, steps: 0, response: Response::Nothing, replay_of: None }
    }

    pub(super) fn apply(&mut self, operation: &Operation) {
        self.replay_of = None;
        let result = match operation {
            Operation::Create { caller, key, content } => self.create(*caller, *key, content),
            Operation::Confirm { caller, key, order, tag } => self.confirm(*caller, *key, *order, *tag),
            Operation::Cancel { caller, key, order, tag } => self.cancel(*caller, *key, *order, *tag),
            Operation::Abandon { key, content } => self.abandon(*key, content),
            Operation::Lookup { key } => self.lookup(*key),
            Operation::Adjust { product, delta } => self.adjust(*product, *delta),
            Operation::SetPrice { product, price } => self.edit(*product, Some(*price), None, None, None),
            Operation::SetStock { product, stock, expected, tag } => {
                self.edit(*product, None, Some(*stock), *expected, *tag)
            }
            Operation::ExpireReservation { order } => Ok(self.expire(*order)),
            Operation::EndCancelWindow { order } => {
                if let Some(order) = self.orders.get_mut(*order) {
                    order.cancel_window_ended = order.view.was_confirmed;
                }
                Ok(Response::Nothing)
            }
            Operation::ExpireKey { key } => {
                self.keys.retain(|(_, _, stored), _| stored != key);
                Ok(Response::Nothing)
            }
            Operation::Restart => Ok(Response::Nothing),
        };
        self.response = result.unwrap_or_else(|error| error);
        self.steps += 1;
    }

    fn create(&mut self, caller: Caller, key: Option<u8>, content: &Content) -> Result<Response, Response> {
        if let Some(key) = key {
            self.sent.push((caller, key, content.clone()));
        } else if caller == Caller::Service {
            return Err(error(400, "invalid_request", &[]));
        }
        let lines = (content.merged(), content.expected_total);
        let request = Request::Create(lines.clone());
        if let Some(response) = self.replay(caller, key, &request)? {
            return Ok(response);
        }
        if let Some(created) = self.created_with(caller, key) {
            let view = self.orders[created].view.clone();
            return self.same_content(created, &lines).map(|()| Response::Order { status: 201, replayed: true, view });
        }
        let view = self.allocate(&lines)?;
        self.orders.push(Order {
            view: view.clone(),
            created_by: caller,
            key,
            content: lines,
            cancel_window_ended: false,
        });
        Ok(self.store_response(caller, key, request, Response::Order { status: 201, replayed: false, view }))
    }

    fn created_with(&self, caller: Caller, key: Option<u8>) -> Option<usize> {
        key?;
        self.orders.iter().position(|order| order.created_by == caller && order.key == key)
    }

    fn same_content(&self, order: usize, content: &Lines) -> Result<(), Response> {
        if self.orders[order].content == *content { Ok(()) } else { Err(key_reused()) }
    }

    fn allocate(&mut self, (lines, expected_total): &Lines) -> Result<OrderView, Response> {
        let missing: Vec<_> =
            lines.keys().filter(|product| **product >= self.products.len()).map(|&p| number(p)).collect();
        if !missing.is_empty() {
            return Err(error(404, "product_not_found", &missing));
        }
        let short = lines.iter().filter(|&(&product, &qty)| self.products[product].stock < qty);
        let short: Vec<_> =
            short.flat_map(|(&product, &qty)| [number(product), qty, self.products[product].stock]).collect();
        if !short.is_empty() {
            return Err(error(409, "insufficient_stock", &short));
        }
        let lines: Vec<_> = lines.iter().map(|(&product, &qty)| (product, qty, self.products[product].price)).collect();
        let total = lines.iter().map(|(_, qty, price)| qty * price).sum();
        if expected_total.is_some_and(|expected| expected != total) {
            return Err(error(409, "total_changed", &[total]));
        }
        for &(product, qty, _) in &lines {
            self.change_stock(product, -qty);
        }
        let (order, status) = (self.orders.len(), OrderStatus::Created);
        Ok(OrderView { order, status, version: 1, total, lines, was_confirmed: false, was_canceled: false })
    }

    fn confirm(&mut self, caller: Caller, key: u8, order: usize, tag: Tag) -> Result<Response, Response> {
        let request = Request::Confirm(order);
        if let Some(response) = self.replay(caller, Some(key), &request)? {
            return Ok(response);
        }
        let view = self.order_with_tag(order, tag)?;
        match view.status {
            OrderStatus::Created => {
                (view.status, view.was_confirmed) = (OrderStatus::Confirmed, true);
                view.version += 1;
            }
            OrderStatus::Confirmed => {}
            OrderStatus::Canceled => return Err(error(409, "order_canceled", &[])),
        }
        let view = view.clone();
        Ok(self.store_response(caller, Some(key), request, Response::Order { status: 200, replayed: false, view }))
    }

    fn cancel(&mut self, caller: Caller, key: Option<u8>, order: usize, tag: Tag) -> Result<Response, Response> {
        let request = Request::Cancel(order);
        if let Some(response) = self.replay(caller, key, &request)? {
            return Ok(response);
        }
        if self.order_with_tag(order, tag)?.status != OrderStatus::Canceled {
            if self.orders[order].cancel_window_ended {
                return Err(error(409, "cancel_window_passed", &[]));
            }
            self.cancel_order(order);
        }
        let view = self.orders[order].view.clone();
        Ok(self.store_response(caller, key, request, Response::Order { status: 200, replayed: false, view }))
    }

    fn abandon(&mut self, key: u8, content: &Content) -> Result<Response, Response> {
        let (caller, lines) = (Caller::Service, (content.merged(), content.expected_total));
        let request = Request::Create(lines.clone());
        let id = (request.scope(), caller, key);
        if self.keys.get(&id).is_some_and(|stored| stored.request != request) {
            return Err(key_reused());
        }
        let created = self.created_with(caller, Some(key));
        if let Some(created) = created {
            self.same_content(created, &lines)?;
        }
        self.keys.entry(id).or_insert(StoredKey { request, response: None });
        let Some(created) = created else {
            return Ok(Response::Abandoned { outcome: AbandonOutcome::NeverCreated, view: None });
        };
        if self.orders[created].view.status == OrderStatus::Created {
            self.cancel_order(created);
        }
        let view = self.orders[created].view.clone();
        let confirmed = view.status == OrderStatus::Confirmed;
        let outcome = if confirmed { AbandonOutcome::Confirmed } else { AbandonOutcome::Canceled };
        Ok(Response::Abandoned { outcome, view: Some(view) })
    }

    fn lookup(&self, key: u8) -> Result<Response, Response> {
        let created = self.created_with(Caller::Service, Some(key)).ok_or_else(order_not_found)?;
        Ok(Response::Order { status: 200, replayed: false, view: self.orders[created].view.clone() })
    }

    fn adjust(&mut self, product: usize, delta: i64) -> Result<Response, Response> {
        let stock = self.products[product].stock;
        if !(0..=MAX_STOCK).contains(&(stock + delta)) {
            return Err(error(409, "stock_out_of_range", &[number(product), stock]));
        }
        self.change_stock(product, delta);
        Ok(Response::Movement { delta })
    }

    fn edit(
        &mut self,
        index: usize,
        price: Option<i64>,
        stock: Option<i64>,
        expected: Option<i64>,
        tag: Tag,
    ) -> Result<Response, Response> {
        let product = &mut self.products[index];
        check(tag, product.version)?;
        if expected.is_some_and(|expected| expected != product.stock) {
            return Err(error(409, "stock_changed", &[number(index), product.stock]));
        }
        product.price = price.unwrap_or(product.price);
        product.stock = stock.unwrap_or(product.stock);
        product.version += 1;
        Ok(Response::Product { price: product.price, stock: product.stock, version: product.version })
    }

    /// Cancels an order whose reservation has expired. Only unconfirmed orders that a service created have a
    /// reservation.
    fn expire(&mut self, order: usize) -> Response {
        let expires = |order: &Order| order.created_by == Caller::Service && order.view.status == OrderStatus::Created;
        if self.orders.get(order).is_some_and(expires) {
            self.cancel_order(order);
        }
        Response::Nothing
    }

    fn cancel_order(&mut self, order: usize) {
        let view = &mut self.orders[order].view;
        (view.status, view.was_canceled) = (OrderStatus::Canceled, true);
        view.version += 1;
        for (product, qty, _) in view.lines.clone() {
            self.change_stock(product, qty);
        }
    }

    fn change_stock(&mut self, product: usize, delta: i64) {
        let product = &mut self.products[product];
        product.stock += delta;
        product.version += 1;
    }

    fn order_with_tag(&mut self, order: usize, tag: Tag) -> Result<&mut OrderView, Response> {
        let view = &mut self.orders.get_mut(order).ok_or_else(order_not_found)?.view;
        check(tag, view.version)?;
        Ok(view)
    }

    /// Returns the stored response for the key, if any.
    fn replay(&mut self, caller: Caller, key: Option<u8>, request: &Request) -> Result<Option<Response>, Response> {
        let Some(key) = key else { return Ok(None) };
        match self.keys.get(&(request.scope(), caller, key)) {
            None => Ok(None),
            Some(stored) if stored.request != *request => Err(key_reused()),
            Some(StoredKey { response: None, .. }) => Err(error(409, "idempotency_key_abandoned", &[])),
            Some(StoredKey { response: Some((response, step)), .. }) => {
                self.replay_of = Some(*step);
                let mut response = response.clone();
                if let Response::Order { replayed, .. } = &mut response {
                    *replayed = true;
                }
                Ok(Some(response))
            }
        }
    }

    fn store_response(&mut self, caller: Caller, key: Option<u8>, request: Request, response: Response) -> Response {
        if let Some(key) = key {
            let stored = Some((response.clone(), self.steps));
            self.keys.insert((request.scope(), caller, key), StoredKey { request, response: stored });
        }
        response
    }
}

fn check(tag: Tag, version: i64) -> Result<(), Response> {
    match tag {
        Some(wanted) if wanted != version => Err(error(412, "precondition_failed", &[])),
        _ => Ok(()),
    }
}

fn number(index: usize) -> i64 {
    i64::try_from(index).unwrap()
}

fn error(status: u16, code: &str, facts: &[i64]) -> Response {
    Response::Error { status, code: code.to_owned(), facts: facts.to_vec() }
}

fn key_reused() -> Response {
    error(422, "idempotency_key_reused", &[])
}

fn order_not_found() -> Response {
    error(404, "order_not_found", &[])
}
