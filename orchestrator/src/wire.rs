//! Conversions between the types of the upstreams' documents and those of ours. None where ours cannot represent a value.

use std::collections::BTreeMap;

use common_contract::Detail;
use orchestrator_api::{CreateAndConfirm, Customer, Item, Order, OrderItem, OrderStatus};
use orders_client::types;

/// The order to be created.
pub(crate) fn new_order(request: &CreateAndConfirm) -> types::builder::NewOrder {
    let item = |item: &Item| types::NewOrderItem::builder().product_id(item.product_id.get()).qty(item.qty.get());
    types::NewOrder::builder().customer_id(request.customer_id.get()).items(request.items.as_slice().iter().map(item))
}

/// Whether the order is the one that the request describes; lines of one product count together.
pub(crate) fn is_requested(order: &types::Order, request: &CreateAndConfirm) -> bool {
    let mut requested = BTreeMap::<_, i64>::new();
    for item in request.items.as_slice() {
        *requested.entry(item.product_id.get()).or_default() += item.qty.get();
    }
    let ordered: BTreeMap<_, _> = order.items.iter().map(|item| (item.product_id, item.qty)).collect();
    order.customer_id == request.customer_id.get() && ordered == requested
}

/// The customer of our answer.
pub(crate) fn customer(customer: customers_client::types::CustomerContact) -> Option<Customer> {
    let customers_client::types::CustomerContact { id, name, email, phone, .. } = customer;
    Some(Customer { id: id.try_into().ok()?, name, email, phone })
}

/// The order of our answer; none where it is not confirmed.
pub(crate) fn confirmed(order: types::Order) -> Option<Order> {
    let types::Order { id, customer_id, status, total_cents, created_at, confirmed_at, items, .. } = order;
    if status != types::OrderStatus::Confirmed {
        return None;
    }
    Some(Order {
        id: id.try_into().ok()?,
        customer_id: customer_id.try_into().ok()?,
        status: OrderStatus::Confirmed,
        total_cents,
        created_at,
        confirmed_at: confirmed_at?,
        items: items.iter().map(order_item).collect::<Option<_>>()?,
    })
}

fn order_item(item: &types::OrderItem) -> Option<OrderItem> {
    let &types::OrderItem { product_id, qty, unit_price_cents, subtotal_cents, .. } = item;
    Some(OrderItem { product_id: product_id.try_into().ok()?, qty, unit_price_cents, subtotal_cents })
}

/// A detail of an upstream's error, for our answer.
pub(crate) fn detail(detail: types::Detail) -> Detail {
    let types::Detail { field, message, product_id, requested, available, total_cents, .. } = detail;
    Detail { field, message, product_id, requested, available, total_cents }
}
