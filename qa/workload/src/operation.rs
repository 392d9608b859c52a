//! The operations that clients call, by the names that the documents give them.

use std::fmt;

/// One operation of one of the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Create an order.
    OrderCreate,
    /// Confirm an order.
    OrderConfirm,
    /// Cancel an order.
    OrderCancel,
    /// Fetch an order.
    OrderView,
    /// List orders.
    OrderList,
    /// Create an order and confirm it.
    OrderCreateAndConfirm,
    /// Change a product.
    ProductUpdate,
    /// Fetch a product.
    ProductView,
    /// Adjust a product's stock.
    StockAdjustmentCreate,
    /// Create a customer.
    CustomerCreate,
    /// Replace a customer.
    CustomerUpdate,
    /// Delete a customer.
    CustomerDelete,
    /// Fetch a customer.
    CustomerView,
    /// List customers.
    CustomerList,
}

impl Operation {
    /// Its `operationId`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OrderCreate => "order_create",
            Self::OrderConfirm => "order_confirm",
            Self::OrderCancel => "order_cancel",
            Self::OrderView => "order_view",
            Self::OrderList => "order_list",
            Self::OrderCreateAndConfirm => "order_create_and_confirm",
            Self::ProductUpdate => "product_update",
            Self::ProductView => "product_view",
            Self::StockAdjustmentCreate => "stock_adjustment_create",
            Self::CustomerCreate => "customer_create",
            Self::CustomerUpdate => "customer_update",
            Self::CustomerDelete => "customer_delete",
            Self::CustomerView => "customer_view",
            Self::CustomerList => "customer_list",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
