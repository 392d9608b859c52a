//! Error codes of the Orders API.

use common_contract::{ErrorCode, ErrorCodes, codes};
use common_http::ErrorBody;

/// The SKU is in use.
pub const SKU_TAKEN: ErrorCode = ErrorCode::new(409, "sku_taken", "Another product already uses this SKU.");
/// The product does not exist.
pub const PRODUCT_NOT_FOUND: ErrorCode = ErrorCode::new(
    404,
    "product_not_found",
    "At least one product does not exist. `details` lists the missing products.",
);
/// The adjustment would exceed the limits of the stock.
pub const STOCK_OUT_OF_RANGE: ErrorCode = ErrorCode::new(
    409,
    "stock_out_of_range",
    "The adjustment would reduce the stock below 0 or raise it above 1,000,000,000 units.",
);
/// The stock differs from `expected_stock`.
pub const STOCK_CHANGED: ErrorCode = ErrorCode::new(
    409,
    "stock_changed",
    "The current stock differs from `expected_stock`. `details` contains the current stock.",
);
/// The customer does not exist or was deleted.
pub const CUSTOMER_NOT_FOUND: ErrorCode =
    ErrorCode::new(404, "customer_not_found", "The customer does not exist or was deleted.");
/// The Customers API is unreachable.
pub const CUSTOMER_SERVICE_UNAVAILABLE: ErrorCode = ErrorCode::new(
    503,
    "customer_service_unavailable",
    "The Customers API is unavailable. No changes were made. The request can be retried.",
);
/// The Customers API did not respond in time.
pub const CUSTOMER_SERVICE_TIMEOUT: ErrorCode = ErrorCode::new(
    504,
    "customer_service_unavailable",
    "The Customers API did not respond in time. No changes were made. The request can be retried.",
);
/// Errors of checking the customer with the Customers API.
pub const CUSTOMER_CHECK: &[ErrorCode] = &[CUSTOMER_NOT_FOUND, CUSTOMER_SERVICE_UNAVAILABLE, CUSTOMER_SERVICE_TIMEOUT];
/// The stock is lower than the ordered quantity.
pub const INSUFFICIENT_STOCK: ErrorCode = ErrorCode::new(
    409,
    "insufficient_stock",
    "The stock of at least one product is lower than the ordered quantity. `details` lists these products with the \
     requested quantity and the available stock.",
);
/// The total differs from `expected_total_cents`.
pub const TOTAL_CHANGED: ErrorCode = ErrorCode::new(
    409,
    "total_changed",
    "The total of the order differs from `expected_total_cents`. `details` contains the current total.",
);
/// The total overflows.
pub const TOTAL_OUT_OF_RANGE: ErrorCode = ErrorCode::new(
    409,
    "total_out_of_range",
    "The total of the order, in cents, exceeds the range of a 64-bit integer.",
);
/// The order does not exist.
pub const ORDER_NOT_FOUND: ErrorCode = ErrorCode::new(404, "order_not_found", "The order does not exist.");
/// The order is canceled.
pub const ORDER_CANCELED: ErrorCode =
    ErrorCode::new(409, "order_canceled", "The order is canceled and can no longer be confirmed.");
/// The cancellation window has passed.
pub const CANCEL_WINDOW_PASSED: ErrorCode = ErrorCode::new(
    409,
    "cancel_window_passed",
    "The order was confirmed more than 10 minutes ago and can no longer be canceled.",
);
/// The caller abandoned the create request with this key.
pub const IDEMPOTENCY_KEY_ABANDONED: ErrorCode = ErrorCode::new(
    409,
    "idempotency_key_abandoned",
    "The create request with this idempotency key was abandoned. No order can be created with this key.",
);

/// Error codes of this API.
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

/// Error body of this API.
pub type Error = ErrorBody<Codes>;
