//! Data shared by the clients of a load: a few products, a few customers, and the most recent orders.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use rand::Rng;
use rand::seq::IndexedRandom;

use crate::history::Record;
use crate::outcome::{Observed, Order, Product};
use crate::request::{Caller, Request};
use crate::session::{RETRY, Session};

/// A small number, so that clients contend for the same rows.
const PLENTIFUL: usize = 5;
const SCARCE: usize = 3;
const CUSTOMERS: usize = 3;
const PLENTIFUL_STOCK: i64 = 1_000_000;
const SCARCE_STOCK: i64 = 20;
/// Number of orders that are kept for other clients to confirm or cancel.
const RECENT_ORDERS: usize = 64;

pub(crate) struct Shop {
    /// Products as they were created.
    pub(crate) products: Vec<Product>,
    customers: Vec<i64>,
    recent: Mutex<Vec<Order>>,
}

impl Shop {
    /// Creates products and customers whose names contain the name of the run.
    pub(crate) async fn open(session: &Session, run: &str) -> Result<Self> {
        RETRY.repeatable(|| session.bearer(Caller::User)).await.context("cannot log in")?;
        let name = || format!("{run}-{:08x}", rand::random::<u32>());
        let (mut products, mut customers) = (Vec::new(), Vec::new());
        let stocks = [PLENTIFUL_STOCK; PLENTIFUL].into_iter().chain([SCARCE_STOCK; SCARCE]);
        for (price_cents, stock) in (1_000..).zip(stocks) {
            let new = || Request::CreateProduct { sku: name(), price_cents, stock };
            match create(session, new).await.context("cannot create a product")? {
                Observed::Product(product) => products.push(product),
                observed => bail!("the response to a product create request contains {observed:?}"),
            }
        }
        for _ in 0..CUSTOMERS {
            let email = || format!("{}@example.com", name());
            let new = || Request::CreateCustomer { name: format!("Customer of {run}"), email: email() };
            match create(session, new).await.context("cannot create a customer")? {
                Observed::Customer(customer) => customers.push(customer.id),
                observed => bail!("the response to a customer create request contains {observed:?}"),
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

    /// Returns a product in ample supply; in half of the cases the first one, so that waiting orders form batches.
    pub(crate) fn plentiful_product(&self, rng: &mut impl Rng) -> i64 {
        let number = if rng.random_bool(0.5) { 0 } else { rng.random_range(0..PLENTIFUL) };
        self.products[number].id
    }

    pub(crate) fn scarce_product(&self, rng: &mut impl Rng) -> i64 {
        self.products[rng.random_range(PLENTIFUL..PLENTIFUL + SCARCE)].id
    }

    pub(crate) fn remember(&self, order: Order) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push(order);
        if recent.len() > RECENT_ORDERS {
            recent.remove(0);
        }
    }

    pub(crate) fn recent_order(&self, rng: &mut impl Rng) -> Option<Order> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).choose(rng).cloned()
    }
}

/// Creates a row with a new name per attempt. Rows of attempts with unknown outcome are never used.
async fn create(session: &Session, new: impl Fn() -> Request) -> Result<Observed> {
    let create = || async {
        let record = Record { caller: Caller::User, key: None, requests: vec![new()], sends: Vec::new() };
        session.attempt(&record, 0, 0).await
    };
    Ok(RETRY.repeatable(create).await?.observed)
}
