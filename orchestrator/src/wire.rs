//! Between the shapes of the upstreams' documents and those of ours. Whatever an upstream sends that ours cannot say
//! gives none.

use std::num::NonZeroU64;

use orchestrator_api::{CreateAndConfirm, Customer, Item, Order, OrderItem, OrderStatus};
use orders_client::types;
use service_api::{CustomerId, Detail, OrderId, ProductId};

/// A number that its own type keeps at 1 or more.
pub(crate) fn positive(number: i64) -> NonZeroU64 {
    NonZeroU64::new(number.unsigned_abs()).unwrap_or(NonZeroU64::MIN)
}

fn signed(id: NonZeroU64) -> Option<i64> {
    i64::try_from(id.get()).ok()
}

/// An order's id, as our answers show it.
pub(crate) fn order_id(id: NonZeroU64) -> Option<OrderId> {
    signed(id).map(OrderId::stored)
}

/// The order to be made.
pub(crate) fn new_order(request: &CreateAndConfirm) -> types::NewOrder {
    let item = |item: &Item| types::NewOrderItem {
        product_id: positive(item.product_id.get()),
        qty: positive(item.qty.get()),
    };
    types::NewOrder {
        customer_id: positive(request.customer_id.get()),
        items: request.items.as_slice().iter().map(item).collect(),
        expected_total_cents: None,
        external_reference: None,
    }
}

/// The customer, as our answer shows it.
pub(crate) fn customer(customer: customers_client::types::CustomerContact) -> Option<Customer> {
    let customers_client::types::CustomerContact { id, name, email, phone } = customer;
    Some(Customer { id: CustomerId::stored(signed(id)?), name, email, phone })
}

/// The order, as our answer shows it; none where it is not confirmed.
pub(crate) fn confirmed(order: types::Order) -> Option<Order> {
    let types::Order {
        id,
        customer_id,
        status,
        total_cents,
        external_reference: _,
        created_at,
        confirmed_at,
        canceled_at: _,
        version: _,
        items,
    } = order;
    if status != types::OrderStatus::Confirmed {
        return None;
    }
    Some(Order {
        id: order_id(id)?,
        customer_id: CustomerId::stored(signed(customer_id)?),
        status: OrderStatus::Confirmed,
        total_cents,
        created_at,
        confirmed_at: confirmed_at?,
        items: items.iter().map(order_item).collect::<Option<_>>()?,
    })
}

fn order_item(item: &types::OrderItem) -> Option<OrderItem> {
    let &types::OrderItem { product_id, sku: _, name: _, qty, unit_price_cents, subtotal_cents } = item;
    Some(OrderItem { product_id: ProductId::stored(signed(product_id)?), qty, unit_price_cents, subtotal_cents })
}

/// What an upstream found wrong, as our answer shows it.
pub(crate) fn detail(detail: types::Detail) -> Detail {
    let types::Detail { field, message, product_id, requested, available, total_cents } = detail;
    Detail { field, message, product_id, requested, available, total_cents }
}
