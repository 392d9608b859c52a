//! Client of a load: executes random operations sequentially.

use std::collections::HashMap;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::history::{Record, Sent};
use crate::outcome::{Adjustment, Customer, Order, Product};
use crate::request::{Caller, Line, NewOrder, Request};
use crate::session::Session;
use crate::shop::Shop;

/// Maximum number of customers per client. At the maximum, a client deletes a customer before it creates another one.
const MAX_OWN_CUSTOMERS: usize = 4;

/// Client that executes one operation at a time, except for pairs of concurrent requests with the same key.
pub(crate) struct Client {
    session: Arc<Session>,
    shop: Arc<Shop>,
    rng: ChaCha8Rng,
    /// Prefix of every name that this client generates.
    name: String,
    name_count: u64,
    records: Vec<Record>,
    /// Unit prices in cents in the most recent orders, by product.
    prices: HashMap<i64, i64>,
    /// Customers that only this client changes.
    own_customers: Vec<Customer>,
    deleted_customer: Option<i64>,
}

impl Client {
    pub(crate) fn new(session: Arc<Session>, shop: Arc<Shop>, run: &str, seed: u64, number: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number as u64);
        let prices = shop.products.iter().map(|product| (product.id, product.price_cents)).collect();
        let (name, records, own_customers) = (format!("{run}-{number}"), Vec::new(), Vec::new());
        Self { session, shop, rng, name, name_count: 0, records, prices, own_customers, deleted_customer: None }
    }

    /// Executes operations until the load stops, completes the last operation, and returns the records.
    pub(crate) async fn run(mut self) -> Vec<Record> {
        while !self.session.stopping.load(Ordering::Relaxed) {
            self.execute_random_operation().await;
        }
        self.records
    }

    async fn execute_random_operation(&mut self) {
        match self.rng.random_range(0..100) {
            // Some orders created by services are left to expire.
            0..16 => _ = self.create(true).await,
            16..22 => _ = self.create(false).await,
            22..26 => {
                let (caller, new) = (self.caller(), self.new_order_with_a_reference());
                self.reuse_a_key(caller, new, Request::Create).await;
            }
            26..44 => self.create_confirm_cancel().await,
            44..55 => self.change_a_recent_order().await,
            55..66 => {
                let (key, new) = (self.new_name(), self.new_order());
                self.execute_as(Caller::Service, Some(key), vec![Request::CreateAndConfirm(new)]).await;
            }
            66..70 => self.create_and_confirm_twice_at_once().await,
            70..72 => {
                let new = self.new_order();
                self.reuse_a_key(Caller::Service, new, Request::CreateAndConfirm).await;
            }
            72..77 => self.set_price().await,
            77..85 => self.adjust_stock().await,
            85..87 => self.set_stock().await,
            87..89 => _ = self.view_product().await,
            89..92 => self.view_a_recent_order().await,
            _ => self.change_own_customers().await,
        }
    }

    async fn create(&mut self, keyed: bool) -> Option<(Caller, i64)> {
        let caller = if keyed { self.caller() } else { Caller::User };
        let mut new = self.new_order_with_a_reference();
        if self.chance(10) {
            // The total, based on the prices that this client saw most recently.
            let costs = new.items.iter().map(|line| Some(self.prices.get(&line.product_id)? * line.qty));
            new.expected_total_cents = costs.sum();
        }
        let key = keyed.then(|| self.new_name());
        let record = self.execute_as(caller, key, vec![Request::Create(new)]).await;
        record.sends.iter().find_map(Sent::order).map(|order| (caller, order.id))
    }

    async fn create_confirm_cancel(&mut self) {
        let Some((caller, order)) = self.create(true).await else { return };
        self.change(caller, Request::Confirm { order }).await;
        if self.chance(40) {
            self.change(caller, Request::Cancel { order }).await;
        }
    }

    async fn change_a_recent_order(&mut self) {
        let (caller, confirms) = (self.caller(), self.rng.random_ratio(6, 11));
        let Some(Order { id: order, .. }) = self.shop.recent_order(&mut self.rng) else { return };
        let request = if confirms { Request::Confirm { order } } else { Request::Cancel { order } };
        self.change(caller, request).await;
    }

    /// Confirms an order with a key, or cancels it, usually with a key.
    async fn change(&mut self, caller: Caller, request: Request) {
        let keyed = matches!(request, Request::Confirm { .. }) || self.chance(70);
        let key = keyed.then(|| self.new_name());
        self.execute_as(caller, key, vec![request]).await;
    }

    /// Sends a request and, regardless of its outcome, another one with different content under the same key.
    async fn reuse_a_key(&mut self, caller: Caller, first: NewOrder, request: fn(NewOrder) -> Request) {
        let (key, second) = (self.new_name(), with_other_content(&first));
        self.execute_as(caller, Some(key), vec![request(first), request(second)]).await;
    }

    /// Sends two concurrent requests with the same key; in half of the cases their content differs.
    async fn create_and_confirm_twice_at_once(&mut self) {
        let (key, first) = (self.new_name(), self.new_order());
        let second = self.chance(50).then(|| with_other_content(&first));
        let requests: Vec<_> = iter::once(first).chain(second).map(Request::CreateAndConfirm).collect();
        let last = requests.len() - 1;
        let mut record = Record { caller: Caller::Service, key: Some(key), requests, sends: Vec::new() };
        self.session.progress().in_flight += 1;
        let send = |request, sender| self.session.send_with_retries(&record, request, sender);
        let both = tokio::join!(send(0, 0), send(last, 1));
        record.sends = both.0.into_iter().chain(both.1).collect();
        self.store(record);
    }

    async fn view_a_recent_order(&mut self) {
        let Some(Order { id: order, external_reference, .. }) = self.shop.recent_order(&mut self.rng) else { return };
        let request = match external_reference.filter(|_| self.chance(40)) {
            Some(reference) => Request::FindOrder { order, reference },
            None => Request::ViewOrder { order },
        };
        self.execute(request).await;
    }

    fn new_order_with_a_reference(&mut self) -> NewOrder {
        NewOrder { external_reference: Some(self.new_name()), ..self.new_order() }
    }

    /// Generates an order with one or two lines, in any order and occasionally for the same product.
    fn new_order(&mut self) -> NewOrder {
        let deleted = self.deleted_customer.filter(|_| self.rng.random_ratio(2, 100));
        let customer_id = deleted.unwrap_or_else(|| self.shop.customer(&mut self.rng));
        let (scarce, two, rng) = (self.chance(30), self.chance(50), &mut self.rng);
        let first = if scarce { self.shop.scarce_product(rng) } else { self.shop.plentiful_product(rng) };
        let second = two.then(|| self.shop.plentiful_product(rng));
        let lines = iter::once(first).chain(second);
        let items = lines.map(|product_id| Line { product_id, qty: rng.random_range(1..=4) }).collect();
        NewOrder { customer_id, items, external_reference: None, expected_total_cents: None }
    }

    async fn set_price(&mut self) {
        let price_cents = self.rng.random_range(500..5_000);
        let observed = if self.chance(50) { self.view_product().await } else { None };
        let product = observed.map_or_else(|| self.shop.product(&mut self.rng), |observed| observed.id);
        let if_match = observed.map(|observed| observed.version);
        self.execute(Request::SetPrice { product, price_cents, if_match }).await;
    }

    async fn set_stock(&mut self) {
        let Some(observed) = self.view_product().await else { return };
        let stock = observed.stock.saturating_add(self.rng.random_range(-5..=20)).max(0);
        self.execute(Request::SetStock { observed, stock }).await;
    }

    /// Adjusts a stock: usually a small delivery of a scarce product that leaves it scarce.
    async fn adjust_stock(&mut self) {
        let (product_id, delta) = if self.chance(75) {
            (self.shop.scarce_product(&mut self.rng), self.rng.random_range(1..=4))
        } else {
            (self.shop.product(&mut self.rng), self.rng.random_range(-4..=-1))
        };
        let reference = Some(self.new_name());
        self.execute(Request::AdjustStock(Adjustment { product_id, delta, reference })).await;
    }

    async fn view_product(&mut self) -> Option<Product> {
        let product = self.shop.product(&mut self.rng);
        self.execute(Request::ViewProduct { product }).await.sends.last().and_then(Sent::product).copied()
    }

    /// Creates, changes, reads or deletes one of this client's customers. No other client changes them.
    async fn change_own_customers(&mut self) {
        let (count, choice) = (self.own_customers.len(), self.rng.random_range(0..10));
        let name = self.new_name();
        let email = format!("{name}@example.com");
        if count == 0 || count < MAX_OWN_CUSTOMERS && choice < 3 {
            let created = customer_of(self.execute(Request::CreateCustomer { name, email }).await);
            return self.own_customers.extend(created);
        }
        let one = self.rng.random_range(0..count);
        let Customer { id, version, email: known, .. } = self.own_customers[one].clone();
        match choice {
            0..5 => {
                self.own_customers.swap_remove(one);
                if self.execute(Request::DeleteCustomer { id }).await.is_acknowledged() {
                    self.deleted_customer = Some(id);
                }
            }
            5..7 => {
                let if_match = self.chance(50).then_some(version);
                let record = self.execute(Request::UpdateCustomer { id, name, email, if_match }).await;
                match (customer_of(record), record.unknown()) {
                    (Some(observed), _) => self.own_customers[one] = observed,
                    (None, 0) => {}
                    // The change may still be executed later, so later responses for this customer are not verifiable.
                    (None, _) => _ = self.own_customers.swap_remove(one),
                }
            }
            7..8 => _ = self.execute(Request::FindCustomer { id, email: known }).await,
            _ => {
                // Occasionally read a deleted customer.
                let deleted = self.deleted_customer.filter(|_| self.rng.random_ratio(20, 100));
                self.execute(Request::ViewCustomer { id: deleted.unwrap_or(id) }).await;
            }
        }
    }

    async fn execute(&mut self, request: Request) -> &Record {
        self.execute_as(Caller::User, None, vec![request]).await
    }

    /// Sends the requests sequentially with the same key. Occasionally repeats a single successful request with a key.
    async fn execute_as(&mut self, caller: Caller, key: Option<String>, requests: Vec<Request>) -> &Record {
        self.session.progress().in_flight += 1;
        let mut record = Record { caller, key, requests, sends: Vec::new() };
        for request in 0..record.requests.len() {
            record.sends.extend(self.session.send_with_retries(&record, request, request).await);
        }
        let repeatable = record.key.is_some() && record.requests.len() == 1;
        if repeatable && record.sends.last().is_some_and(|sent| sent.outcome.is_ok()) && self.chance(25) {
            record.sends.extend(self.session.send_with_retries(&record, 0, 0).await);
        }
        self.store(record)
    }

    /// Updates the counters and shared data, and stores the record.
    fn store(&mut self, record: Record) -> &Record {
        let mut progress = self.session.progress();
        progress.in_flight -= 1;
        progress.operations += 1;
        progress.unknown += u64::from(record.is_unresolved());
        drop(progress);
        if let Some(order) = record.sends.iter().find_map(Sent::order) {
            self.prices.extend(order.items.iter().map(|item| (item.product_id, item.unit_price_cents)));
            if let Request::Create(_) | Request::CreateAndConfirm(_) = record.request() {
                self.shop.remember(order.clone());
            }
        }
        let place = self.records.len();
        self.records.push(record.without_equal_bodies());
        &self.records[place]
    }

    fn caller(&mut self) -> Caller {
        if self.chance(50) { Caller::User } else { Caller::Service }
    }

    fn new_name(&mut self) -> String {
        self.name_count += 1;
        format!("{}-{}", self.name, self.name_count)
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_ratio(percent, 100)
    }
}

fn with_other_content(order: &NewOrder) -> NewOrder {
    let mut changed = order.clone();
    changed.items[0].qty += 1;
    changed
}

fn customer_of(record: &Record) -> Option<Customer> {
    record.sends.last().and_then(Sent::customer).cloned()
}
