//! What the clients of a load work on: a few products, a few customers, and the orders that were made last.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use client_common::Fault;
use customers_client::types::CustomerInput;
use orders_client::types::NewProduct;
use rand::Rng;
use rand::seq::IndexedRandom;

use crate::outcome::ProductSeen;
use crate::retry::RETRY;
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
            let made = RETRY.repeatable(|| product(session, run, number)).await;
            products.push(made.context("cannot make a product")?);
        }
        let mut customers = Vec::new();
        for number in 0..CUSTOMERS {
            let made = RETRY.repeatable(|| customer(session, run, number)).await;
            customers.push(made.context("cannot make a customer")?);
        }
        Ok(Self { products, customers, recent: Mutex::default() })
    }

    pub(crate) fn customer(&self, rng: &mut impl Rng) -> i64 {
        self.customers.choose(rng).copied().unwrap_or_default()
    }

    pub(crate) fn product(&self, rng: &mut impl Rng) -> i64 {
        self.products.choose(rng).map(|product| product.id).unwrap_or_default()
    }

    /// One of which there is always enough: half of the time the first, so that many orders wait for one row and are made together.
    pub(crate) fn plentiful_product(&self, rng: &mut impl Rng) -> i64 {
        let number = if rng.random_bool(0.5) { 0 } else { rng.random_range(0..PLENTIFUL) };
        self.products[number].id
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

/// Another one with each attempt: what was made without our knowing is never used.
async fn product(
    session: &Session,
    run: &str,
    number: usize,
) -> Result<ProductSeen, Fault<orders_client::types::Error>> {
    let client = session.orders().await.ok_or(Fault::NotSent)?;
    let sku = format!("{run}-{number}-{:08x}", rand::random::<u32>());
    let name = format!("Product {number} of {run}");
    let stock = if number < PLENTIFUL { MUCH } else { LITTLE };
    let new = NewProduct::builder().sku(sku).name(name).price_cents(1_000 + number).stock(stock);
    let made = client_common::send(client.product_create().body(new).send()).await?;
    Ok(ProductSeen::from(&*made))
}

/// The same.
async fn customer(session: &Session, run: &str, number: usize) -> Result<i64, Fault<customers_client::types::Error>> {
    let client = session.customers().await.ok_or(Fault::NotSent)?;
    let email = format!("{run}-{number}-{:08x}@example.com", rand::random::<u32>());
    let new = CustomerInput::builder().name(format!("Customer {number} of {run}")).email(email);
    Ok(client_common::send(client.customer_create().body(new).send()).await?.id)
}
