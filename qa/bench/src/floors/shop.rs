//! What is there to be read and ordered, made over the services.

use std::ops::RangeInclusive;

use anyhow::{Context, Result, ensure};
use client_common::{Outbound, send};
use customers_client::types::CustomerInput;
use futures::{StreamExt, TryStreamExt, stream};
use harness::Service;
use orders_client::types::NewProduct;

use crate::system::System;

/// How many customers there are, and as many products.
const COUNT: i64 = 1_000;
/// Of each product, so that none is sold out.
const STOCK: i64 = 1_000_000;
/// In cents.
pub(crate) const PRICE: i64 = 100;
/// How many are made at once.
const AT_ONCE: usize = 16;

/// Customers and products.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    /// Their ids, without a gap.
    pub(crate) customers: RangeInclusive<i64>,
    /// Their ids, without a gap.
    pub(crate) products: RangeInclusive<i64>,
}

impl Shop {
    /// Makes them.
    ///
    /// # Errors
    ///
    /// Where a service refuses, or somebody else makes some meanwhile.
    pub(crate) async fn open(system: &System) -> Result<Self> {
        let operator = Outbound::new().bearer(&system.token().await?);
        let customers = customers_client::Client::connect(&system.base_url(Service::Customers)?, operator.clone())?;
        let orders = orders_client::Client::connect(&system.base_url(Service::Orders)?, operator)?;
        let customer = async |number: i64| {
            let new = CustomerInput::builder().name(format!("Customer {number}"));
            let new = new.email(format!("customer.{number}@bench.example.com"));
            anyhow::Ok(send(customers.customer_create().body(new).send()).await.context("cannot make a customer")?.id)
        };
        let product = async |number: i64| {
            let new = NewProduct::builder().sku(format!("BENCH-{number}")).name(format!("Product {number}"));
            let new = new.price_cents(PRICE).stock(STOCK);
            anyhow::Ok(send(orders.product_create().body(new).send()).await.context("cannot make a product")?.id)
        };
        Ok(Self { customers: all(customer).await?, products: all(product).await? })
    }
}

/// The ids of all that are made.
async fn all<F: Future<Output = Result<i64>>>(make: impl Fn(i64) -> F) -> Result<RangeInclusive<i64>> {
    let ids: Vec<_> = stream::iter(0..COUNT).map(make).buffer_unordered(AT_ONCE).try_collect().await?;
    let (first, last) = (ids.iter().copied().min().unwrap_or_default(), ids.iter().copied().max().unwrap_or_default());
    ensure!(last - first + 1 == COUNT, "the ids from {first} to {last} have gaps");
    Ok(first..=last)
}
