//! Making an order: it takes its stock and fixes its prices, all or nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use db::idempotency::KeyClaim;
use db::{Connection, DbError, clock};
use orders_api::{NewOrder, NewOrderItem, Order, OrderItem, OrderStatus, Product};
use service::Call;
use service::auth::{Caller, Operator};
use service_api::{CustomerId, IdempotencyKey, OrderId, ProductId, Text};

use super::error::Shortage;
use super::once::{Answered, Change, Keyed, keyed};
use super::{Orders, OrdersError, reason};
use crate::metrics;
use crate::store::events::{self, Event};
use crate::store::ledger::{self, Entry};
use crate::store::orders::{self, NewRow};
use crate::store::products;

/// The operation, as far as idempotency keys are concerned.
const SCOPE: &str = "order.create";

impl Orders {
    /// Makes an order, or answers with the one that this request has made before.
    pub(crate) async fn create(
        &self,
        call: &Call,
        caller: &Caller<Operator>,
        key: Option<&IdempotencyKey>,
        new: &NewOrder,
    ) -> Result<Answered, OrdersError> {
        let principal = caller.principal();
        let lines = merged(new.items.as_slice())?;
        let keyed = key.map(|key| keyed_create(&principal, key, new, &lines)).transpose()?;
        let outcome = self.create_once(call, caller, &principal, keyed.as_ref(), new, lines).await;
        if keyed.is_some() {
            metrics::keyed(SCOPE, &outcome);
        }
        outcome
    }

    async fn create_once(
        &self,
        call: &Call,
        caller: &Caller<Operator>,
        principal: &str,
        keyed: Option<&Keyed<'_>>,
        new: &NewOrder,
        lines: Lines,
    ) -> Result<Answered, OrdersError> {
        if let Some(keyed) = keyed {
            if let Some(answer) = self.made_before(keyed).await? {
                return Ok(answer);
            }
        } else if let Caller::Service(_) = caller {
            return Err(OrdersError::key_required());
        }
        self.customers.check(call, new.customer_id, Self::check_limit(caller)).await?;
        let reservation = match caller {
            Caller::Service(_) => Some(self.reservation),
            Caller::Person(_) => None,
        };
        let correlation_id = call.correlation_id();
        let claim = keyed.map(|keyed| &keyed.claim);
        let change = Create { new, lines, claim, reservation, principal, correlation_id };
        match (self.once(keyed, &change).await, keyed) {
            // The key's row had expired and a second request came between our look and our INSERT.
            (Err(OrdersError::Database(error)), Some(keyed)) if error.is_unique(orders::UNIQUE_CREATE_KEY) => {
                self.made_before(keyed).await?.ok_or(error.into())
            }
            (outcome, _) => outcome,
        }
    }

    /// The answer that this request got before. Where its bytes have expired, the order itself tells that it was made;
    /// it is shown as it stands now.
    async fn made_before(&self, keyed: &Keyed<'_>) -> Result<Option<Answered>, OrdersError> {
        if let Some(answer) = self.replay(keyed).await? {
            return Ok(Some(answer));
        }
        let KeyClaim { principal, key, request_hash, .. } = keyed.claim;
        let made = self.db.run(async |connection| orders::find_created_under(connection, principal, key).await);
        match made.await? {
            None => Ok(None),
            Some((order, hash)) if hash.as_deref() == Some(&request_hash) => Ok(Some(Answered::rebuilt(&order)?)),
            Some(_) => Err(OrdersError::KeyReused),
        }
    }
}

/// This caller's request to make this order under a key.
pub(super) fn keyed_create<'k>(
    principal: &'k str,
    key: &'k IdempotencyKey,
    new: &NewOrder,
    lines: &Lines,
) -> Result<Keyed<'k>, serde_json::Error> {
    keyed(SCOPE, principal, key, &(new.customer_id, lines, new.expected_total_cents, &new.external_reference))
}

/// How many pieces of which product, by ascending product.
pub(super) type Lines = BTreeMap<ProductId, i64>;

/// Several lines of one product count together.
pub(super) fn merged(items: &[NewOrderItem]) -> Result<Lines, OrdersError> {
    let mut lines = Lines::new();
    for NewOrderItem { product_id, qty } in items {
        let sum = lines.entry(*product_id).or_default();
        *sum = sum.checked_add(qty.get()).ok_or(OrdersError::TotalOutOfRange)?;
    }
    Ok(lines)
}

struct Create<'c> {
    new: &'c NewOrder,
    lines: Lines,
    claim: Option<&'c KeyClaim<'c>>,
    reservation: Option<Duration>,
    principal: &'c str,
    correlation_id: &'c str,
}

impl Change for Create<'_> {
    const STATUS: u16 = 201;

    /// The stock first, then the order: inserting an item locks its product's row for reading, and two orders that then
    /// both want to write to it would be a deadlock.
    async fn apply(&self, connection: &mut Connection) -> Result<Order, OrdersError> {
        let products = products::lock_all(connection, self.lines.keys().copied()).await?;
        let items = self.priced(&products)?;
        let total_cents = self.total(&items)?;
        self.take_stock(connection, &products).await?;
        let order = self.insert(connection, total_cents, items).await?;
        self.record(connection, &order).await?;
        Ok(order)
    }
}

impl Create<'_> {
    /// The items of the order, if there is enough of everything.
    fn priced(&self, products: &[Product]) -> Result<Vec<OrderItem>, OrdersError> {
        let missing: Vec<_> =
            self.lines.keys().copied().filter(|id| products.iter().all(|product| product.id != *id)).collect();
        if !missing.is_empty() {
            return Err(OrdersError::ProductsNotFound(missing));
        }
        let short: Vec<_> = products
            .iter()
            .filter(|product| product.stock < self.qty(product))
            .map(|product| self.shortage(product))
            .collect();
        if !short.is_empty() {
            return Err(OrdersError::InsufficientStock(short));
        }
        products.iter().map(|product| item(product, self.qty(product))).collect()
    }

    fn qty(&self, product: &Product) -> i64 {
        self.lines.get(&product.id).copied().unwrap_or_default()
    }

    fn shortage(&self, product: &Product) -> Shortage {
        Shortage { product: product.id, requested: self.qty(product), available: product.stock }
    }

    fn total(&self, items: &[OrderItem]) -> Result<i64, OrdersError> {
        let sum = items.iter().try_fold(0_i64, |sum, item| sum.checked_add(item.subtotal_cents));
        let total_cents = sum.ok_or(OrdersError::TotalOutOfRange)?;
        match self.new.expected_total_cents {
            Some(expected) if expected != total_cents => Err(OrdersError::TotalChanged { total_cents }),
            _ => Ok(total_cents),
        }
    }

    async fn take_stock(&self, connection: &mut Connection, products: &[Product]) -> Result<(), OrdersError> {
        for product in products {
            if !products::add_stock(connection, product.id, -self.qty(product), 0..=i64::MAX).await? {
                return Err(OrdersError::InsufficientStock(vec![self.shortage(product)]));
            }
        }
        Ok(())
    }

    async fn insert(
        &self,
        connection: &mut Connection,
        total_cents: i64,
        items: Vec<OrderItem>,
    ) -> Result<Order, OrdersError> {
        let Self { new, claim, .. } = self;
        let now = clock::now(connection).await?;
        let row = NewRow {
            customer_id: new.customer_id.get(),
            total_cents,
            external_reference: new.external_reference.as_ref().map(Text::as_str),
            created_at: now,
            reserved_until: self.reservation.map(|reservation| now + reservation),
            create_principal: self.principal,
            create_key: claim.map(|claim| claim.key),
            create_hash: claim.map(|claim| claim.request_hash.as_slice()),
        };
        let id =
            orders::insert(connection, &row, &items).await.map_err(|error| customer_gone(error, new.customer_id))?;
        Ok(Order {
            id,
            customer_id: new.customer_id,
            status: OrderStatus::Created,
            total_cents,
            external_reference: row.external_reference.map(str::to_owned),
            created_at: now.and_utc(),
            confirmed_at: None,
            canceled_at: None,
            version: 1,
            items,
        })
    }

    /// Enters what was taken into the ledger, and the creation into the order's events.
    async fn record(&self, connection: &mut Connection, order: &Order) -> Result<(), DbError> {
        let entry = |item: &OrderItem| taken(item, order.id, self.principal);
        let entries: Vec<_> = order.items.iter().map(entry).collect();
        ledger::append(connection, &entries).await?;
        let created = Event {
            order_id: order.id,
            from: None,
            to: OrderStatus::Created,
            principal: self.principal,
            correlation_id: self.correlation_id,
            at: order.created_at.naive_utc(),
        };
        events::append(connection, &created).await
    }
}

fn item(product: &Product, qty: i64) -> Result<OrderItem, OrdersError> {
    let Product { id, sku, name, price_cents, .. } = product;
    Ok(OrderItem {
        product_id: *id,
        sku: sku.clone(),
        name: name.clone(),
        qty,
        unit_price_cents: *price_cents,
        subtotal_cents: price_cents.checked_mul(qty).ok_or(OrdersError::TotalOutOfRange)?,
    })
}

fn taken<'e>(item: &OrderItem, order_id: OrderId, principal: &'e str) -> Entry<'e> {
    Entry {
        product_id: item.product_id,
        delta: -item.qty,
        reason: reason::ORDER,
        reference: None,
        order_id: Some(order_id),
        principal,
    }
}

/// The customers service knew the customer, but this database does not.
fn customer_gone(error: DbError, id: CustomerId) -> OrdersError {
    match error {
        DbError::ForeignKey { constraint } if constraint == orders::CUSTOMER_EXISTS => {
            OrdersError::CustomerNotFound(id)
        }
        error => error.into(),
    }
}
