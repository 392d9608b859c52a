//! An order as it was asked for, and what it becomes of what is on the shelf.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::NaiveDateTime;
use common_contract::{OrderId, ProductId};
use db::idempotency::{KeyClaim, Nonce};
use orders_api::{NewOrder, NewOrderItem, Order, OrderItem, OrderStatus, OrderTerms, Product};

use super::OrdersError;
use super::error::Shortage;
use super::once::Keyed;
use crate::store::orders::NewRow;

/// The operation, as far as idempotency keys are concerned.
pub(super) const SCOPE: &str = "order.create";

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

/// An order that somebody asked for.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) new: NewOrder,
    /// Its items.
    pub(super) lines: Lines,
    /// How long it holds its stock without being confirmed.
    pub(super) reservation: Option<Duration>,
    pub(super) principal: String,
    pub(super) correlation_id: String,
    pub(super) key: Option<DraftKey>,
}

/// Under which idempotency key.
#[derive(Clone, Debug)]
pub(super) struct DraftKey {
    key: String,
    request_hash: [u8; 32],
    nonce: Nonce,
}

impl DraftKey {
    pub(super) fn of(keyed: &Keyed<'_>) -> Self {
        let KeyClaim { key, request_hash, .. } = keyed.claim;
        Self { key: key.to_owned(), request_hash, nonce: keyed.nonce }
    }
}

/// An order that there is enough on the shelf for.
#[derive(Debug)]
pub(super) struct Sale {
    pub(super) items: Vec<OrderItem>,
    pub(super) total_cents: i64,
}

impl Draft {
    /// The claim of its key, if it has one.
    pub(super) fn claim(&self) -> Option<(KeyClaim<'_>, Nonce)> {
        let DraftKey { key, request_hash, nonce } = self.key.as_ref()?;
        let (scope, principal, request_hash) = (SCOPE, self.principal.as_str(), *request_hash);
        Some((KeyClaim { scope, principal, key, request_hash }, *nonce))
    }

    /// Whose key it has, and which.
    pub(super) fn key(&self) -> Option<(&str, &str)> {
        self.key.as_ref().map(|key| (&*self.principal, &*key.key))
    }

    /// Tells what is asked for under its key from anything else.
    pub(super) fn request_hash(&self) -> Option<[u8; 32]> {
        self.key.as_ref().map(|key| key.request_hash)
    }

    /// Its row, at this moment.
    pub(super) fn row(&self, sale: &Sale, now: NaiveDateTime) -> NewRow<'_> {
        NewRow {
            new: &self.new,
            total_cents: sale.total_cents,
            created_at: now,
            reserved_until: self.reservation.map(|reservation| now + reservation),
            create_principal: &self.principal,
            create_key: self.key.as_ref().map(|key| key.key.as_str()),
            create_hash: self.key.as_ref().map(|key| key.request_hash.as_slice()),
        }
    }

    /// The order that it has become.
    pub(super) fn order(&self, id: OrderId, sale: &Sale, now: NaiveDateTime) -> Order {
        Order {
            id,
            customer_id: self.new.customer_id,
            status: OrderStatus::Created,
            terms: OrderTerms {
                total_cents: sale.total_cents,
                external_reference: self.new.external_reference.as_ref().map(|text| text.as_str().to_owned()),
                created_at: now.and_utc(),
            },
            confirmed_at: None,
            canceled_at: None,
            version: 1,
            items: sale.items.clone(),
        }
    }
}

/// The products that drafts want, locked, with what is left of each.
pub(super) struct Shelf {
    products: BTreeMap<ProductId, Product>,
    taken: BTreeMap<ProductId, Taken>,
}

/// What was taken of a product.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    pub(super) qty: i64,
    pub(super) orders: i64,
}

impl Shelf {
    pub(super) fn of(products: Vec<Product>) -> Self {
        let products = products.into_iter().map(|product| (product.id, product)).collect();
        Self { products, taken: BTreeMap::new() }
    }

    /// Takes what the draft wants, all of it or nothing.
    pub(super) fn sell(&mut self, draft: &Draft) -> Result<Sale, OrdersError> {
        let sale = self.sale(draft)?;
        for (id, qty) in &draft.lines {
            if let Some(product) = self.products.get_mut(id) {
                product.stock -= qty;
            }
            let taken = self.taken.entry(*id).or_default();
            taken.qty += qty;
            taken.orders += 1;
        }
        Ok(sale)
    }

    /// What was taken, by ascending product.
    pub(super) fn taken(&self) -> &BTreeMap<ProductId, Taken> {
        &self.taken
    }

    fn sale(&self, draft: &Draft) -> Result<Sale, OrdersError> {
        let missing: Vec<_> = draft.lines.keys().copied().filter(|id| !self.products.contains_key(id)).collect();
        if !missing.is_empty() {
            return Err(OrdersError::ProductsNotFound(missing));
        }
        let wanted = || draft.lines.iter().filter_map(|(id, qty)| Some((self.products.get(id)?, *qty)));
        let short: Vec<_> = wanted()
            .filter(|(product, qty)| product.stock < *qty)
            .map(|(product, qty)| shortage(product, qty))
            .collect();
        if !short.is_empty() {
            return Err(OrdersError::InsufficientStock(short));
        }
        let items = wanted().map(|(product, qty)| item(product, qty)).collect::<Result<Vec<_>, _>>()?;
        let total_cents = total(&items)?;
        match draft.new.expected_total_cents {
            Some(expected) if expected != total_cents => Err(OrdersError::TotalChanged { total_cents }),
            _ => Ok(Sale { items, total_cents }),
        }
    }
}

fn shortage(product: &Product, requested: i64) -> Shortage {
    Shortage { product: product.id, requested, available: product.stock }
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

fn total(items: &[OrderItem]) -> Result<i64, OrdersError> {
    let sum = items.iter().try_fold(0_i64, |sum, item| sum.checked_add(item.subtotal_cents));
    sum.ok_or(OrdersError::TotalOutOfRange)
}
