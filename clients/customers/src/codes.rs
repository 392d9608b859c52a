//! The error codes of the customers service, to match on: `fault.has_code(codes::UNAUTHORIZED)`.

outbound::error_codes! {
    "../../../specs/customers.json" at "/components/schemas/Error/properties/error_code/x-extensible-enum":
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
    /// Another customer has this email address, letter case aside.
    EMAIL_TAKEN = "email_taken";
    /// There is no customer with this id, or it was deleted.
    CUSTOMER_NOT_FOUND = "customer_not_found";
}
