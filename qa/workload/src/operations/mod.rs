//! What a client does: one operation after the other, as its random numbers have it.

mod customers;
mod orders;
mod products;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::history::{Record, Sent};
use crate::outcome::CustomerSeen;
use crate::request::{Caller, Request};
use crate::session::{Sender, Session};
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
    /// Customers that only this client changes.
    own_customers: Vec<CustomerSeen>,
    deleted_customer: Option<i64>,
}

impl Client {
    pub(crate) fn new(session: Arc<Session>, shop: Arc<Shop>, run: &str, seed: u64, number: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number as u64);
        let (name, names, records) = (format!("{run}-{number}"), 0, Vec::new());
        Self { session, shop, rng, name, names, records, own_customers: Vec::new(), deleted_customer: None }
    }

    /// Works until `stopping`, ends what it began, and returns its records.
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
            44..50 => self.confirm_a_recent_order().await,
            50..55 => self.cancel_a_recent_order().await,
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

    /// Executes one request of the operator's without a key.
    async fn execute(&mut self, request: Request) -> &Record {
        self.execute_as(Caller::Operator, None, vec![request]).await
    }

    /// Sends the requests in turn under one key. Now and then, a single request that succeeded is sent again.
    async fn execute_as(&mut self, caller: Caller, key: Option<String>, requests: Vec<Request>) -> &Record {
        self.session.tally.begin();
        let sender = |number| Sender { caller, key: key.as_deref(), request: number, number };
        let mut sends = Vec::new();
        for (number, request) in requests.iter().enumerate() {
            sends.extend(self.session.pursue(request, sender(number)).await);
        }
        let succeeded = sends.last().is_some_and(|sent| sent.outcome.is_ok());
        if key.is_some() && requests.len() == 1 && succeeded && self.rng.random_ratio(25, 100) {
            sends.extend(self.session.pursue(&requests[0], sender(0)).await);
        }
        self.keep(Record { caller, key, requests, sends })
    }

    /// Sends the first and the last of the requests at once under one key.
    async fn execute_at_once(&mut self, caller: Caller, key: String, requests: Vec<Request>) {
        self.session.tally.begin();
        let last = requests.len() - 1;
        let sender = |request, number| Sender { caller, key: Some(&key), request, number };
        let (mut sends, more) = tokio::join!(
            self.session.pursue(&requests[0], sender(0, 0)),
            self.session.pursue(&requests[last], sender(last, 1))
        );
        sends.extend(more);
        self.keep(Record { caller, key: Some(key), requests, sends });
    }

    fn keep(&mut self, record: Record) -> &Record {
        self.session.tally.end(record.is_unresolved());
        if let (Request::Create(_) | Request::CreateAndConfirm(_), Some(order)) =
            (record.request(), record.sends.iter().find_map(Sent::order))
        {
            self.shop.remember(order.id);
        }
        let place = self.records.len();
        self.records.push(record.without_equal_bodies());
        &self.records[place]
    }

    /// A name that is given once.
    fn new_name(&mut self) -> String {
        self.names += 1;
        format!("{}-{}", self.name, self.names)
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_ratio(percent, 100)
    }
}
