//! Error codes of the orchestrator.

use common_contract::{ErrorCode, codes};

/// The customer does not exist or was deleted.
pub const CUSTOMER_NOT_FOUND: ErrorCode =
    ErrorCode::new(404, "customer_not_found", "The customer does not exist or was deleted.");
/// The product does not exist.
pub const PRODUCT_NOT_FOUND: ErrorCode = ErrorCode::new(
    404,
    "product_not_found",
    "At least one product does not exist. `details` lists the missing products.",
);
/// The stock is lower than the ordered quantity.
pub const INSUFFICIENT_STOCK: ErrorCode = ErrorCode::new(
    409,
    "insufficient_stock",
    "The stock of at least one product is lower than the ordered quantity. `details` lists these products with the \
     requested quantity and the available stock.",
);
/// The order was canceled before it was confirmed.
pub const ORDER_CANCELED: ErrorCode =
    ErrorCode::new(409, "order_canceled", "The order was canceled before it could be confirmed.");
/// The order created with this key was canceled, or the request to create the order was abandoned.
pub const IDEMPOTENCY_KEY_SPENT: ErrorCode = ErrorCode::new(
    409,
    "idempotency_key_spent",
    "The idempotency key can no longer be used: the order created with it was canceled, or the request to create \
     the order was abandoned. Use a new key for a new order.",
);
/// Another request with this key is in flight.
pub const IDEMPOTENCY_IN_PROGRESS: ErrorCode = codes::IDEMPOTENCY_IN_PROGRESS;
/// An upstream service rejected the orchestrator's credentials.
pub const UPSTREAM_AUTH: ErrorCode = ErrorCode::new(
    502,
    "upstream_auth",
    "An upstream service rejected the orchestrator's credentials. The caller cannot resolve this error.",
);
/// An upstream service rejected the request, or its response is invalid.
pub const UPSTREAM_INVALID: ErrorCode = ErrorCode::new(
    502,
    "upstream_invalid",
    "An upstream service rejected the request or returned an invalid response.",
);
/// An upstream service is unavailable; this request made no changes.
pub const UPSTREAM_UNAVAILABLE: ErrorCode =
    ErrorCode::new(503, "upstream_unavailable", "An upstream service is unavailable. This request made no changes.");
/// An upstream service did not respond in time; this request made no changes.
pub const UPSTREAM_TIMEOUT: ErrorCode = ErrorCode::new(
    504,
    "upstream_timeout",
    "An upstream service did not respond in time. This request made no changes.",
);
/// The outcome of the create request is unknown; the request was abandoned.
pub const CREATE_OUTCOME_UNKNOWN: ErrorCode = ErrorCode::new(
    504,
    "create_outcome_unknown",
    "The outcome of the request to create the order could not be determined in time. The request was abandoned: if \
     it created an order, that order was canceled; otherwise, no order can be created with this idempotency key.",
);
/// The order could not be confirmed and was canceled.
pub const CONFIRM_FAILED: ErrorCode =
    ErrorCode::new(503, "confirm_failed", "The order could not be confirmed and was canceled.");
/// The order could not be confirmed in time and was canceled.
pub const CONFIRM_TIMEOUT: ErrorCode =
    ErrorCode::new(504, "confirm_failed", "The order could not be confirmed in time and was canceled.");
/// The order could neither be confirmed nor canceled.
pub const COMPENSATION_PENDING: ErrorCode = ErrorCode::new(
    504,
    "compensation_pending",
    "The order could be neither confirmed nor canceled in time. An unconfirmed order is canceled automatically when \
     its reservation expires. To confirm or cancel it sooner, retry with the same idempotency key.",
);

/// Errors of create-and-confirm, besides those of every operation with an idempotency key.
pub const SAGA: &[ErrorCode] = &[
    CUSTOMER_NOT_FOUND,
    PRODUCT_NOT_FOUND,
    INSUFFICIENT_STOCK,
    ORDER_CANCELED,
    IDEMPOTENCY_KEY_SPENT,
    UPSTREAM_AUTH,
    UPSTREAM_INVALID,
    UPSTREAM_UNAVAILABLE,
    UPSTREAM_TIMEOUT,
    CREATE_OUTCOME_UNKNOWN,
    CONFIRM_FAILED,
    CONFIRM_TIMEOUT,
    COMPENSATION_PENDING,
];
/// All error codes of the orchestrator.
pub const ALL: &[&[ErrorCode]] = &[codes::EVERYWHERE, codes::IDEMPOTENCY, SAGA];
