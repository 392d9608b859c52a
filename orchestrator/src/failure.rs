//! Saga failures: error codes for the faults in each step, and the response to the caller.

use std::time::Duration;

use client_common::{Coded, Fault};
use common_contract::{ErrorCode, Failure};
use orchestrator_api::{self as api, Compensated, FailureReason, Step};
use orders_client::codes;

use crate::wire;

/// `Retry-After` value for transient failures.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A saga that ended without a confirmed order.
#[derive(Debug)]
pub(crate) struct SagaFailure {
    pub(crate) step: Step,
    /// Number of attempts of the failed step.
    pub(crate) attempts: u32,
    pub(crate) reason: Failure,
    /// `Pending` while an order may remain. A successful compensation changes this value.
    pub(crate) compensated: Compensated,
    pub(crate) order_id: Option<i64>,
    /// Whether the create key was abandoned, so that no order can be created with it.
    pub(crate) key_spent: bool,
}

impl SagaFailure {
    /// Creates a failure that requires no compensation.
    pub(crate) fn new(step: Step, attempts: u32, reason: Failure) -> Self {
        Self { step, attempts, reason, compensated: Compensated::NotNeeded, order_id: None, key_spent: false }
    }

    /// Replaces the reason with `code` and its documented message.
    pub(crate) fn with_code(self, code: ErrorCode) -> Self {
        Self { reason: documented(code), ..self }
    }

    /// Returns whether this run must compensate: an order may remain, and no other run with the same key is in flight
    /// that would resolve the order.
    pub(crate) fn needs_compensation(&self) -> bool {
        self.compensated == Compensated::Pending && self.reason.code != api::IDEMPOTENCY_IN_PROGRESS
    }

    /// Returns the failure to respond with, and the failure reason for the response body.
    pub(crate) fn into_response(self) -> (Failure, FailureReason) {
        let Self { step, attempts, mut reason, compensated, order_id, key_spent } = self;
        let code = reason.code;
        let pending = compensated == Compensated::Pending;
        // These two codes are reported even if an order may remain.
        if pending && ![api::IDEMPOTENCY_IN_PROGRESS, api::UPSTREAM_AUTH].contains(&code) {
            reason = documented(api::COMPENSATION_PENDING);
        }
        let is_key_usable = compensated == Compensated::NotNeeded && !key_spent;
        let is_retriable = pending || is_key_usable && is_transient(code);
        if is_retriable {
            reason = reason.retry_after(RETRY_AFTER);
        }
        let body = FailureReason {
            code: reason.code.name.to_owned(),
            message: reason.message.clone(),
            step,
            attempts,
            order_id: order_id.and_then(|id| id.try_into().ok()),
            compensated,
            // A retry after insufficient stock is safe. It has no `Retry-After`, because a delay alone does not make
            // success more likely.
            safe_to_retry: is_retriable || is_key_usable && code == api::INSUFFICIENT_STOCK,
            details: reason.details.clone(),
        };
        (reason, body)
    }
}

/// Returns whether a retry may succeed soon, provided that the failed request had no effect.
fn is_transient(code: ErrorCode) -> bool {
    [api::IDEMPOTENCY_IN_PROGRESS, api::UPSTREAM_AUTH, api::UPSTREAM_UNAVAILABLE, api::UPSTREAM_TIMEOUT].contains(&code)
}

/// Creates a failure with `code` and its documented message.
pub(crate) fn documented(code: ErrorCode) -> Failure {
    Failure::new(code, code.meaning)
}

/// Returns the error code for a fault in the validate step.
pub(crate) fn validate_code(fault: &Fault<customers_client::types::Error>) -> ErrorCode {
    if fault.has_code(codes::CUSTOMER_NOT_FOUND) { api::CUSTOMER_NOT_FOUND } else { common_code(fault) }
}

/// Returns the failure for a fault in the create step. Includes the upstream message and details only for product
/// errors.
pub(crate) fn create_failure(fault: &Fault<orders_client::types::Error>) -> Failure {
    let code = match fault.code() {
        Some(codes::CUSTOMER_NOT_FOUND) => api::CUSTOMER_NOT_FOUND,
        Some(codes::PRODUCT_NOT_FOUND) => api::PRODUCT_NOT_FOUND,
        Some(codes::INSUFFICIENT_STOCK) => api::INSUFFICIENT_STOCK,
        Some(codes::IDEMPOTENCY_KEY_REUSED) => common_contract::codes::IDEMPOTENCY_KEY_REUSED,
        Some(codes::IDEMPOTENCY_KEY_ABANDONED) => api::IDEMPOTENCY_KEY_SPENT,
        _ => common_code(fault),
    };
    match fault.body() {
        Some(body) if [api::PRODUCT_NOT_FOUND, api::INSUFFICIENT_STOCK].contains(&code) => {
            let details = body.details.iter().cloned().map(wire::detail).collect();
            Failure { details, ..Failure::new(code, &body.message) }
        }
        _ => documented(code),
    }
}

/// Returns the error code for a fault in the confirm step.
pub(crate) fn confirm_code(fault: &Fault<orders_client::types::Error>) -> ErrorCode {
    match common_code(fault) {
        _ if fault.has_code(codes::ORDER_CANCELED) => api::ORDER_CANCELED,
        api::UPSTREAM_UNAVAILABLE => api::CONFIRM_FAILED,
        api::UPSTREAM_TIMEOUT => api::CONFIRM_TIMEOUT,
        code => code,
    }
}

/// Returns the error code for a fault while looking up an earlier order. A rejected lookup does not prove that no order
/// exists, so the rejection is reported as `UPSTREAM_UNAVAILABLE`.
pub(crate) fn lookup_code(fault: &Fault<orders_client::types::Error>) -> ErrorCode {
    match common_code(fault) {
        api::UPSTREAM_INVALID => api::UPSTREAM_UNAVAILABLE,
        code => code,
    }
}

/// Returns the error code for a fault if the step does not override the code.
fn common_code<E: Coded>(fault: &Fault<E>) -> ErrorCode {
    match fault {
        Fault::TimedOut => api::UPSTREAM_TIMEOUT,
        Fault::Answered { status: 401 | 403, .. } => api::UPSTREAM_AUTH,
        fault if fault.has_code(codes::IDEMPOTENCY_IN_PROGRESS) => api::IDEMPOTENCY_IN_PROGRESS,
        fault if fault.is_transient() => api::UPSTREAM_UNAVAILABLE,
        _ => api::UPSTREAM_INVALID,
    }
}

#[cfg(test)]
mod tests {
    use common_contract::Detail;
    use common_contract::codes::IDEMPOTENCY_KEY_REUSED;

    use super::*;

    const ORDERS_MESSAGE: &str = "message of the orders service";

    /// Creates an error response of an upstream service, as the error type of either client.
    fn error_response<E: From<Body>>(status: u16, code: &'static str) -> Fault<E> {
        Fault::Answered { status, retry_after: None, body: Some(E::from(Body(code))) }
    }

    struct Body(&'static str);

    impl From<Body> for orders_client::types::Error {
        fn from(Body(code): Body) -> Self {
            let detail = orders_client::types::Detail::builder().available(2);
            let body = Self::builder().message(ORDERS_MESSAGE).details([detail]);
            body.error_code(code.to_owned()).request_id("").try_into().unwrap()
        }
    }

    impl From<Body> for customers_client::types::Error {
        fn from(Body(code): Body) -> Self {
            let body = Self::builder().message("message of the customers service");
            body.error_code(code.to_owned()).request_id("").try_into().unwrap()
        }
    }

    /// Faults, each with its error code in steps that do not override the code.
    fn common_faults<E: From<Body>>() -> [(Fault<E>, ErrorCode); 11] {
        [
            (Fault::NotSent, api::UPSTREAM_UNAVAILABLE),
            (Fault::Broken, api::UPSTREAM_UNAVAILABLE),
            (error_response(500, "internal"), api::UPSTREAM_UNAVAILABLE),
            (error_response(503, "unavailable"), api::UPSTREAM_UNAVAILABLE),
            (Fault::TimedOut, api::UPSTREAM_TIMEOUT),
            (error_response(401, "unauthorized"), api::UPSTREAM_AUTH),
            (Fault::Answered { status: 403, retry_after: None, body: None }, api::UPSTREAM_AUTH),
            (error_response(409, "idempotency_in_progress"), api::IDEMPOTENCY_IN_PROGRESS),
            (error_response(400, "invalid_request"), api::UPSTREAM_INVALID),
            (error_response(404, "order_not_found"), api::UPSTREAM_INVALID),
            (Fault::Invalid(String::new()), api::UPSTREAM_INVALID),
        ]
    }

    fn orders_details() -> Vec<Detail> {
        vec![Detail { available: Some(2), ..Detail::default() }]
    }

    /// Asserts that the failure has this code, and that it includes the orders service's message and details only for
    /// product errors.
    #[track_caller]
    fn assert_failure(failure: &Failure, code: ErrorCode) {
        let (message, details) = match code {
            api::PRODUCT_NOT_FOUND | api::INSUFFICIENT_STOCK => (ORDERS_MESSAGE, orders_details()),
            code => (code.meaning, Vec::new()),
        };
        assert_eq!((failure.code, &*failure.message, &failure.details), (code, message, &details));
    }

    #[test]
    fn validate_passes_on_only_customer_not_found() {
        for (fault, code) in common_faults() {
            assert_eq!(validate_code(&fault), code);
        }
        assert_eq!(validate_code(&error_response(404, "customer_not_found")), api::CUSTOMER_NOT_FOUND);
    }

    #[test]
    fn create_passes_on_refusals() {
        let refusals = [
            (404, "customer_not_found", api::CUSTOMER_NOT_FOUND),
            (404, "product_not_found", api::PRODUCT_NOT_FOUND),
            (409, "insufficient_stock", api::INSUFFICIENT_STOCK),
            (422, "idempotency_key_reused", IDEMPOTENCY_KEY_REUSED),
            (409, "idempotency_key_abandoned", api::IDEMPOTENCY_KEY_SPENT),
        ];
        let refusals = refusals.map(|(status, name, code)| (error_response(status, name), code));
        for (fault, code) in common_faults().into_iter().chain(refusals) {
            assert_failure(&create_failure(&fault), code);
        }
    }

    #[test]
    fn confirm_distinguishes_timeout_from_failure() {
        for (fault, code) in common_faults() {
            let code = match code {
                api::UPSTREAM_UNAVAILABLE => api::CONFIRM_FAILED,
                api::UPSTREAM_TIMEOUT => api::CONFIRM_TIMEOUT,
                code => code,
            };
            assert_eq!(confirm_code(&fault), code);
        }
        assert_eq!(confirm_code(&error_response(409, "order_canceled")), api::ORDER_CANCELED);
    }

    #[test]
    fn refused_lookup_is_reported_as_unavailable() {
        for (fault, code) in common_faults() {
            let code = if code == api::UPSTREAM_INVALID { api::UPSTREAM_UNAVAILABLE } else { code };
            assert_eq!(lookup_code(&fault), code);
        }
    }

    /// All failure reasons, each with its status, its code, and whether a retry is safe if nothing was changed.
    fn all_reasons() -> [(Failure, u16, &'static str, bool); 14] {
        let product_error = |code: ErrorCode| create_failure(&error_response(code.status, code.name));
        [
            (documented(api::CUSTOMER_NOT_FOUND), 404, "customer_not_found", false),
            (product_error(api::PRODUCT_NOT_FOUND), 404, "product_not_found", false),
            (product_error(api::INSUFFICIENT_STOCK), 409, "insufficient_stock", true),
            (documented(IDEMPOTENCY_KEY_REUSED), 422, "idempotency_key_reused", false),
            (documented(api::IDEMPOTENCY_KEY_SPENT), 409, "idempotency_key_spent", false),
            (documented(api::IDEMPOTENCY_IN_PROGRESS), 409, "idempotency_in_progress", true),
            (documented(api::ORDER_CANCELED), 409, "order_canceled", false),
            (documented(api::UPSTREAM_AUTH), 502, "upstream_auth", true),
            (documented(api::UPSTREAM_INVALID), 502, "upstream_invalid", false),
            (documented(api::UPSTREAM_UNAVAILABLE), 503, "upstream_unavailable", true),
            (documented(api::UPSTREAM_TIMEOUT), 504, "upstream_timeout", true),
            (documented(api::CREATE_OUTCOME_UNKNOWN), 504, "create_outcome_unknown", false),
            (documented(api::CONFIRM_FAILED), 503, "confirm_failed", false),
            (documented(api::CONFIRM_TIMEOUT), 504, "confirm_failed", false),
        ]
    }

    fn response(reason: Failure, compensated: Compensated, key_spent: bool) -> (Failure, FailureReason) {
        let failed = SagaFailure { compensated, key_spent, ..SagaFailure::new(Step::Create, 3, reason) };
        let (failure, body) = failed.into_response();
        // Insufficient stock has no `Retry-After`: a delay does not make a retry more likely to succeed.
        let has_retry_after = body.safe_to_retry && failure.code != api::INSUFFICIENT_STOCK;
        assert_eq!(failure.retry_after, has_retry_after.then_some(Duration::from_secs(1)));
        assert_eq!((body.step, body.attempts, body.compensated), (Step::Create, 3, compensated));
        assert_eq!(
            (&*body.code, &body.message, &body.details),
            (failure.code.name, &failure.message, &failure.details)
        );
        assert!(!failure.message.is_empty());
        (failure, body)
    }

    #[test]
    fn without_effects_the_reason_decides_whether_a_retry_is_safe() {
        for (reason, status, code, is_safe) in all_reasons() {
            let expected = reason.code;
            let (failure, body) = response(reason, Compensated::NotNeeded, false);
            assert_failure(&failure, expected);
            assert_eq!((failure.code.status, failure.code.name, body.safe_to_retry), (status, code, is_safe));
        }
    }

    #[test]
    fn spent_key_is_not_safe_to_retry() {
        for compensated in [Compensated::NotNeeded, Compensated::Done] {
            for (reason, status, code, _) in all_reasons() {
                let (failure, body) = response(reason, compensated, true);
                assert_eq!((failure.code.status, failure.code.name, body.safe_to_retry), (status, code, false));
            }
        }
    }

    #[test]
    fn pending_compensation_is_safe_to_retry() {
        for (reason, status, code, _) in all_reasons() {
            let expected = match reason.code {
                api::IDEMPOTENCY_IN_PROGRESS | api::UPSTREAM_AUTH => (status, code),
                _ => (504, "compensation_pending"),
            };
            let (failure, body) = response(reason, Compensated::Pending, false);
            assert_eq!((failure.code.status, failure.code.name, body.safe_to_retry), (expected.0, expected.1, true));
            assert_eq!(failure.details, []);
        }
    }

    #[test]
    fn failed_step_and_order_id_are_reported() {
        for step in [Step::Validate, Step::Create, Step::Confirm] {
            let failed =
                SagaFailure { order_id: Some(7), ..SagaFailure::new(step, 1, documented(api::UPSTREAM_TIMEOUT)) };
            let body = failed.into_response().1;
            assert_eq!((body.step, body.order_id), (step, 7_i64.try_into().ok()));
        }
    }
}
