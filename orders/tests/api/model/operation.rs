//! Operations on the shop, and strategies that generate relevant ones.

use std::collections::BTreeMap;

use orders_client::types::OrderStatus;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::shop::{MAX_STOCK, Order, Shop};

/// Number of idempotency keys: small enough that operations share keys.
const KEYS: u8 = 4;

/// Version in the `If-Match` header, if any.
pub(super) type Tag = Option<i64>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Caller {
    Operator,
    Service,
}

/// Content of a create request: pairs of product and quantity in request order, and the expected total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) lines: Vec<(usize, i64)>,
    pub(super) expected_total: Option<i64>,
}

impl Content {
    /// Sums the quantities of lines for the same product.
    pub(super) fn merged(&self) -> BTreeMap<usize, i64> {
        let mut merged = BTreeMap::new();
        for (product, qty) in &self.lines {
            *merged.entry(*product).or_default() += qty;
        }
        merged
    }
}

/// An operation on the shop. An index that is out of range refers to an order or a product that does not exist.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    Create {
        caller: Caller,
        key: Option<u8>,
        content: Content,
    },
    Confirm {
        caller: Caller,
        key: u8,
        order: usize,
        tag: Tag,
    },
    Cancel {
        caller: Caller,
        key: Option<u8>,
        order: usize,
        tag: Tag,
    },
    Abandon {
        key: u8,
        content: Content,
    },
    Lookup {
        key: u8,
    },
    Adjust {
        product: usize,
        delta: i64,
    },
    SetPrice {
        product: usize,
        price: i64,
    },
    SetStock {
        product: usize,
        stock: i64,
        expected: Option<i64>,
        tag: Tag,
    },
    /// The reservation expires, and the background job runs.
    ExpireReservation {
        order: usize,
    },
    EndCancelWindow {
        order: usize,
    },
    ExpireKey {
        key: u8,
    },
    Restart,
}

/// Generates an operation, with a preference for operations that affect existing orders or keys.
pub(super) fn operations(shop: &Shop) -> BoxedStrategy<Operation> {
    let create = (caller(), option::weighted(0.8, key()), content(shop))
        .prop_map(|(caller, key, content)| Operation::Create { caller, key, content });
    let abandon = (key(), content(shop)).prop_map(|(key, content)| Operation::Abandon { key, content });
    let lookup = key().prop_map(|key| Operation::Lookup { key });
    let reserved = |order: &Order| order.created_by == Caller::Service && order.view.status == OrderStatus::Created;
    let expire_reservation = order_that(shop, reserved).prop_map(|order| Operation::ExpireReservation { order });
    let confirmed = |order: &Order| order.view.status == OrderStatus::Confirmed && !order.cancel_window_ended;
    let cancel_window_ended = order_that(shop, confirmed).prop_map(|order| Operation::EndCancelWindow { order });
    let late_cancel = (caller(), option::of(key()), order_that(shop, |order| order.cancel_window_ended))
        .prop_map(|(caller, key, order)| Operation::Cancel { caller, key, order, tag: None });
    let expired = key().prop_map(|key| Operation::ExpireKey { key });
    prop_oneof![
        6 => create,
        4 => retry_create(shop),
        6 => confirm(shop),
        6 => cancel(shop),
        1 => abandon,
        3 => abandon_earlier_create(shop),
        1 => lookup,
        5 => product_change(shop),
        2 => expire_reservation,
        2 => cancel_window_ended,
        1 => late_cancel,
        2 => expired,
        1 => Just(Operation::Restart),
    ]
    .boxed()
}

fn retry_create(shop: &Shop) -> BoxedStrategy<Operation> {
    let create = |(caller, key, content)| Operation::Create { caller, key: Some(key), content };
    earlier_create(shop).prop_map(create).boxed()
}

fn abandon_earlier_create(shop: &Shop) -> BoxedStrategy<Operation> {
    earlier_create(shop).prop_map(|(_, key, content)| Operation::Abandon { key, content }).boxed()
}

/// Generates a create request: one of those sent earlier, or a new one before the first.
fn earlier_create(shop: &Shop) -> BoxedStrategy<(Caller, u8, Content)> {
    if shop.sent.is_empty() { (caller(), key(), content(shop)).boxed() } else { select(shop.sent.clone()).boxed() }
}

fn confirm(shop: &Shop) -> BoxedStrategy<Operation> {
    let versions = versions(shop);
    (caller(), key(), order(shop), tag())
        .prop_map(move |(caller, key, order, wanted)| {
            let tag = wanted.tag(versions.get(order).copied());
            Operation::Confirm { caller, key, order, tag }
        })
        .boxed()
}

fn cancel(shop: &Shop) -> BoxedStrategy<Operation> {
    let versions = versions(shop);
    (caller(), option::of(key()), order(shop), tag())
        .prop_map(move |(caller, key, order, wanted)| {
            let tag = wanted.tag(versions.get(order).copied());
            Operation::Cancel { caller, key, order, tag }
        })
        .boxed()
}

fn product_change(shop: &Shop) -> BoxedStrategy<Operation> {
    let products = shop.products.clone();
    let adjust = (0..products.len(), prop_oneof![1..6_i64, -6..0_i64, Just(MAX_STOCK)])
        .prop_map(|(product, delta)| Operation::Adjust { product, delta });
    let price =
        (0..products.len(), 0..4_i64).prop_map(|(product, price)| Operation::SetPrice { product, price: price * 50 });
    let stock = (0..products.len(), 0..12_i64, option::of(0..2_i64), tag()).prop_map(
        move |(product, stock, off_by, wanted)| {
            let current = &products[product];
            let expected = off_by.map(|off_by| (current.stock + off_by).min(MAX_STOCK));
            Operation::SetStock { product, stock, expected, tag: wanted.tag(Some(current.version)) }
        },
    );
    prop_oneof![2 => adjust, 1 => price, 2 => stock].boxed()
}

fn content(shop: &Shop) -> BoxedStrategy<Content> {
    let known = 0..shop.products.len();
    let product = prop_oneof![15 => known, 1 => Just(shop.products.len())];
    let prices: Vec<_> = shop.products.iter().map(|product| product.price).collect();
    (vec((product, 1..5_i64), 1..4), option::weighted(0.2, 0..2_i64))
        .prop_map(move |(lines, off_by)| {
            let price = |product: usize| prices.get(product).copied().unwrap_or_default();
            let total: i64 = lines.iter().map(|(product, qty)| price(*product) * qty).sum();
            Content { lines, expected_total: off_by.map(|off_by| total + off_by) }
        })
        .boxed()
}

fn caller() -> impl Strategy<Value = Caller> {
    prop_oneof![Just(Caller::Operator), Just(Caller::Service)]
}

fn key() -> impl Strategy<Value = u8> {
    0..KEYS
}

fn order(shop: &Shop) -> BoxedStrategy<usize> {
    // The latest orders are the most likely to change.
    let (first, end) = (shop.orders.len().saturating_sub(4), shop.orders.len() + 1);
    prop_oneof![4 => first..end, 1 => 0..end].boxed()
}

/// Generates the index of an order, in most cases of one with this property; if no order has the property, of any
/// order.
fn order_that(shop: &Shop, is_wanted: impl Fn(&Order) -> bool) -> BoxedStrategy<usize> {
    let wanted: Vec<_> = (0..shop.orders.len()).filter(|index| is_wanted(&shop.orders[*index])).collect();
    if wanted.is_empty() { order(shop) } else { prop_oneof![4 => select(wanted), 1 => order(shop)].boxed() }
}

fn versions(shop: &Shop) -> Vec<i64> {
    shop.orders.iter().map(|order| order.view.version).collect()
}

#[derive(Debug, Clone, Copy)]
enum TagKind {
    Any,
    Current,
    Next,
}

impl TagKind {
    fn tag(self, version: Option<i64>) -> Tag {
        match self {
            Self::Any => None,
            Self::Current => Some(version.unwrap_or(1)),
            Self::Next => Some(version.unwrap_or(1) + 1),
        }
    }
}

fn tag() -> impl Strategy<Value = TagKind> {
    prop_oneof![6 => Just(TagKind::Any), 2 => Just(TagKind::Current), 1 => Just(TagKind::Next)]
}
