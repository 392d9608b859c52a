//! Making, confirming, canceling and looking at orders.

use rand::Rng;
use serde_json::{Value, json};

use super::Client;
use crate::attempt::{self, Attempt};
use crate::history::{Caller, NewOrder, Record, Request, Sent};
use crate::operation::Operation;
use crate::outcome::{OrderSeen, Seen};
use crate::session::{Pursuit, Session};

impl Client {
    /// Of a service, the order may be left to expire.
    pub(super) async fn create_with_a_key(&mut self) {
        let caller = self.caller();
        self.make(caller, true).await;
    }

    pub(super) async fn create_without_a_key(&mut self) {
        self.make(Caller::Operator, false).await;
    }

    pub(super) async fn create_confirm_cancel(&mut self) {
        let caller = self.caller();
        let Some(order) = self.make(caller, true).await else { return };
        self.confirm(caller, order.id).await;
        if self.chance(40) {
            self.cancel(caller, order.id).await;
        }
    }

    /// Whatever came of the first, the second has other content.
    pub(super) async fn create_under_a_used_key(&mut self) {
        let (caller, key) = (self.caller(), self.new_name());
        let first = self.new_order_with_a_reference();
        let mut second = first.clone();
        second.lines[0].1 += 1;
        let requests = vec![Request::Create(first), Request::Create(second)];
        self.session.tally.begin();
        let mut sends = Vec::new();
        for (number, request) in requests.iter().enumerate() {
            let pursuit = Pursuit { request: number, ..Pursuit::of(Operation::OrderCreate, true) };
            sends.extend(send(&self.session, caller, pursuit, request, Some(&key)).await);
        }
        self.remember_made(&sends);
        self.keep(Record { caller, key: Some(key), requests, sends });
    }

    pub(super) async fn confirm_somebodys_order(&mut self) {
        let caller = self.caller();
        if let Some(order) = self.shop.recent_order(&mut self.rng) {
            self.confirm(caller, order).await;
        }
    }

    pub(super) async fn cancel_somebodys_order(&mut self) {
        let caller = self.caller();
        if let Some(order) = self.shop.recent_order(&mut self.rng) {
            self.cancel(caller, order).await;
        }
    }

    /// By its id, or by its reference in the list.
    pub(super) async fn view_order(&mut self) {
        let acknowledged = self.records.iter().rev().filter_map(|record| match record.request() {
            Request::Create(_) => record.acknowledged().find_map(Sent::order),
            _ => None,
        });
        let own = acknowledged.take(20).nth(self.rng.random_range(0..20)).cloned();
        match own {
            Some(OrderSeen { id, reference: Some(reference), .. }) if self.chance(40) => self.find(id, reference).await,
            Some(OrderSeen { id, .. }) => self.view(id).await,
            None => {
                if let Some(order) = self.shop.recent_order(&mut self.rng) {
                    self.view(order).await;
                }
            }
        }
    }

    fn caller(&mut self) -> Caller {
        if self.chance(50) { Caller::Operator } else { Caller::Service }
    }

    fn new_order_with_a_reference(&mut self) -> NewOrder {
        let reference = Some(self.new_name());
        NewOrder { reference, ..self.new_order() }
    }

    async fn make(&mut self, caller: Caller, keyed: bool) -> Option<OrderSeen> {
        let mut new = self.new_order_with_a_reference();
        if self.chance(10) {
            new.expected_total_cents = self.last_total_of(&new);
        }
        let key = keyed.then(|| self.new_name());
        self.session.tally.begin();
        let (sends, request) = self.send_and_replay(caller, Request::Create(new), key.as_deref()).await;
        let made = sends.iter().find_map(Sent::order).cloned();
        self.remember_made(&sends);
        self.keep(Record { caller, key, requests: vec![request], sends });
        made
    }

    async fn confirm(&mut self, caller: Caller, order: i64) {
        let key = Some(self.new_name());
        self.session.tally.begin();
        let (sends, request) = self.send_and_replay(caller, Request::Confirm { order }, key.as_deref()).await;
        self.keep(Record { caller, key, requests: vec![request], sends });
    }

    async fn cancel(&mut self, caller: Caller, order: i64) {
        let key = self.chance(70).then(|| self.new_name());
        self.session.tally.begin();
        let (sends, request) = self.send_and_replay(caller, Request::Cancel { order }, key.as_deref()).await;
        self.keep(Record { caller, key, requests: vec![request], sends });
    }

    /// Sends until there is an answer. Now and then the same again, as one who did not believe it.
    async fn send_and_replay(&mut self, caller: Caller, request: Request, key: Option<&str>) -> (Vec<Sent>, Request) {
        let pursuit = Pursuit::of(request.operation(), key.is_some());
        let mut sends = send(&self.session, caller, pursuit, &request, key).await;
        let succeeded = sends.last().is_some_and(|sent| sent.outcome.is_ok());
        if key.is_some() && succeeded && self.chance(25) {
            sends.extend(send(&self.session, caller, pursuit, &request, key).await);
        }
        (sends, request)
    }

    async fn view(&mut self, order: i64) {
        self.session.tally.begin();
        let session = &self.session;
        let attempt = async || {
            let Some(client) = session.orders().await else { return Attempt::not_sent() };
            Attempt::of(client_common::send(client.order_view().id(order).send()).await, Seen::from)
        };
        let sends = session.pursue(Pursuit::of(Operation::OrderView, true), attempt).await;
        self.keep(Record::unkeyed(Caller::Operator, Request::ViewOrder { order }, sends));
    }

    async fn find(&mut self, order: i64, reference: String) {
        self.session.tally.begin();
        let session = &self.session;
        let wanted = reference.as_str();
        let attempt = async || {
            let Some(client) = session.orders().await else { return Attempt::not_sent() };
            let page = client_common::send(client.order_list().external_reference(wanted).send()).await;
            Attempt::of(page, |page| Seen::List { found: page.data.iter().any(|found| found.id == order) })
        };
        let sends = session.pursue(Pursuit::of(Operation::OrderList, true), attempt).await;
        self.keep(Record::unkeyed(Caller::Operator, Request::FindOrder { order, reference }, sends));
    }

    fn remember_made(&self, sends: &[Sent]) {
        if let Some(order) = sends.iter().find_map(Sent::order) {
            self.shop.remember(order.id);
        }
    }

    /// What an order like this cost when this client last made one, or would cost at the first prices.
    fn last_total_of(&self, new: &NewOrder) -> Option<i64> {
        let prices = |product: i64| {
            let mut orders = self.records.iter().rev().take(50).flat_map(|record| record.sends.iter());
            let last = orders.find_map(|sent| {
                let order = sent.order()?;
                order.items.iter().find(|item| item.product == product).map(|item| item.unit_price_cents)
            });
            let first = self.shop.products.iter().find(|known| known.id == product).map(|known| known.price_cents);
            last.or(first)
        };
        new.lines.iter().map(|&(product, qty)| Some(prices(product)? * qty)).sum()
    }
}

async fn send(session: &Session, caller: Caller, pursuit: Pursuit, request: &Request, key: Option<&str>) -> Vec<Sent> {
    let (path, body) = match request {
        Request::Create(new) => ("/orders".to_owned(), Some(body(new))),
        Request::Confirm { order } => (format!("/orders/{order}/confirm"), None),
        Request::Cancel { order } => (format!("/orders/{order}/cancel"), None),
        other => unreachable!("{other:?} changes no order"),
    };
    let attempt = async || {
        let Some(mut request) = session.order_request(caller, &path).await else { return Attempt::not_sent() };
        if let Some(key) = key {
            request = request.header("x-idempotency-key", key);
        }
        if let Some(body) = &body {
            request = request.json(body);
        }
        attempt::order(request).await
    };
    session.pursue(pursuit, attempt).await
}

fn body(new: &NewOrder) -> Value {
    let NewOrder { customer, lines, reference, expected_total_cents } = new;
    let items: Vec<_> = lines.iter().map(|(product, qty)| json!({ "product_id": product, "qty": qty })).collect();
    let mut body = json!({ "customer_id": customer, "items": items });
    if let Some(reference) = reference {
        body["external_reference"] = json!(reference);
    }
    if let Some(total) = expected_total_cents {
        body["expected_total_cents"] = json!(total);
    }
    body
}
