//! Creating, confirming, canceling and reading orders.

use rand::Rng;

use super::Client;
use crate::history::Sent;
use crate::outcome::OrderSeen;
use crate::request::{Caller, NewOrder, Request};

impl Client {
    /// A service's order may be left to expire.
    pub(super) async fn create_with_a_key(&mut self) {
        let caller = self.caller();
        self.create(caller, true).await;
    }

    pub(super) async fn create_without_a_key(&mut self) {
        self.create(Caller::Operator, false).await;
    }

    pub(super) async fn create_confirm_cancel(&mut self) {
        let caller = self.caller();
        let Some(order) = self.create(caller, true).await else { return };
        self.confirm(caller, order).await;
        if self.chance(40) {
            self.cancel(caller, order).await;
        }
    }

    /// The second has other content, whatever the outcome of the first.
    pub(super) async fn create_under_a_used_key(&mut self) {
        let (caller, key, first) = (self.caller(), self.new_name(), self.new_order_with_a_reference());
        let requests = vec![Request::Create(first.clone()), Request::Create(other(&first))];
        self.execute_as(caller, Some(key), requests).await;
    }

    pub(super) async fn confirm_a_recent_order(&mut self) {
        let caller = self.caller();
        if let Some(order) = self.shop.recent_order(&mut self.rng) {
            self.confirm(caller, order).await;
        }
    }

    pub(super) async fn cancel_a_recent_order(&mut self) {
        let caller = self.caller();
        if let Some(order) = self.shop.recent_order(&mut self.rng) {
            self.cancel(caller, order).await;
        }
    }

    pub(super) async fn create_and_confirm(&mut self) {
        let (key, new) = (self.new_name(), self.new_order());
        self.execute_as(Caller::Service, Some(key), vec![Request::CreateAndConfirm(new)]).await;
    }

    /// Half of the time with other content.
    pub(super) async fn create_and_confirm_twice_at_once(&mut self) {
        let (key, first) = (self.new_name(), self.new_order());
        let second = self.chance(50).then(|| Request::CreateAndConfirm(other(&first)));
        let requests = [Request::CreateAndConfirm(first)].into_iter().chain(second).collect();
        self.execute_at_once(Caller::Service, key, requests).await;
    }

    pub(super) async fn create_and_confirm_under_a_used_key(&mut self) {
        let (key, first) = (self.new_name(), self.new_order());
        let requests = [first.clone(), other(&first)].map(Request::CreateAndConfirm).into();
        self.execute_as(Caller::Service, Some(key), requests).await;
    }

    /// By its id, or by its reference in the list.
    pub(super) async fn view_order(&mut self) {
        let acknowledged = self.records.iter().rev().filter_map(|record| match record.request() {
            Request::Create(_) => record.acknowledged().find_map(Sent::order),
            _ => None,
        });
        let own = acknowledged.take(20).nth(self.rng.random_range(0..20)).cloned();
        let request = match own {
            Some(OrderSeen { id: order, reference: Some(reference), .. }) if self.chance(40) => {
                Some(Request::FindOrder { order, reference })
            }
            Some(OrderSeen { id: order, .. }) => Some(Request::ViewOrder { order }),
            None => self.shop.recent_order(&mut self.rng).map(|order| Request::ViewOrder { order }),
        };
        if let Some(request) = request {
            self.execute(request).await;
        }
    }

    async fn create(&mut self, caller: Caller, keyed: bool) -> Option<i64> {
        let mut new = self.new_order_with_a_reference();
        if self.chance(10) {
            new.expected_total_cents = self.last_total_of(&new);
        }
        let key = keyed.then(|| self.new_name());
        let record = self.execute_as(caller, key, vec![Request::Create(new)]).await;
        record.sends.iter().find_map(Sent::order).map(|order| order.id)
    }

    async fn confirm(&mut self, caller: Caller, order: i64) {
        let key = self.new_name();
        self.execute_as(caller, Some(key), vec![Request::Confirm { order }]).await;
    }

    async fn cancel(&mut self, caller: Caller, order: i64) {
        let key = self.chance(70).then(|| self.new_name());
        self.execute_as(caller, key, vec![Request::Cancel { order }]).await;
    }

    fn caller(&mut self) -> Caller {
        if self.chance(50) { Caller::Operator } else { Caller::Service }
    }

    fn new_order_with_a_reference(&mut self) -> NewOrder {
        let reference = Some(self.new_name());
        NewOrder { reference, ..self.new_order() }
    }

    fn new_order(&mut self) -> NewOrder {
        let deleted = self.deleted_customer.filter(|_| self.rng.random_ratio(2, 100));
        let customer = deleted.unwrap_or_else(|| self.shop.customer(&mut self.rng));
        NewOrder { customer, lines: self.lines(), reference: None, expected_total_cents: None }
    }

    /// One line, or two products in either order, now and then one product on two lines.
    fn lines(&mut self) -> Vec<(i64, i64)> {
        let scarce = self.chance(30);
        let rng = &mut self.rng;
        let first = if scarce { self.shop.scarce_product(rng) } else { self.shop.plentiful_product(rng) };
        let mut lines = vec![(first, self.rng.random_range(1..=4))];
        if self.chance(50) {
            lines.push((self.shop.plentiful_product(&mut self.rng), self.rng.random_range(1..=4)));
        }
        lines
    }

    /// The total at the prices of this client's latest orders, or at the first prices.
    fn last_total_of(&self, new: &NewOrder) -> Option<i64> {
        let price = |product: i64| {
            let mut orders = self.records.iter().rev().take(50).flat_map(|record| record.sends.iter());
            let last = orders.find_map(|sent| {
                let item = sent.order()?.items.iter().find(|item| item.product == product)?;
                Some(item.unit_price_cents)
            });
            let first = self.shop.products.iter().find(|known| known.id == product).map(|known| known.price_cents);
            last.or(first)
        };
        new.lines.iter().map(|&(product, qty)| Some(price(product)? * qty)).sum()
    }
}

/// The same order with other content.
fn other(order: &NewOrder) -> NewOrder {
    let mut other = order.clone();
    other.lines[0].1 += 1;
    other
}
