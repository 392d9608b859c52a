//! Conversions between the types of the upstream clients and the types of this API. A conversion returns `None` if this
//! API cannot represent the value.

use std::collections::BTreeMap;

use common_contract::Detail;
use orchestrator_api::{CreateAndConfirm, Customer, Item, Order, OrderItem, OrderStatus};
use orders_client::types;

/// Builds the order to create for a request.
pub(crate) fn new_order(request: &CreateAndConfirm) -> types::builder::OrderInput {
    let item = |item: &Item| types::OrderItemInput::builder().product_id(item.product_id.get()).qty(item.qty.get());
    types::OrderInput::builder().customer_id(request.customer_id.get()).items(request.items.as_slice().iter().map(item))
}

/// Returns whether the order has the requested customer, products and quantities. The quantities of lines for the same
/// product are summed.
pub(crate) fn matches_request(order: &types::Order, request: &CreateAndConfirm) -> bool {
    let mut requested = BTreeMap::<_, i64>::new();
    for item in request.items.as_slice() {
        *requested.entry(item.product_id.get()).or_default() += item.qty.get();
    }
    let ordered: BTreeMap<_, _> = order.items.iter().map(|item| (item.product_id, item.qty)).collect();
    order.customer_id == request.customer_id.get() && ordered == requested
}

/// Converts the customer to the response type.
pub(crate) fn customer(customer: customers_client::types::CustomerContact) -> Option<Customer> {
    let customers_client::types::CustomerContact { id, name, email, phone, .. } = customer;
    Some(Customer { id: id.try_into().ok()?, name, email, phone })
}

/// Converts the order to the response type. Returns `None` if the order is not confirmed.
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

/// Converts a detail of an upstream error to the response type.
pub(crate) fn detail(detail: types::Detail) -> Detail {
    let types::Detail { field, message, product_id, requested, available, total_cents, .. } = detail;
    Detail { field, message, product_id, requested, available, total_cents }
}
