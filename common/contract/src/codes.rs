//! Error codes shared by several services.

use crate::ErrorCode;

/// The request does not conform to the contract.
pub const INVALID_REQUEST: ErrorCode = ErrorCode::new(
    400,
    "invalid_request",
    "The request is malformed, or one of its values is invalid. `details` lists the invalid fields.",
);
/// The cursor was issued for a different list or different filters.
pub const INVALID_CURSOR: ErrorCode = ErrorCode::new(
    400,
    "invalid_cursor",
    "The cursor is invalid, or it was issued for a different list or different filters.",
);
/// The credentials are missing or invalid.
pub const UNAUTHORIZED: ErrorCode =
    ErrorCode::new(401, "unauthorized", "The credentials are missing, malformed, expired or incorrect.");
/// The caller is authenticated but lacks permission.
pub const FORBIDDEN: ErrorCode = ErrorCode::new(
    403,
    "forbidden",
    "The caller is authenticated but does not have permission to call this operation.",
);
/// The current version of the resource does not match `If-Match`.
pub const PRECONDITION_FAILED: ErrorCode = ErrorCode::new(
    412,
    "precondition_failed",
    "The `If-Match` header does not match the current version of the resource.",
);
/// The request body was not received within the time limit.
pub const REQUEST_TIMEOUT: ErrorCode = ErrorCode::new(
    408,
    "request_timeout",
    "The request body was not received within 10 seconds. No changes were made.",
);
/// The request body exceeds the size limit.
pub const PAYLOAD_TOO_LARGE: ErrorCode =
    ErrorCode::new(413, "payload_too_large", "The request body is larger than 64 KiB.");
/// The request body is not JSON.
pub const UNSUPPORTED_MEDIA_TYPE: ErrorCode =
    ErrorCode::new(415, "unsupported_media_type", "The `Content-Type` of the request is not `application/json`.");
/// Unexpected server error, which indicates a bug.
pub const INTERNAL: ErrorCode = ErrorCode::new(
    500,
    "internal",
    "An unexpected error occurred on the server. The server logs contain the cause under the request ID.",
);
/// The database cannot be reached or does not respond in time.
pub const UNAVAILABLE: ErrorCode =
    ErrorCode::new(503, "unavailable", "The service is temporarily unavailable. No changes were made.");
/// The connection was lost during a commit, so the outcome is unknown.
pub const OUTCOME_UNKNOWN: ErrorCode = ErrorCode::new(
    503,
    "outcome_unknown",
    "It is unknown whether the change was applied. If the request has an idempotency key, retry it with the same \
     key. Otherwise, check the current state before you retry.",
);
/// The idempotency key was used for a different request.
pub const IDEMPOTENCY_KEY_REUSED: ErrorCode = ErrorCode::new(
    422,
    "idempotency_key_reused",
    "The idempotency key was already used for a request with different content.",
);
/// Another request with the same idempotency key is in flight.
pub const IDEMPOTENCY_IN_PROGRESS: ErrorCode = ErrorCode::new(
    409,
    "idempotency_in_progress",
    "A request with the same idempotency key is still in progress. Retry later.",
);

/// Error codes that every service can return.
pub const EVERYWHERE: &[ErrorCode] = &[
    INVALID_REQUEST,
    UNAUTHORIZED,
    FORBIDDEN,
    REQUEST_TIMEOUT,
    PAYLOAD_TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    INTERNAL,
    UNAVAILABLE,
];
/// Additional error codes of services that list and change resources.
pub const RESOURCES: &[ErrorCode] = &[INVALID_CURSOR, PRECONDITION_FAILED, OUTCOME_UNKNOWN];
/// Additional error codes of services and operations that support idempotency keys.
pub const IDEMPOTENCY: &[ErrorCode] = &[IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_IN_PROGRESS];
/// Error codes of operations that read from the database.
pub const READS: &[ErrorCode] = &[UNAVAILABLE];
/// Error codes of operations that write to the database.
pub const WRITES: &[ErrorCode] = &[UNAVAILABLE, OUTCOME_UNKNOWN];
