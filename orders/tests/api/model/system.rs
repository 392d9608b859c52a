//! The running system. Executes the model's operations and converts the responses to the model's types.

use orders_client::types::{self, ProductPatch, StockAdjustmentInput};
use orders_client::{Client, Error, ResponseValue};

use super::operation::{Caller, Content, Operation, Tag};
use super::shop::{OrderView, Response, Shop};
use crate::harness::{Harness, is_replay, new_order};
use crate::invariants;

/// ID of a product or an order that does not exist.
const UNKNOWN: i64 = 1_000_000;
const EXPIRED_RESERVATIONS: &str =
    "SELECT COUNT(*) AS n FROM orders WHERE status = 'CREATED' AND reserved_until <= UTC_TIMESTAMP(6)";

type CallResult<T> = Result<ResponseValue<T>, Error<types::Error>>;

pub(super) struct System {
    harness: Harness,
    products: Vec<i64>,
    orders: Vec<i64>,
    /// The complete order in the response to each operation, if any.
    order_responses: Vec<Option<types::Order>>,
}

impl System {
    pub(super) async fn start(shop: &Shop) -> Self {
        let harness = Harness::start().await;
        let mut products = Vec::new();
        for (index, product) in shop.products.iter().enumerate() {
            products.push(harness.product(&format!("P{index}"), product.stock).await);
        }
        Self { harness, products, orders: Vec::new(), order_responses: Vec::new() }
    }

    /// Executes the operation and compares its response with the model, which has already applied the operation.
    pub(super) async fn perform(&mut self, operation: &Operation, shop: &Shop) {
        self.order_responses.push(None);
        let response = self.response(operation).await;
        assert_eq!(response, shop.response, "the response to {operation:?} (left) differs from the model");
        if let Some(step) = shop.replay_of {
            assert_eq!(
                self.order_responses.last(),
                self.order_responses.get(step),
                "the replay of {operation:?} differs from the first response"
            );
        }
    }

    /// Compares products and orders with the model, and checks the data invariants.
    pub(super) async fn check(&self, shop: &Shop) {
        invariants::check(&self.harness).await;
        for (index, product) in shop.products.iter().enumerate() {
            let view = self.harness.operator().product_view().id(self.products[index]).send().await.unwrap();
            assert_eq!((view.stock, view.price_cents, view.version), (product.stock, product.price, product.version));
        }
        assert_eq!(self.orders.len(), shop.orders.len());
        for (id, order) in self.orders.iter().zip(&shop.orders) {
            let view = self.harness.operator().order_view().id(*id).send().await.unwrap().into_inner();
            assert_eq!(self.view(&view), order.view);
        }
    }

    async fn response(&mut self, operation: &Operation) -> Response {
        match operation {
            Operation::Create { caller, key, content } => {
                let create = self.client(*caller).order_create().body(self.new_order(content));
                let sent = match key {
                    Some(key) => create.x_idempotency_key(name(*key)).send().await,
                    None => create.send().await,
                };
                self.order_response(sent)
            }
            Operation::Confirm { caller, key, order, tag } => {
                let confirm = self.client(*caller).order_confirm().id(self.order_id(*order));
                let confirm = confirm.x_idempotency_key(name(*key));
                let sent = match etag(*tag) {
                    Some(tag) => confirm.if_match(tag).send().await,
                    None => confirm.send().await,
                };
                self.order_response(sent)
            }
            Operation::Cancel { caller, key, order, tag } => {
                let mut cancel = self.client(*caller).order_cancel().id(self.order_id(*order));
                if let Some(key) = key {
                    cancel = cancel.x_idempotency_key(name(*key));
                }
                if let Some(tag) = etag(*tag) {
                    cancel = cancel.if_match(tag);
                }
                let sent = cancel.send().await;
                self.order_response(sent)
            }
            Operation::Abandon { key, content } => {
                let order: types::OrderInput = self.new_order(content).try_into().unwrap();
                let request = types::AbandonRequest::builder().create_key(name(*key)).order(order);
                self.to_response(
                    self.client(Caller::Service).internal_order_abandon().body(request).send().await,
                    |abandoned| {
                        let view = abandoned.order.as_ref().map(|order| self.view(order));
                        Response::Abandoned { outcome: abandoned.outcome, view }
                    },
                )
            }
            Operation::Lookup { key } => {
                let sent = self.client(Caller::Service).internal_order_lookup().create_key(name(*key)).send().await;
                self.order_response(sent)
            }
            Operation::Adjust { product, delta } => {
                let adjustment = StockAdjustmentInput::builder().delta(*delta).reason("count");
                let id = self.products[*product];
                let sent = self.client(Caller::Operator).stock_adjustment_create().id(id).body(adjustment).send().await;
                self.to_response(sent, |movement| Response::Movement { delta: movement.delta })
            }
            Operation::SetPrice { product, price } => {
                self.edit(*product, ProductPatch::builder().price_cents(*price), None).await
            }
            Operation::SetStock { product, stock, expected, tag } => {
                self.edit(*product, ProductPatch::builder().stock(*stock).expected_stock(*expected), *tag).await
            }
            other => {
                self.change_time_or_restart(other).await;
                Response::Nothing
            }
        }
    }

    async fn edit(&self, product: usize, patch: types::builder::ProductPatch, tag: Tag) -> Response {
        let update = self.client(Caller::Operator).product_update().id(self.products[product]).body(patch);
        let sent = match etag(tag) {
            Some(tag) => update.if_match(tag).send().await,
            None => update.send().await,
        };
        self.to_response(sent, |product| Response::Product {
            price: product.price_cents,
            stock: product.stock,
            version: product.version,
        })
    }

    /// Executes an operation that sends no request. Changes times in database rows instead of advancing the clock.
    async fn change_time_or_restart(&mut self, operation: &Operation) {
        match operation {
            Operation::ExpireReservation { order } => {
                let expire = "UPDATE orders SET reserved_until = UTC_TIMESTAMP(6) WHERE reserved_until IS NOT NULL";
                self.harness.sql(&format!("{expire} AND id = {}", self.order_id(*order))).await;
                let expiring = self.harness.start_server();
                self.harness.wait_for(EXPIRED_RESERVATIONS, 0).await;
                expiring.close().await;
            }
            Operation::EndCancelWindow { order } => {
                let earlier = "UPDATE orders o JOIN order_events e ON e.order_id = o.id AND e.to_status = 'CONFIRMED' \
                     SET o.confirmed_at = o.confirmed_at - INTERVAL 601 SECOND, e.created_at = e.created_at - INTERVAL 601 SECOND";
                let of_this = format!("WHERE o.status = 'CONFIRMED' AND o.id = {}", self.order_id(*order));
                self.harness.sql(&format!("{earlier} {of_this}")).await;
            }
            Operation::ExpireKey { key } => {
                let expired = "UPDATE idempotency_keys SET expires_at = UTC_TIMESTAMP(6)";
                self.harness.sql(&format!("{expired} WHERE `key` = '{}'", name(*key))).await;
            }
            Operation::Restart => self.harness.restart().await,
            other => panic!("not a change of time or a restart: {other:?}"),
        }
    }

    fn order_response(&mut self, sent: CallResult<types::Order>) -> Response {
        if let Ok(order) = &sent {
            let created = order.status().as_u16() == 201 && !is_replay(order);
            if created && !self.orders.contains(&order.id) {
                self.orders.push(order.id);
            }
            *self.order_responses.last_mut().unwrap() = Some((**order).clone());
        }
        let (status, replayed) = sent.as_ref().map_or((0, false), |order| (order.status().as_u16(), is_replay(order)));
        self.to_response(sent, |order| Response::Order { status, replayed, view: self.view(order) })
    }

    /// Converts a result to the model's type, using `success` for a successful response.
    fn to_response<T: std::fmt::Debug>(&self, sent: CallResult<T>, success: impl FnOnce(&T) -> Response) -> Response {
        match sent {
            Ok(response) => success(&response.into_inner()),
            Err(Error::ErrorResponse(error)) => {
                let facts = error.details.iter().flat_map(|detail| self.facts(detail)).collect();
                let code = error.error_code.clone().unwrap_or_default();
                Response::Error { status: error.status().as_u16(), code, facts }
            }
            Err(other) => panic!("expected a documented response, got {other:?}"),
        }
    }

    fn facts(&self, detail: &types::Detail) -> Vec<i64> {
        let index = |id: i64| self.products.iter().position(|known| *known == id);
        let product = detail.product_id.map(|id| index(id).unwrap_or(self.products.len()).try_into().unwrap());
        [product, detail.requested, detail.available, detail.total_cents].into_iter().flatten().collect()
    }

    fn view(&self, order: &types::Order) -> OrderView {
        let index = |id: i64| self.products.iter().position(|known| *known == id).unwrap();
        let line = |item: &types::OrderItem| {
            assert_eq!(item.subtotal_cents, item.qty * item.unit_price_cents);
            (index(item.product_id), item.qty, item.unit_price_cents)
        };
        OrderView {
            order: self.orders.iter().position(|known| *known == order.id).expect("a known order"),
            status: order.status,
            version: order.version,
            total: order.total_cents,
            lines: order.items.iter().map(line).collect(),
            was_confirmed: order.confirmed_at.is_some(),
            was_canceled: order.canceled_at.is_some(),
        }
    }

    fn client(&self, caller: Caller) -> &Client {
        match caller {
            Caller::Operator => self.harness.operator(),
            Caller::Service => self.harness.service(),
        }
    }

    fn order_id(&self, order: usize) -> i64 {
        self.orders.get(order).copied().unwrap_or(UNKNOWN)
    }

    fn new_order(&self, content: &Content) -> types::builder::OrderInput {
        let id = |product: &usize| self.products.get(*product).copied().unwrap_or(UNKNOWN);
        let lines: Vec<_> = content.lines.iter().map(|(product, qty)| (id(product), *qty)).collect();
        new_order(&lines).expected_total_cents(content.expected_total)
    }
}

fn name(key: u8) -> String {
    format!("k{key}")
}

fn etag(tag: Tag) -> Option<String> {
    tag.map(|version| format!("\"v{version}\""))
}
