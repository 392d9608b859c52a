//! The error codes of this API.

use common_contract::{ErrorCode, ErrorCodes, codes};
use common_http::ErrorBody;

/// The sku belongs to another product.
pub const SKU_TAKEN: ErrorCode = ErrorCode::new(409, "sku_taken", "Another product has this sku.");
/// There is no such product.
pub const PRODUCT_NOT_FOUND: ErrorCode =
    ErrorCode::new(404, "product_not_found", "There is no product with this id; details name it.");
/// The stock would leave its limits.
pub const STOCK_OUT_OF_RANGE: ErrorCode =
    ErrorCode::new(409, "stock_out_of_range", "The adjustment would take the stock below 0 or above 1,000,000,000.");
/// The stock is not what the caller saw.
pub const STOCK_CHANGED: ErrorCode =
    ErrorCode::new(409, "stock_changed", "The stock is not `expected_stock` any more; details give the current one.");
/// There is no such customer.
pub const CUSTOMER_NOT_FOUND: ErrorCode =
    ErrorCode::new(404, "customer_not_found", "There is no customer with this id, or it was deleted.");
/// The customers service did not answer.
pub const CUSTOMER_SERVICE_UNAVAILABLE: ErrorCode = ErrorCode::new(
    503,
    "customer_service_unavailable",
    "The customer could not be checked; nothing was done, and the request may be sent again.",
);
/// The customers service did not answer in time.
pub const CUSTOMER_SERVICE_TIMEOUT: ErrorCode = ErrorCode::new(
    504,
    "customer_service_unavailable",
    "The customer could not be checked in time; nothing was done, and the request may be sent again.",
);
/// What comes of asking the customers service for the customer.
pub const CUSTOMER_CHECK: &[ErrorCode] = &[CUSTOMER_NOT_FOUND, CUSTOMER_SERVICE_UNAVAILABLE, CUSTOMER_SERVICE_TIMEOUT];
/// There is not enough on the shelf.
pub const INSUFFICIENT_STOCK: ErrorCode = ErrorCode::new(
    409,
    "insufficient_stock",
    "There is less stock than ordered; details name each product, what was requested and what is available.",
);
/// The order would cost something else than the caller expects.
pub const TOTAL_CHANGED: ErrorCode =
    ErrorCode::new(409, "total_changed", "The total is not `expected_total_cents`; details give the current one.");
/// The total is too large a number.
pub const TOTAL_OUT_OF_RANGE: ErrorCode =
    ErrorCode::new(409, "total_out_of_range", "The total does not fit a 64-bit number of cents.");
/// There is no such order.
pub const ORDER_NOT_FOUND: ErrorCode = ErrorCode::new(404, "order_not_found", "There is no such order.");
/// The order was canceled.
pub const ORDER_CANCELED: ErrorCode =
    ErrorCode::new(409, "order_canceled", "The order was canceled, and that is final.");
/// It is too late to cancel.
pub const CANCEL_WINDOW_PASSED: ErrorCode = ErrorCode::new(
    409,
    "cancel_window_passed",
    "The order was confirmed more than 10 minutes ago and cannot be canceled any more.",
);
/// The caller gave the key up.
pub const IDEMPOTENCY_KEY_ABANDONED: ErrorCode =
    ErrorCode::new(409, "idempotency_key_abandoned", "The caller gave this key up; no order is made under it.");

/// The codes of this API.
#[derive(Debug)]
pub enum Codes {}

impl ErrorCodes for Codes {
    const ALL: &'static [&'static [ErrorCode]] = &[
        codes::EVERYWHERE,
        codes::RESOURCES,
        codes::IDEMPOTENCY,
        CUSTOMER_CHECK,
        &[
            SKU_TAKEN,
            PRODUCT_NOT_FOUND,
            STOCK_OUT_OF_RANGE,
            STOCK_CHANGED,
            INSUFFICIENT_STOCK,
            TOTAL_CHANGED,
            TOTAL_OUT_OF_RANGE,
            ORDER_NOT_FOUND,
            ORDER_CANCELED,
            CANCEL_WINDOW_PASSED,
            IDEMPOTENCY_KEY_ABANDONED,
        ],
    ];
}

/// The error body of this API.
pub type Error = ErrorBody<Codes>;
