//! Requested orders, and the allocation of stock to them.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::NaiveDateTime;
use common_contract::{OrderId, ProductId};
use db::idempotency::{Nonce, RequestKey};
use orders_api::{Order, OrderInput, OrderItem, OrderItemInput, OrderStatus, OrderTerms, Product};

use crate::app::OrdersError;
use crate::app::error::Shortage;
use crate::app::idempotent::KeyedRequest;
use crate::store::orders::NewRow;

/// Scope of the operation's idempotency keys.
pub(super) const SCOPE: &str = "order.create";

/// Quantity per product, in ascending order of product ID.
pub(super) type Lines = BTreeMap<ProductId, i64>;

/// Sums the quantities of lines for the same product.
pub(super) fn merge_lines(items: &[OrderItemInput]) -> Result<Lines, OrdersError> {
    let mut lines = Lines::new();
    for OrderItemInput { product_id, qty } in items {
        let sum = lines.entry(*product_id).or_default();
        *sum = sum.checked_add(qty.get()).ok_or(OrdersError::TotalOutOfRange)?;
    }
    Ok(lines)
}

/// A requested order.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) new: OrderInput,
    /// Quantity per product.
    pub(super) lines: Lines,
    /// Duration of the stock reservation while the order is unconfirmed. An order without a reservation never expires.
    pub(super) reservation: Option<Duration>,
    pub(super) principal: String,
    pub(super) correlation_id: String,
    pub(super) key: Option<DraftKey>,
}

/// Idempotency key of a draft, with the hash and the nonce of its request.
#[derive(Clone, Debug)]
pub(super) struct DraftKey {
    key: String,
    request_hash: [u8; 32],
    nonce: Nonce,
}

impl DraftKey {
    pub(super) fn new(request: &KeyedRequest<'_>) -> Self {
        let RequestKey { key, request_hash, .. } = request.key;
        Self { key: key.to_owned(), request_hash, nonce: request.nonce }
    }
}

/// Stock allocated to a draft, at the current prices.
#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) items: Vec<OrderItem>,
    pub(super) total_cents: i64,
}

impl Draft {
    /// Returns the key in the form in which it is stored, and the nonce of the request.
    pub(super) fn request_key(&self) -> Option<(RequestKey<'_>, Nonce)> {
        let DraftKey { key, request_hash, nonce } = self.key.as_ref()?;
        let (scope, principal, request_hash) = (SCOPE, self.principal.as_str(), *request_hash);
        Some((RequestKey { scope, principal, key, request_hash }, *nonce))
    }

    /// Returns the principal and the idempotency key.
    pub(super) fn key(&self) -> Option<(&str, &str)> {
        self.key.as_ref().map(|key| (&*self.principal, &*key.key))
    }

    /// Returns the hash of the request, or `None` if the request has no key.
    pub(super) fn request_hash(&self) -> Option<[u8; 32]> {
        self.key.as_ref().map(|key| key.request_hash)
    }

    /// Builds the row for the new order, with the creation time `now`.
    pub(super) fn row(&self, allocation: &Allocation, now: NaiveDateTime) -> NewRow<'_> {
        NewRow {
            new: &self.new,
            total_cents: allocation.total_cents,
            created_at: now,
            reserved_until: self.reservation.map(|reservation| now + reservation),
            create_principal: &self.principal,
            create_key: self.key.as_ref().map(|key| key.key.as_str()),
            create_hash: self.key.as_ref().map(|key| key.request_hash.as_slice()),
        }
    }

    /// Builds the new order, with the creation time `now`.
    pub(super) fn order(&self, id: OrderId, allocation: &Allocation, now: NaiveDateTime) -> Order {
        Order {
            id,
            customer_id: self.new.customer_id,
            status: OrderStatus::Created,
            terms: OrderTerms {
                total_cents: allocation.total_cents,
                external_reference: self.new.external_reference.as_ref().map(|text| text.as_str().to_owned()),
                created_at: now.and_utc(),
            },
            confirmed_at: None,
            canceled_at: None,
            version: 1,
            items: allocation.items.clone(),
        }
    }
}

/// Locked products, and the stock that remains after the allocations.
pub(super) struct Inventory {
    products: BTreeMap<ProductId, Product>,
    deductions: BTreeMap<ProductId, Deduction>,
}

/// Total quantity allocated from a product, and the number of orders that share it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deduction {
    pub(super) qty: i64,
    pub(super) orders: i64,
}

impl Inventory {
    pub(super) fn new(products: Vec<Product>) -> Self {
        let products = products.into_iter().map(|product| (product.id, product)).collect();
        Self { products, deductions: BTreeMap::new() }
    }

    /// Allocates stock for all lines of the draft. After an error, nothing is allocated.
    pub(super) fn allocate(&mut self, draft: &Draft) -> Result<Allocation, OrdersError> {
        let allocation = self.allocation(draft)?;
        for (id, qty) in &draft.lines {
            if let Some(product) = self.products.get_mut(id) {
                product.stock -= qty;
            }
            let deduction = self.deductions.entry(*id).or_default();
            deduction.qty += qty;
            deduction.orders += 1;
        }
        Ok(allocation)
    }

    /// Returns the deductions, in ascending order of product ID.
    pub(super) fn deductions(&self) -> &BTreeMap<ProductId, Deduction> {
        &self.deductions
    }

    fn allocation(&self, draft: &Draft) -> Result<Allocation, OrdersError> {
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
            _ => Ok(Allocation { items, total_cents }),
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
