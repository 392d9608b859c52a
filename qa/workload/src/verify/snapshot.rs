//! Consistent snapshot of the rows that clients can observe.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result};
use chrono::{DateTime, NaiveDateTime, Utc};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};

use crate::history::Record;
use crate::outcome::{Adjustment, Customer, Item, Order, Product, Status};

/// Database rows, by ID.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) orders: HashMap<i64, Row>,
    pub(super) products: HashMap<i64, Product>,
    /// Customers, and whether each is deleted.
    pub(super) customers: HashMap<i64, (Customer, bool)>,
    /// Stock adjustments, by reference.
    pub(super) adjustments: HashMap<String, Vec<Adjustment>>,
    /// IDs of orders, by name and by key.
    pub(super) by_name: HashMap<String, BTreeSet<i64>>,
}

/// Order row, including columns and events that no response contains.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) order: Order,
    pub(super) principal: String,
    pub(super) key: Option<String>,
    pub(super) events: Vec<Event>,
}

#[derive(Debug)]
pub(super) struct Event {
    pub(super) to: Status,
    pub(super) principal: String,
    pub(super) correlation_id: String,
    pub(super) at: DateTime<Utc>,
}

type OrderRow = (i64, i64, String, i64, Option<String>, Option<NaiveDateTime>, i64, String, Option<String>);
const ORDERS: &str = "SELECT id, customer_id, CAST(status AS CHAR), total_cents, external_reference, confirmed_at, \
     version, create_principal, create_key FROM orders";
const ITEMS: &str = "SELECT order_id, product_id, qty, unit_price_cents FROM order_items ORDER BY order_id, product_id";
type EventRow = (i64, String, String, String, NaiveDateTime);
const EVENTS: &str = "SELECT order_id, CAST(to_status AS CHAR), principal, correlation_id, created_at \
     FROM order_events ORDER BY id";
const PRODUCTS: &str = "SELECT id, version, price_cents, stock FROM products";
const CUSTOMERS: &str = "SELECT id, version, name, email, deleted_at IS NOT NULL FROM customers";
const ADJUSTMENTS: &str = "SELECT product_id, delta, reference FROM stock_movements WHERE reference IS NOT NULL";

impl Snapshot {
    pub(super) async fn read(url: &str) -> Result<Self> {
        let opts = OptsBuilder::from_opts(Opts::from_url(url)?).prefer_socket(false);
        let mut connection = Conn::new(opts).await.context("cannot reach the database")?;
        connection.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
        connection.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
        let snapshot = Self::rows(&mut connection).await.context("cannot read the tables")?;
        connection.disconnect().await?;
        Ok(snapshot.indexed())
    }

    async fn rows(connection: &mut Conn) -> Result<Self> {
        let mut orders = HashMap::new();
        for row in connection.query::<OrderRow, _>(ORDERS).await? {
            let (id, customer_id, status, total_cents, external_reference, confirmed_at, version, principal, key) = row;
            let (status, version, items, events) = (status.parse()?, Some(version), Vec::new(), Vec::new());
            let confirmed_at = confirmed_at.map(|at| at.and_utc());
            let order =
                Order { id, customer_id, status, total_cents, external_reference, confirmed_at, version, items };
            orders.insert(id, Row { order, principal, key, events });
        }
        for (order, product_id, qty, unit_price_cents) in connection.query::<(i64, _, _, _), _>(ITEMS).await? {
            let item = Item { product_id, qty, unit_price_cents };
            orders.entry(order).and_modify(|row| row.order.items.push(item));
        }
        for (order, to, principal, correlation_id, at) in connection.query::<EventRow, _>(EVENTS).await? {
            let event = Event { to: to.parse()?, principal, correlation_id, at: at.and_utc() };
            orders.entry(order).and_modify(|row| row.events.push(event));
        }
        let product = |(id, version, price_cents, stock)| (id, Product { id, version, price_cents, stock });
        let products = connection.query_map(PRODUCTS, product).await?.into_iter().collect();
        let customer = |(id, version, name, email, gone)| (id, (Customer { id, version, name, email }, gone));
        let customers = connection.query_map(CUSTOMERS, customer).await?.into_iter().collect();
        let mut adjustments = HashMap::<_, Vec<_>>::new();
        for (product_id, delta, reference) in connection.query::<(_, _, String), _>(ADJUSTMENTS).await? {
            let adjustment = Adjustment { product_id, delta, reference: Some(reference.clone()) };
            adjustments.entry(reference).or_default().push(adjustment);
        }
        Ok(Self { orders, products, customers, adjustments, ..Self::default() })
    }

    pub(super) fn indexed(mut self) -> Self {
        for (id, row) in &self.orders {
            for name in row.names().chain(&row.key) {
                self.by_name.entry(name.clone()).or_default().insert(*id);
            }
        }
        self
    }

    /// Returns the orders that this record created, found by the record's names.
    pub(super) fn orders_of(&self, record: &Record) -> BTreeSet<i64> {
        record.names().iter().filter_map(|name| self.by_name.get(name)).flatten().copied().collect()
    }
}

impl Row {
    /// Returns the first transition to this status.
    pub(super) fn event(&self, to: Status) -> Option<&Event> {
        self.events(to).next()
    }

    pub(super) fn events(&self, to: Status) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| event.to == to)
    }

    pub(super) fn is_live(&self) -> bool {
        self.order.status != Status::Canceled
    }

    /// Returns the client's reference and the correlation ID of the create request.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        let created = self.event(Status::Created).map(|event| &event.correlation_id);
        self.order.external_reference.iter().chain(created)
    }

    pub(super) fn is_as_returned(&self, observed: &Order) -> bool {
        let Order { customer_id, total_cents, items, .. } = &self.order;
        (customer_id, total_cents, items) == (&observed.customer_id, &observed.total_cents, &observed.items)
    }
}
