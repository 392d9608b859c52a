//! Table rows for a batch of generated orders.

use chrono::{NaiveDateTime, TimeDelta};

use super::PRINCIPAL;
use super::generate::{Order, Outcome};
use super::owners::CatalogProduct;
use super::scale::Base;
use db::insert::Insert;

/// Table and columns of the stock ledger.
pub(super) const MOVEMENTS: &str = "stock_movements (product_id, delta, reason, order_id, principal, created_at)";

/// INSERT statements for a batch of orders, one per table.
pub(super) struct OrderRows {
    orders: Insert,
    items: Insert,
    events: Insert,
    movements: Insert,
}

impl OrderRows {
    /// Creates the rows for `orders`, each given with its id.
    pub(super) fn of(orders: &[(i64, Order)], base: &Base, catalog: &[CatalogProduct]) -> Self {
        let mut rows = Self {
            orders: Insert::into(
                "orders (id, customer_id, status, total_cents, external_reference, created_at, confirmed_at, canceled_at, \
                 version, create_principal)",
            ),
            items: Insert::into("order_items (order_id, product_id, sku, name, qty, unit_price_cents, subtotal_cents)"),
            events: Insert::into(
                "order_events (order_id, from_status, to_status, principal, correlation_id, created_at)",
            ),
            movements: Insert::into(MOVEMENTS),
        };
        for (id, order) in orders {
            rows.add(*id, order, base, catalog);
        }
        rows
    }

    /// Returns the INSERT statements, with those for referenced tables first.
    pub(super) fn into_inserts(self) -> Vec<Insert> {
        let Self { orders, items, events, movements } = self;
        vec![orders, items, events, movements]
    }

    fn add(&mut self, id: i64, order: &Order, base: &Base, catalog: &[CatalogProduct]) {
        let times = StatusTimes::of(order, base.start);
        let total_cents = self.add_items(id, order, &times, catalog);
        let (status, version) = self.add_events(id, &times);
        self.orders.row(&[
            id.into(),
            (base.customer + order.customer).into(),
            status.into(),
            total_cents.into(),
            order.external_reference.as_deref().into(),
            times.created.into(),
            times.confirmed.into(),
            times.canceled.into(),
            version.into(),
            PRINCIPAL.into(),
        ]);
    }

    /// Adds the items and their stock movements, and returns the order total.
    fn add_items(&mut self, id: i64, order: &Order, times: &StatusTimes, catalog: &[CatalogProduct]) -> i64 {
        let mut total_cents = 0;
        for item in &order.items {
            let CatalogProduct { id: product_id, sku, product, .. } = &catalog[item.product];
            let subtotal_cents = item.qty * product.price_cents;
            total_cents += subtotal_cents;
            self.items.row(&[
                id.into(),
                (*product_id).into(),
                sku.as_str().into(),
                product.name.as_str().into(),
                item.qty.into(),
                product.price_cents.into(),
                subtotal_cents.into(),
            ]);
            let allocated = (-item.qty, "order", times.created);
            let restocked = times.canceled.map(|at| (item.qty, "cancel", at));
            for (delta, reason, at) in [Some(allocated), restocked].into_iter().flatten() {
                let row = [(*product_id).into(), delta.into(), reason.into(), id.into(), PRINCIPAL.into(), at.into()];
                self.movements.row(&row);
            }
        }
        total_cents
    }

    /// Adds the events, and returns the final status and the version (the number of events).
    fn add_events(&mut self, id: i64, times: &StatusTimes) -> (&'static str, i64) {
        let mut status = None;
        let mut version = 0;
        for (to_status, at) in times.transitions() {
            let row = [id.into(), status.into(), to_status.into(), PRINCIPAL.into(), PRINCIPAL.into(), at.into()];
            self.events.row(&row);
            status = Some(to_status);
            version += 1;
        }
        (status.unwrap_or("CREATED"), version)
    }
}

/// Times at which an order entered each status.
struct StatusTimes {
    created: NaiveDateTime,
    confirmed: Option<NaiveDateTime>,
    canceled: Option<NaiveDateTime>,
}

impl StatusTimes {
    fn of(order: &Order, start: NaiveDateTime) -> Self {
        let created = start + TimeDelta::seconds(order.created_after);
        let decided = created + TimeDelta::seconds(order.decided_after);
        let (confirmed, canceled) = match order.outcome {
            Outcome::Created => (None, None),
            Outcome::Confirmed => (Some(decided), None),
            Outcome::Canceled => (None, Some(decided)),
            Outcome::ConfirmedThenCanceled => (Some(decided), Some(decided + TimeDelta::seconds(order.canceled_after))),
        };
        Self { created, confirmed, canceled }
    }

    fn transitions(&self) -> impl Iterator<Item = (&'static str, NaiveDateTime)> {
        let confirmed = self.confirmed.map(|at| ("CONFIRMED", at));
        let canceled = self.canceled.map(|at| ("CANCELED", at));
        [Some(("CREATED", self.created)), confirmed, canceled].into_iter().flatten()
    }
}
