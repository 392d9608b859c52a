//! What the clients of a load work on: a few products, a few customers, and the latest orders.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use customers_client::types::CustomerInput;
use orders_client::types::NewProduct;
use rand::Rng;
use rand::seq::IndexedRandom;

use crate::Targets;
use crate::outcome::ProductSeen;
use crate::session::RETRY;

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
    /// Creates products and customers, named after the run. Each attempt creates another one: those of unknown outcome are
    /// never used.
    pub(crate) async fn open(targets: &Targets, run: &str) -> Result<Self> {
        let Targets { customers, orders, admin_user, admin_password, .. } = targets;
        let log_in = || customers_client::log_in(customers, admin_user, admin_password);
        let operator = RETRY.repeatable(log_in).await.context("cannot log in")?;
        let orders = orders_client::Client::connect(orders, operator.clone())?;
        let mut products = Vec::new();
        for number in 0..PLENTIFUL + SCARCE {
            let create = || {
                let sku = format!("{run}-{number}-{:08x}", rand::random::<u32>());
                let stock = if number < PLENTIFUL { MUCH } else { LITTLE };
                let new = NewProduct::builder().sku(sku).name(format!("Product {number} of {run}"));
                let new = new.price_cents(1_000 + number).stock(stock);
                client_common::send(orders.product_create().body(new).send())
            };
            let product = RETRY.repeatable(create).await.context("cannot create a product")?;
            products.push(ProductSeen::from(&*product));
        }
        let client = customers_client::Client::connect(customers, operator)?;
        let mut customers = Vec::new();
        for number in 0..CUSTOMERS {
            let create = || {
                let email = format!("{run}-{number}-{:08x}@example.com", rand::random::<u32>());
                let new = CustomerInput::builder().name(format!("Customer {number} of {run}")).email(email);
                client_common::send(client.customer_create().body(new).send())
            };
            customers.push(RETRY.repeatable(create).await.context("cannot create a customer")?.id);
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
