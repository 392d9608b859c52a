//! What the clients of a load work on: a few products, a few customers, and the orders that were made last.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use customers_client::types::CustomerInput;
use orders_client::types::NewProduct;
use rand::Rng;
use rand::seq::IndexedRandom;
use tokio::time::{Instant, sleep};

use crate::outcome::ProductSeen;
use crate::retry::{DEADLINE, pause};
use crate::session::Session;

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
    pub(crate) products: Vec<ProductSeen>,
    customers: Vec<i64>,
    recent: Mutex<VecDeque<i64>>,
}

impl Shop {
    /// Makes products and customers, named after the run.
    pub(crate) async fn open(session: &Session, run: &str) -> Result<Self> {
        let mut products = Vec::new();
        for number in 0..PLENTIFUL + SCARCE {
            let stock = if number < PLENTIFUL { MUCH } else { LITTLE };
            products.push(make(async || product(session, run, number, stock).await).await?);
        }
        let mut customers = Vec::new();
        for number in 0..CUSTOMERS {
            customers.push(make(async || customer(session, run, number).await).await?);
        }
        Ok(Self { products, customers, recent: Mutex::default() })
    }

    pub(crate) fn customer(&self, rng: &mut impl Rng) -> i64 {
        self.customers.choose(rng).copied().unwrap_or_default()
    }

    pub(crate) fn product(&self, rng: &mut impl Rng) -> i64 {
        self.products.choose(rng).map(|product| product.id).unwrap_or_default()
    }

    /// One of which there is always enough.
    pub(crate) fn plentiful_product(&self, rng: &mut impl Rng) -> i64 {
        self.products[..PLENTIFUL].choose(rng).map(|product| product.id).unwrap_or_default()
    }

    /// One of which there is never much.
    pub(crate) fn scarce_product(&self, rng: &mut impl Rng) -> i64 {
        self.products[PLENTIFUL..].choose(rng).map(|product| product.id).unwrap_or_default()
    }

    pub(crate) fn remember(&self, order: i64) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_back(order);
        if recent.len() > REMEMBERED {
            recent.pop_front();
        }
    }

    /// An order that somebody made a while ago.
    pub(crate) fn recent_order(&self, rng: &mut impl Rng) -> Option<i64> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.make_contiguous().choose(rng).copied()
    }
}

/// Tries until it succeeds or the deadline has passed. What was made without our knowing is never used.
async fn make<T>(attempt: impl AsyncFn() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + DEADLINE;
    let mut attempts = 0;
    loop {
        attempts += 1;
        match attempt().await {
            Err(_) if Instant::now() < deadline => sleep(pause(attempts).max(Duration::from_millis(50))).await,
            result => return result,
        }
    }
}

async fn product(session: &Session, run: &str, number: usize, stock: i64) -> Result<ProductSeen> {
    let client = session.orders().await.context("cannot log in")?;
    let sku = format!("{run}-{number}-{:08x}", rand::random::<u32>());
    let name = format!("Product {number} of {run}");
    let new = NewProduct::builder().sku(sku).name(name).price_cents(1_000 + number).stock(stock);
    let made = outbound::send(client.product_create().body(new).send()).await.context("cannot make a product")?;
    Ok(ProductSeen::from(&*made))
}

async fn customer(session: &Session, run: &str, number: usize) -> Result<i64> {
    let client = session.customers().await.context("cannot log in")?;
    let email = format!("{run}-{number}-{:08x}@example.com", rand::random::<u32>());
    let new = CustomerInput::builder().name(format!("Customer {number} of {run}")).email(email);
    let made = outbound::send(client.customer_create().body(new).send()).await.context("cannot make a customer")?;
    Ok(made.id)
}
