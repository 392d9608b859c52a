//! Error codes of the orchestrator.

use common_contract::{ErrorCode, codes};

/// The customer does not exist or was deleted.
pub const CUSTOMER_NOT_FOUND: ErrorCode =
    ErrorCode::new(404, "customer_not_found", "No customer with this ID exists, or it was deleted.");
/// The product does not exist.
pub const PRODUCT_NOT_FOUND: ErrorCode =
    ErrorCode::new(404, "product_not_found", "A product does not exist. `details` lists the missing products.");
/// The stock is lower than the ordered quantity.
pub const INSUFFICIENT_STOCK: ErrorCode = ErrorCode::new(
    409,
    "insufficient_stock",
    "The stock of at least one product is lower than the ordered quantity. `details` lists these products with the \
     requested and the available quantity.",
);
/// The order was canceled before it was confirmed.
pub const ORDER_CANCELED: ErrorCode =
    ErrorCode::new(409, "order_canceled", "The order was canceled before it could be confirmed.");
/// The order of this key was canceled, or its create abandoned.
pub const IDEMPOTENCY_KEY_SPENT: ErrorCode = ErrorCode::new(
    409,
    "idempotency_key_spent",
    "An earlier request with this idempotency key was compensated: its order is canceled, or can no longer be created. \
     Use a new key for a new order.",
);
/// Another request with this key is in flight.
pub const IDEMPOTENCY_IN_PROGRESS: ErrorCode = codes::IDEMPOTENCY_IN_PROGRESS;
/// An upstream service rejected the orchestrator's credentials.
pub const UPSTREAM_AUTH: ErrorCode = ErrorCode::new(
    502,
    "upstream_auth",
    "An upstream service rejected the orchestrator's credentials. The caller cannot resolve this.",
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
/// The outcome of the create is unknown; it was abandoned.
pub const CREATE_OUTCOME_UNKNOWN: ErrorCode = ErrorCode::new(
    504,
    "create_outcome_unknown",
    "The outcome of creating the order could not be determined in time. The create was abandoned.",
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
    "The order could be neither confirmed nor canceled in time. It expires automatically; retrying with the same \
     idempotency key resolves it sooner.",
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
