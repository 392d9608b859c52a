//! The rows that matter to clients, all as of one moment.

use std::collections::HashMap;

use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};

use crate::outcome::{Item, Status};

/// The rows and their indexes.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) orders: HashMap<i64, Order>,
    pub(super) products: HashMap<i64, Product>,
    pub(super) customers: HashMap<i64, Customer>,
    /// The operators' stock movements, by reference: product and pieces.
    pub(super) adjustments: HashMap<String, Vec<(i64, i64)>>,
    /// Orders by the client's reference.
    pub(super) by_reference: HashMap<String, Vec<i64>>,
    /// Orders by the correlation id of their first event.
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

type OrderRow = (i64, i64, String, i64, Option<String>, Option<i64>, i64, String, Option<String>);

const ORDERS: &str = "SELECT id, customer_id, CAST(status AS CHAR), total_cents, external_reference, \
     TIMESTAMPDIFF(MICROSECOND, '1970-01-01', confirmed_at), version, create_principal, create_key FROM orders";
const ITEMS: &str = "SELECT order_id, product_id, qty, unit_price_cents FROM order_items ORDER BY order_id, product_id";
const EVENTS: &str = "SELECT order_id, CAST(to_status AS CHAR), principal, correlation_id, \
     TIMESTAMPDIFF(MICROSECOND, '1970-01-01', created_at) FROM order_events ORDER BY id";
const PRODUCTS: &str = "SELECT id, price_cents, stock, version FROM products";
const CUSTOMERS: &str = "SELECT id, name, email, version, deleted_at IS NOT NULL FROM customers";
const ADJUSTMENTS: &str = "SELECT reference, product_id, delta FROM stock_movements WHERE reference IS NOT NULL";

impl Snapshot {
    pub(super) async fn read(url: &str) -> Result<Self> {
        let opts = OptsBuilder::from_opts(Opts::from_url(url)?).prefer_socket(false);
        let mut connection = Conn::new(opts).await.context("cannot reach the database")?;
        connection.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
        connection.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
        let mut snapshot = Self::default();
        snapshot.read_orders(&mut connection).await.context("cannot read the orders")?;
        snapshot.read_others(&mut connection).await.context("cannot read products and customers")?;
        connection.disconnect().await?;
        snapshot.index();
        Ok(snapshot)
    }

    async fn read_orders(&mut self, connection: &mut Conn) -> Result<()> {
        let rows = connection.query::<OrderRow, _>(ORDERS).await?;
        for (id, customer, name, total_cents, reference, confirmed_at, version, principal, key) in rows {
            let (status, items, events) = (status(&name)?, Vec::new(), Vec::new());
            let order = Order {
                customer,
                status,
                total_cents,
                reference,
                confirmed_at,
                version,
                principal,
                key,
                items,
                events,
            };
            self.orders.insert(id, order);
        }
        for (order, product, qty, unit_price_cents) in connection.query::<(i64, i64, i64, i64), _>(ITEMS).await? {
            let item = Item { product, qty, unit_price_cents };
            self.orders.entry(order).and_modify(|order| order.items.push(item));
        }
        let rows = connection.query::<(i64, String, String, String, i64), _>(EVENTS).await?;
        for (order, to, principal, correlation_id, at) in rows {
            let event = Event { to: status(&to)?, principal, correlation_id, at };
            self.orders.entry(order).and_modify(|order| order.events.push(event));
        }
        Ok(())
    }

    async fn read_others(&mut self, connection: &mut Conn) -> Result<()> {
        for (id, price_cents, stock, version) in connection.query::<(i64, i64, i64, i64), _>(PRODUCTS).await? {
            self.products.insert(id, Product { price_cents, stock, version });
        }
        let rows = connection.query::<(i64, String, String, i64, bool), _>(CUSTOMERS).await?;
        for (id, name, email, version, deleted) in rows {
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
            if let Some(created) = order.event(Status::Created) {
                self.by_correlation.entry(created.correlation_id.clone()).or_default().push(id);
            }
        }
    }
}

impl Order {
    /// The first event of entering this status.
    pub(super) fn event(&self, to: Status) -> Option<&Event> {
        self.events(to).next()
    }

    pub(super) fn events(&self, to: Status) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| event.to == to)
    }

    pub(super) fn is_live(&self) -> bool {
        self.status != Status::Canceled
    }
}

fn status(name: &str) -> Result<Status> {
    match name {
        "CREATED" => Ok(Status::Created),
        "CONFIRMED" => Ok(Status::Confirmed),
        "CANCELED" => Ok(Status::Canceled),
        other => anyhow::bail!("an order is {other}"),
    }
}
