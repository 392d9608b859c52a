//! The error codes that more than one service answers with.

use crate::ErrorCode;

/// The request is not as the contract says.
pub const INVALID_REQUEST: ErrorCode = ErrorCode::new(
    400,
    "invalid_request",
    "The request is malformed or a field is not as documented; details name it.",
);
/// The cursor is not one of this list's.
pub const INVALID_CURSOR: ErrorCode =
    ErrorCode::new(400, "invalid_cursor", "The cursor was not made by this list under these filters.");
/// No credentials, or none that hold.
pub const UNAUTHORIZED: ErrorCode =
    ErrorCode::new(401, "unauthorized", "The credentials are missing, malformed, expired or wrong.");
/// A known caller, but not for this operation.
pub const FORBIDDEN: ErrorCode = ErrorCode::new(403, "forbidden", "The caller is known but may not do this.");
/// The resource changed since the caller read it.
pub const PRECONDITION_FAILED: ErrorCode =
    ErrorCode::new(412, "precondition_failed", "If-Match names another version than the current one.");
/// The sender of the body is too slow.
pub const REQUEST_TIMEOUT: ErrorCode =
    ErrorCode::new(408, "request_timeout", "The body did not arrive within 10 seconds; nothing was changed.");
/// The body is over the limit.
pub const PAYLOAD_TOO_LARGE: ErrorCode = ErrorCode::new(413, "payload_too_large", "The body is larger than 64 KiB.");
/// The body is not JSON.
pub const UNSUPPORTED_MEDIA_TYPE: ErrorCode =
    ErrorCode::new(415, "unsupported_media_type", "The body has to be application/json.");
/// A defect of ours.
pub const INTERNAL: ErrorCode =
    ErrorCode::new(500, "internal", "Something went wrong on our side; the request id finds it in the logs.");
/// The database cannot be reached or is too slow.
pub const UNAVAILABLE: ErrorCode =
    ErrorCode::new(503, "unavailable", "The service cannot work at the moment; nothing was changed.");
/// The connection was lost while a change was being committed.
pub const OUTCOME_UNKNOWN: ErrorCode = ErrorCode::new(
    503,
    "outcome_unknown",
    "The change may or may not have been made. Under an idempotency key the same request finds out; without one, look first.",
);
/// The idempotency key was used for another request.
pub const IDEMPOTENCY_KEY_REUSED: ErrorCode =
    ErrorCode::new(422, "idempotency_key_reused", "The idempotency key belongs to a request with other content.");
/// The first request with this key still runs.
pub const IDEMPOTENCY_IN_PROGRESS: ErrorCode =
    ErrorCode::new(409, "idempotency_in_progress", "The first request with this idempotency key is still running.");

/// What every service answers with.
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
/// What every service with lists and changes of its own answers with, besides.
pub const RESOURCES: &[ErrorCode] = &[INVALID_CURSOR, PRECONDITION_FAILED, OUTCOME_UNKNOWN];
/// What every service that honours idempotency keys answers with, besides.
pub const IDEMPOTENCY: &[ErrorCode] = &[IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_IN_PROGRESS];
/// What an operation that reads from the database answers with.
pub const READS: &[ErrorCode] = &[UNAVAILABLE];
/// What an operation that changes the database answers with.
pub const WRITES: &[ErrorCode] = &[UNAVAILABLE, OUTCOME_UNKNOWN];
