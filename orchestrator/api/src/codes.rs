//! The error codes of the orchestrator.

use common_contract::{ErrorCode, codes};

/// There is no such customer.
pub const CUSTOMER_NOT_FOUND: ErrorCode =
    ErrorCode::new(404, "customer_not_found", "There is no customer with this id, or it was deleted.");
/// There is no such product.
pub const PRODUCT_NOT_FOUND: ErrorCode =
    ErrorCode::new(404, "product_not_found", "There is no product with this id; details name it.");
/// There is not enough on the shelf.
pub const INSUFFICIENT_STOCK: ErrorCode = ErrorCode::new(
    409,
    "insufficient_stock",
    "There is less stock than ordered; details name each product, what was requested and what is available.",
);
/// Somebody canceled the order before it was confirmed.
pub const ORDER_CANCELED: ErrorCode =
    ErrorCode::new(409, "order_canceled", "Somebody canceled the order before it could be confirmed.");
/// The key's order was undone.
pub const IDEMPOTENCY_KEY_SPENT: ErrorCode = ErrorCode::new(
    409,
    "idempotency_key_spent",
    "An earlier request with this key was undone; a new order needs a new key.",
);
/// Another request with this key is at work.
pub const IDEMPOTENCY_IN_PROGRESS: ErrorCode = codes::IDEMPOTENCY_IN_PROGRESS;
/// An upstream service does not accept this service's credentials.
pub const UPSTREAM_AUTH: ErrorCode =
    ErrorCode::new(502, "upstream_auth", "An upstream service refused our credentials; the caller can do nothing.");
/// An upstream service answered what this one does not understand.
pub const UPSTREAM_INVALID: ErrorCode = ErrorCode::new(
    502,
    "upstream_invalid",
    "An upstream service refused the request or answered what was not understood.",
);
/// An upstream service could not be reached; this request did nothing.
pub const UPSTREAM_UNAVAILABLE: ErrorCode =
    ErrorCode::new(503, "upstream_unavailable", "An upstream service could not be reached; this request did nothing.");
/// An upstream service did not answer in time; this request did nothing.
pub const UPSTREAM_TIMEOUT: ErrorCode =
    ErrorCode::new(504, "upstream_timeout", "An upstream service did not answer in time; this request did nothing.");
/// Whether the order was made could not be found out; it was given up.
pub const CREATE_OUTCOME_UNKNOWN: ErrorCode = ErrorCode::new(
    504,
    "create_outcome_unknown",
    "Whether the order was made could not be found out in time; it was given up.",
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
    "The order could neither be confirmed nor canceled in time; it expires by itself, or the same key resolves it.",
);

/// How create-and-confirm fails, besides what every operation with a key answers.
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
/// Every code the orchestrator answers with.
pub const ALL: &[&[ErrorCode]] = &[codes::EVERYWHERE, codes::IDEMPOTENCY, SAGA];
