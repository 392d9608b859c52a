//! The error codes of the orchestrator service, to match on: `fault.has_code(codes::UNAUTHORIZED)`.

outbound::error_codes! {
    "../../../specs/orchestrator.json" at "/components/schemas/FailureReason/properties/code/x-extensible-enum":
    /// The request is malformed or a field is not as documented; details name it.
    INVALID_REQUEST = "invalid_request";
    /// The credentials are missing, malformed, expired or wrong.
    UNAUTHORIZED = "unauthorized";
    /// The body is larger than allowed.
    PAYLOAD_TOO_LARGE = "payload_too_large";
    /// The body has to be application/json.
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type";
    /// Something went wrong on our side; the request id finds it in the logs.
    INTERNAL = "internal";
    /// The service cannot work at the moment; nothing was changed.
    UNAVAILABLE = "unavailable";
    /// The idempotency key belongs to a request with other content.
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused";
    /// The first request with this idempotency key is still running.
    IDEMPOTENCY_IN_PROGRESS = "idempotency_in_progress";
    /// There is no customer with this id, or it was deleted.
    CUSTOMER_NOT_FOUND = "customer_not_found";
    /// There is no product with this id; details name it.
    PRODUCT_NOT_FOUND = "product_not_found";
    /// There is less stock than ordered; details name each product, what was requested and what is available.
    INSUFFICIENT_STOCK = "insufficient_stock";
    /// Somebody canceled the order before it could be confirmed.
    ORDER_CANCELED = "order_canceled";
    /// An earlier request with this key was undone; a new order needs a new key.
    IDEMPOTENCY_KEY_SPENT = "idempotency_key_spent";
    /// An upstream service refused our credentials; the caller can do nothing.
    UPSTREAM_AUTH = "upstream_auth";
    /// An upstream service refused the request or answered what was not understood.
    UPSTREAM_INVALID = "upstream_invalid";
    /// An upstream service could not be reached; nothing was done.
    UPSTREAM_UNAVAILABLE = "upstream_unavailable";
    /// An upstream service did not answer in time; nothing was done.
    UPSTREAM_TIMEOUT = "upstream_timeout";
    /// Whether the order was made could not be found out in time; it was given up.
    CREATE_OUTCOME_UNKNOWN = "create_outcome_unknown";
    /// The order could not be confirmed and was canceled.
    CONFIRM_FAILED = "confirm_failed";
    /// The order could neither be confirmed nor canceled in time; it expires by itself, or the same key resolves it.
    COMPENSATION_PENDING = "compensation_pending";
}
