//! What the clients of a load work on: a few products, a few customers, and the latest orders.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use rand::Rng;
use rand::seq::IndexedRandom;

use crate::history::Record;
use crate::outcome::{Order, Product, Seen};
use crate::request::{Caller, Request};
use crate::session::{RETRY, Session};

/// Few, so that clients get in each other's way.
const PLENTIFUL: usize = 5;
const SCARCE: usize = 3;
const CUSTOMERS: usize = 3;
const MUCH: i64 = 1_000_000;
const LITTLE: i64 = 20;
/// How many orders are remembered for others to confirm and cancel.
const REMEMBERED: usize = 64;

/// What the clients work on.
pub(crate) struct Shop {
    /// As they were made.
    pub(crate) products: Vec<Product>,
    customers: Vec<i64>,
    recent: Mutex<Vec<Order>>,
}

impl Shop {
    /// Creates products and customers, named after the run.
    pub(crate) async fn open(session: &Session, run: &str) -> Result<Self> {
        RETRY.repeatable(|| session.bearer(Caller::Operator)).await.context("cannot log in")?;
        let name = || format!("{run}-{:08x}", rand::random::<u32>());
        let (mut products, mut customers) = (Vec::new(), Vec::new());
        let stocks = [MUCH; PLENTIFUL].into_iter().chain([LITTLE; SCARCE]);
        for (price_cents, stock) in (1_000..).zip(stocks) {
            let new = || Request::CreateProduct { sku: name(), price_cents, stock };
            match create(session, new).await.context("cannot create a product")? {
                Seen::Product(product) => products.push(product),
                seen => bail!("a new product is answered as {seen:?}"),
            }
        }
        for _ in 0..CUSTOMERS {
            let email = || format!("{}@example.com", name());
            let new = || Request::CreateCustomer { name: format!("Customer of {run}"), email: email() };
            match create(session, new).await.context("cannot create a customer")? {
                Seen::Customer(customer) => customers.push(customer.id),
                seen => bail!("a new customer is answered as {seen:?}"),
            }
        }
        Ok(Self { products, customers, recent: Mutex::default() })
    }

    pub(crate) fn customer(&self, rng: &mut impl Rng) -> i64 {
        self.customers[rng.random_range(0..CUSTOMERS)]
    }

    pub(crate) fn product(&self, rng: &mut impl Rng) -> i64 {
        self.products[rng.random_range(0..PLENTIFUL + SCARCE)].id
    }

    /// One of which there is always enough: half of the time the first, so that many orders wait for one row and are made together.
    pub(crate) fn plentiful_product(&self, rng: &mut impl Rng) -> i64 {
        let number = if rng.random_bool(0.5) { 0 } else { rng.random_range(0..PLENTIFUL) };
        self.products[number].id
    }

    /// One of which there is never much.
    pub(crate) fn scarce_product(&self, rng: &mut impl Rng) -> i64 {
        self.products[rng.random_range(PLENTIFUL..PLENTIFUL + SCARCE)].id
    }

    pub(crate) fn remember(&self, order: Order) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push(order);
        if recent.len() > REMEMBERED {
            recent.remove(0);
        }
    }

    /// An order that somebody made a while ago.
    pub(crate) fn recent_order(&self, rng: &mut impl Rng) -> Option<Order> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).choose(rng).cloned()
    }
}

/// Creates one of them. Each attempt creates another one: those of unknown outcome are never used.
async fn create(session: &Session, new: impl Fn() -> Request) -> Result<Seen> {
    let create = || async {
        let record = Record { caller: Caller::Operator, key: None, requests: vec![new()], sends: Vec::new() };
        session.attempt(&record, 0, 0).await
    };
    Ok(RETRY.repeatable(create).await?.seen)
}
