//! What a client does: one operation after the other, as its random numbers have it.

mod customers;
mod orders;
mod products;
mod sagas;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::history::{NewOrder, Record};
use crate::outcome::CustomerSeen;
use crate::session::Session;
use crate::shop::Shop;

/// One client. It does one thing at a time, but for two requests under one key.
pub(crate) struct Client {
    session: Arc<Session>,
    shop: Arc<Shop>,
    rng: ChaCha8Rng,
    /// Begins every name that this client gives.
    name: String,
    names: u64,
    records: Vec<Record>,
    /// Customers that nobody else changes.
    own_customers: Vec<CustomerSeen>,
    deleted_customer: Option<i64>,
}

impl Client {
    pub(crate) fn new(session: Arc<Session>, shop: Arc<Shop>, run: &str, seed: u64, number: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number as u64);
        Self {
            session,
            shop,
            rng,
            name: format!("{run}-{number}"),
            names: 0,
            records: Vec::new(),
            own_customers: Vec::new(),
            deleted_customer: None,
        }
    }

    /// Works until it is told to stop, ends what it began, and gives what it was told.
    pub(crate) async fn work_until(mut self, stopping: Arc<AtomicBool>) -> Vec<Record> {
        while !stopping.load(Ordering::Relaxed) {
            self.work().await;
        }
        self.records
    }

    async fn work(&mut self) {
        match self.rng.random_range(0..100) {
            0..16 => self.create_with_a_key().await,
            16..22 => self.create_without_a_key().await,
            22..26 => self.create_under_a_used_key().await,
            26..44 => self.create_confirm_cancel().await,
            44..50 => self.confirm_somebodys_order().await,
            50..55 => self.cancel_somebodys_order().await,
            55..66 => self.create_and_confirm().await,
            66..70 => self.create_and_confirm_twice_at_once().await,
            70..72 => self.create_and_confirm_under_a_used_key().await,
            72..77 => self.set_price().await,
            77..85 => self.adjust_stock().await,
            85..87 => self.set_stock().await,
            87..89 => self.view_product().await,
            89..92 => self.view_order().await,
            _ => self.care_for_customers().await,
        }
    }

    /// Keeps what came of an operation that began with [`Tally::begin`](crate::progress::Tally::begin).
    fn keep(&mut self, record: Record) {
        self.session.tally.end(record.is_unresolved());
        self.records.push(record.without_equal_bodies());
    }

    /// A name that nobody else gives.
    fn new_name(&mut self) -> String {
        self.names += 1;
        format!("{}-{}", self.name, self.names)
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_ratio(percent, 100)
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

    fn new_order(&mut self) -> NewOrder {
        let deleted = self.deleted_customer.filter(|_| self.rng.random_ratio(2, 100));
        let customer = deleted.unwrap_or_else(|| self.shop.customer(&mut self.rng));
        NewOrder { customer, lines: self.lines(), reference: None, expected_total_cents: None }
    }
}
