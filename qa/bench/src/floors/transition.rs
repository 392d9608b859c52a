//! Confirming and canceling an order, each statement by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::Result;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value, params};

use super::keys::Key;
use super::session::{self, Work};
use super::{Worker, statements};

const LOCK: &str = "SELECT `id`, `customer_id`, `status`, `total_cents`, `external_reference`, `created_at`, \
`confirmed_at`, `canceled_at`, `version`, SYSDATE(6) AS `now` FROM `orders` WHERE `id` = :id FOR UPDATE";

const CONFIRM: &str = "UPDATE `orders` SET `status` = 'CONFIRMED', `confirmed_at` = :at, `reserved_until` = NULL, \
`version` = `version` + 1 WHERE `id` = :id AND `status` = 'CREATED'";

const CANCEL: &str = "UPDATE `orders` SET `status` = 'CANCELED', `canceled_at` = :at, `reserved_until` = NULL, \
`version` = `version` + 1 WHERE `id` = :id AND `status` = 'CREATED'";

const ITEMS: &str = "SELECT `product_id`, `sku`, `name`, `qty`, `unit_price_cents`, `subtotal_cents` \
FROM `order_items` WHERE `order_id` = :id ORDER BY `product_id` ASC";

/// Where an order goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Transition {
    /// From CREATED to CONFIRMED.
    Confirm,
    /// From CREATED to CANCELED.
    Cancel,
}

impl Transition {
    /// The operation, as its path and the key's row name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Cancel => "cancel",
        }
    }

    fn scope(self) -> &'static str {
        match self {
            Self::Confirm => "order.confirm",
            Self::Cancel => "order.cancel",
        }
    }
}

struct Clerk {
    connection: Conn,
    transition: Transition,
    next: Arc<AtomicI64>,
}

struct Step {
    order: i64,
    transition: Transition,
    key: Key,
}

impl Worker for Clerk {
    async fn step(&mut self) -> Result<()> {
        let Self { connection, transition, next } = self;
        let (order, key) = (next.fetch_add(1, Ordering::Relaxed), Key::new(transition.scope()));
        key.find(connection).await?;
        session::transaction(connection, &Step { order, transition: *transition, key }).await
    }
}

impl Work for Step {
    type Made = ();

    async fn carry_out(&self, connection: &mut Conn) -> mysql_async::Result<()> {
        let Self { order, transition, key } = self;
        let values = || params! { "id" => order };
        key.claim(connection).await?;
        let order_row: Option<Row> = connection.exec_first(LOCK, values()).await?;
        let at = statements::now(order_row.as_ref());
        let items: Vec<Row> = connection.exec(ITEMS, values()).await?;
        let changed = params! { "id" => order, "at" => &at };
        let status = match transition {
            Transition::Confirm => {
                connection.exec_drop(CONFIRM, changed).await?;
                "CONFIRMED"
            }
            Transition::Cancel => {
                connection.exec_drop(CANCEL, changed).await?;
                for product in items.iter().filter_map(|item| item.get("product_id")) {
                    statements::return_stock(connection, product).await?;
                    statements::append_to_ledger(connection, product, 1, "cancel", *order).await?;
                }
                "CANCELED"
            }
        };
        statements::append_event(connection, *order, Value::from("CREATED"), status, &at).await?;
        key.complete(connection, *order, 200).await
    }
}

/// Transitions per second over so many connections, of CREATED orders from `first` on, and how many were used.
///
/// # Errors
///
/// Where the database refuses, or there are not enough orders.
pub(crate) async fn rate(
    url: &str,
    transition: Transition,
    first: i64,
    connections: u16,
    length: Duration,
) -> Result<(f64, i64)> {
    let next = Arc::new(AtomicI64::new(first));
    let mut clerks = Vec::new();
    for _ in 0..connections {
        clerks.push(Clerk { connection: session::open(url).await?, transition, next: Arc::clone(&next) });
    }
    let rate = super::rate(clerks, length).await?;
    Ok((rate, next.load(Ordering::Relaxed) - first))
}
