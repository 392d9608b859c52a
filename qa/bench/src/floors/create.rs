//! Making an order, one per transaction, each of its statements by itself.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::Result;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value, params};

use super::Worker;
use super::keys::{Key, PRINCIPAL};
use super::session::{self, Work};
use super::shop::{PRICE, Shop};
use super::statements::{self, Locked};

const INSERT_ORDER: &str = "INSERT INTO `orders` (`customer_id`, `total_cents`, `external_reference`, `created_at`, \
`reserved_until`, `create_principal`, `create_key`, `create_hash`) \
VALUES (:customer, :total, NULL, :at, NULL, :principal, :key, :hash)";

const INSERT_ITEM: &str = "INSERT INTO `order_items` \
(`order_id`, `product_id`, `sku`, `name`, `qty`, `unit_price_cents`, `subtotal_cents`) \
VALUES (:order, :product, :sku, :name, 1, :price, :price)";

/// What a create promises beyond the order itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guarantees {
    /// That it is carried out once, however often it is sent.
    pub(crate) key: bool,
    /// That every change of the stock is in the ledger.
    pub(crate) ledger: bool,
    /// That every change of the order is in its events.
    pub(crate) event: bool,
}

impl Guarantees {
    /// What the service promises.
    pub(crate) const ALL: Self = Self { key: true, ledger: true, event: true };
}

struct Buyer {
    connection: Conn,
    shop: Shop,
    guarantees: Guarantees,
    /// Of the order that is made next, in turn.
    product: i64,
}

struct Order {
    customer: i64,
    product: i64,
    key: Option<Key>,
    guarantees: Guarantees,
}

impl Worker for Buyer {
    async fn step(&mut self) -> Result<()> {
        let Self { connection, shop, guarantees, product } = self;
        let customer = rand::random_range(shop.customers.clone());
        *product = if *product < *shop.products.end() { *product + 1 } else { *shop.products.start() };
        let key = guarantees.key.then(|| Key::new("order.create"));
        if let Some(key) = &key {
            key.find(connection).await?;
        }
        let order = Order { customer, product: *product, key, guarantees: *guarantees };
        session::transaction(connection, &order).await
    }
}

impl Work for Order {
    type Made = ();

    async fn carry_out(&self, connection: &mut Conn) -> mysql_async::Result<()> {
        let Self { customer, product, key, guarantees } = self;
        if let Some(key) = key {
            key.claim(connection).await?;
        }
        let Locked { sku, name, at } = statements::lock_product(connection, *product).await?;
        statements::take_stock(connection, *product).await?;
        let values = params! {
            "customer" => customer, "total" => PRICE, "at" => &at, "principal" => PRINCIPAL,
            "key" => key.as_ref().map(|key| &key.text), "hash" => key.as_ref().map(|key| key.hash),
        };
        connection.exec_drop(INSERT_ORDER, values).await?;
        let order = statements::last_insert_id(connection).await?;
        let values = params! { "order" => order, "product" => product, "sku" => sku, "name" => name, "price" => PRICE };
        connection.exec_drop(INSERT_ITEM, values).await?;
        if guarantees.ledger {
            statements::append_to_ledger(connection, *product, -1, "order", order).await?;
        }
        if guarantees.event {
            statements::append_event(connection, order, Value::NULL, "CREATED", &at).await?;
        }
        if let Some(key) = key {
            key.complete(connection, order, 201).await?;
        }
        Ok(())
    }
}

/// Orders per second over so many connections, on all products of the shop.
///
/// # Errors
///
/// Where the database refuses.
pub(crate) async fn rate(
    url: &str,
    shop: &Shop,
    guarantees: Guarantees,
    connections: u16,
    length: Duration,
) -> Result<f64> {
    let mut buyers = Vec::new();
    for product in spread(&shop.products, connections) {
        let connection = session::open(url).await?;
        buyers.push(Buyer { connection, shop: shop.clone(), guarantees, product });
    }
    super::rate(buyers, length).await
}

/// Where each begins, as far from the others as may be.
fn spread(products: &RangeInclusive<i64>, connections: u16) -> impl Iterator<Item = i64> {
    let (first, last) = (*products.start(), *products.end());
    (0..i64::from(connections)).map(move |number| first + number * (last - first + 1) / i64::from(connections))
}
