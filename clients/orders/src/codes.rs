//! The error codes of the orders service, to match on: `fault.has_code(codes::UNAUTHORIZED)`.

outbound::error_codes! {
    "../../../specs/orders.json" at "/components/schemas/Error/properties/error_code/x-extensible-enum":
    /// The request is malformed or a field is not as documented; details name it.
    INVALID_REQUEST = "invalid_request";
    /// The credentials are missing, malformed, expired or wrong.
    UNAUTHORIZED = "unauthorized";
    /// The caller is known but may not do this.
    FORBIDDEN = "forbidden";
    /// The body is larger than allowed.
    PAYLOAD_TOO_LARGE = "payload_too_large";
    /// The body has to be application/json.
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type";
    /// Something went wrong on our side; the request id finds it in the logs.
    INTERNAL = "internal";
    /// The service cannot work at the moment; nothing was changed.
    UNAVAILABLE = "unavailable";
    /// The cursor was not made by this list under these filters.
    INVALID_CURSOR = "invalid_cursor";
    /// If-Match names another version than the current one.
    PRECONDITION_FAILED = "precondition_failed";
    /// The change may or may not have been made; the same request with the same idempotency key finds out.
    OUTCOME_UNKNOWN = "outcome_unknown";
    /// The idempotency key belongs to a request with other content.
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused";
    /// The first request with this idempotency key is still running.
    IDEMPOTENCY_IN_PROGRESS = "idempotency_in_progress";
    /// Another product has this sku.
    SKU_TAKEN = "sku_taken";
    /// There is no product with this id; details name it.
    PRODUCT_NOT_FOUND = "product_not_found";
    /// The adjustment would take the stock below 0 or above 1,000,000,000.
    STOCK_OUT_OF_RANGE = "stock_out_of_range";
    /// The stock is not `expected_stock` any more; details give the current one.
    STOCK_CHANGED = "stock_changed";
    /// There is no customer with this id, or it was deleted.
    CUSTOMER_NOT_FOUND = "customer_not_found";
    /// The customer could not be checked; nothing was done, and the request may be sent again.
    CUSTOMER_SERVICE_UNAVAILABLE = "customer_service_unavailable";
    /// There is less stock than ordered; details name each product, what was requested and what is available.
    INSUFFICIENT_STOCK = "insufficient_stock";
    /// The total is not `expected_total_cents`; details give the current one.
    TOTAL_CHANGED = "total_changed";
    /// The total does not fit a 64-bit number of cents.
    TOTAL_OUT_OF_RANGE = "total_out_of_range";
    /// There is no such order.
    ORDER_NOT_FOUND = "order_not_found";
    /// The order was canceled, and that is final.
    ORDER_CANCELED = "order_canceled";
    /// The order was confirmed more than 10 minutes ago and cannot be canceled any more.
    CANCEL_WINDOW_PASSED = "cancel_window_passed";
    /// The caller gave this key up; no order is made under it.
    IDEMPOTENCY_KEY_ABANDONED = "idempotency_key_abandoned";
}
