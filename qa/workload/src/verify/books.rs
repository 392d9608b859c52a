//! What the database says, all of it as of one moment.

use std::collections::HashMap;

use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row};

use crate::outcome::{Item, Status};

/// The rows that matter to clients.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) orders: HashMap<i64, Order>,
    pub(super) products: HashMap<i64, Product>,
    pub(super) customers: HashMap<i64, Customer>,
    /// The operators' entries in the ledger, by their reference: product and pieces.
    pub(super) adjustments: HashMap<String, Vec<(i64, i64)>>,
    /// Orders by the client's name for them.
    pub(super) by_reference: HashMap<String, Vec<i64>>,
    /// Orders by the piece of work that made them.
    pub(super) by_correlation: HashMap<String, Vec<i64>>,
    /// Orders by caller and key.
    pub(super) by_key: HashMap<(String, String), Vec<i64>>,
}

#[derive(Debug)]
pub(super) struct Order {
    pub(super) customer: i64,
    pub(super) status: Status,
    pub(super) total_cents: i64,
    pub(super) reference: Option<String>,
    /// Microseconds since 1970.
    pub(super) confirmed_at: Option<i64>,
    pub(super) version: i64,
    pub(super) principal: String,
    pub(super) key: Option<String>,
    pub(super) items: Vec<Item>,
    pub(super) events: Vec<Event>,
}

#[derive(Debug)]
pub(super) struct Event {
    pub(super) to: Status,
    pub(super) principal: String,
    pub(super) correlation_id: String,
    /// Microseconds since 1970.
    pub(super) at: i64,
}

#[derive(Debug)]
pub(super) struct Product {
    pub(super) price_cents: i64,
    pub(super) stock: i64,
    pub(super) version: i64,
}

#[derive(Debug)]
pub(super) struct Customer {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) version: i64,
    pub(super) deleted: bool,
}

const ORDERS: &str = "SELECT id, customer_id, CAST(status AS CHAR), total_cents, external_reference, \
     TIMESTAMPDIFF(MICROSECOND, '1970-01-01', confirmed_at), version, create_principal, create_key FROM orders";
const ITEMS: &str = "SELECT order_id, product_id, qty, unit_price_cents FROM order_items ORDER BY order_id, product_id";
const EVENTS: &str = "SELECT order_id, CAST(to_status AS CHAR), principal, correlation_id, \
     TIMESTAMPDIFF(MICROSECOND, '1970-01-01', created_at) FROM order_events ORDER BY id";
const PRODUCTS: &str = "SELECT id, price_cents, stock, version FROM products";
const CUSTOMERS: &str = "SELECT id, name, email, version, deleted_at IS NOT NULL FROM customers";
const ADJUSTMENTS: &str = "SELECT reference, product_id, delta FROM stock_movements WHERE reference IS NOT NULL";

impl Books {
    pub(super) async fn read(url: &str) -> Result<Self> {
        let opts = OptsBuilder::from_opts(Opts::from_url(url)?).prefer_socket(false);
        let mut connection = Conn::new(opts).await.context("cannot reach the database")?;
        connection.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
        connection.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
        let mut books = Self::default();
        books.read_orders(&mut connection).await.context("cannot read the orders")?;
        books.read_others(&mut connection).await.context("cannot read products and customers")?;
        connection.disconnect().await?;
        books.index();
        Ok(books)
    }

    async fn read_orders(&mut self, connection: &mut Conn) -> Result<()> {
        for mut row in connection.query::<Row, _>(ORDERS).await? {
            let order = Order {
                customer: column(&mut row, 1)?,
                status: status(&column::<String>(&mut row, 2)?)?,
                total_cents: column(&mut row, 3)?,
                reference: column(&mut row, 4)?,
                confirmed_at: column(&mut row, 5)?,
                version: column(&mut row, 6)?,
                principal: column(&mut row, 7)?,
                key: column(&mut row, 8)?,
                items: Vec::new(),
                events: Vec::new(),
            };
            self.orders.insert(column(&mut row, 0)?, order);
        }
        for (order, product, qty, unit_price_cents) in connection.query::<(i64, i64, i64, i64), _>(ITEMS).await? {
            let order = self.orders.get_mut(&order);
            order.into_iter().for_each(|order| order.items.push(Item { product, qty, unit_price_cents }));
        }
        for (order, to, principal, correlation_id, at) in
            connection.query::<(i64, String, String, String, i64), _>(EVENTS).await?
        {
            let event = Event { to: status(&to)?, principal, correlation_id, at };
            self.orders.entry(order).and_modify(|order| order.events.push(event));
        }
        Ok(())
    }

    async fn read_others(&mut self, connection: &mut Conn) -> Result<()> {
        for (id, price_cents, stock, version) in connection.query::<(i64, i64, i64, i64), _>(PRODUCTS).await? {
            self.products.insert(id, Product { price_cents, stock, version });
        }
        for (id, name, email, version, deleted) in
            connection.query::<(i64, String, String, i64, bool), _>(CUSTOMERS).await?
        {
            self.customers.insert(id, Customer { name, email, version, deleted });
        }
        for (reference, product, delta) in connection.query::<(String, i64, i64), _>(ADJUSTMENTS).await? {
            self.adjustments.entry(reference).or_default().push((product, delta));
        }
        Ok(())
    }

    pub(super) fn index(&mut self) {
        for (&id, order) in &self.orders {
            if let Some(reference) = &order.reference {
                self.by_reference.entry(reference.clone()).or_default().push(id);
            }
            if let Some(key) = &order.key {
                self.by_key.entry((order.principal.clone(), key.clone())).or_default().push(id);
            }
            if let Some(made) = order.event(Status::Created) {
                self.by_correlation.entry(made.correlation_id.clone()).or_default().push(id);
            }
        }
    }
}

impl Order {
    /// The order's first event of becoming this.
    pub(super) fn event(&self, to: Status) -> Option<&Event> {
        self.events(to).next()
    }

    pub(super) fn events(&self, to: Status) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| event.to == to)
    }

    pub(super) fn is_live(&self) -> bool {
        self.status != Status::Canceled
    }

    /// How many pieces of which product, by ascending product.
    pub(super) fn quantities(&self) -> Vec<(i64, i64)> {
        self.items.iter().map(|item| (item.product, item.qty)).collect()
    }
}

fn column<T: mysql_async::prelude::FromValue>(row: &mut Row, index: usize) -> Result<T> {
    row.take_opt(index).context("a column is missing")?.context("a column is of another type")
}

fn status(name: &str) -> Result<Status> {
    match name {
        "CREATED" => Ok(Status::Created),
        "CONFIRMED" => Ok(Status::Confirmed),
        "CANCELED" => Ok(Status::Canceled),
        other => anyhow::bail!("an order is {other}"),
    }
}
