//! Why and how a saga fails: error codes for the faults of each step, and the answer to the caller.

use std::time::Duration;

use client_common::{Coded, Fault};
use common_contract::{ErrorCode, Failure};
use orchestrator_api::{self as api, Compensated, FailureReason, Step};
use orders_client::codes;

use crate::wire;

/// `Retry-After` of a failure that may pass.
const SOON: Duration = Duration::from_secs(1);

/// A saga that ended without a confirmed order.
#[derive(Debug)]
pub(crate) struct SagaFailure {
    pub(crate) step: Step,
    /// Attempts of that step.
    pub(crate) attempts: u32,
    pub(crate) reason: Failure,
    /// `Pending` where an order may be left, until a compensation succeeds.
    pub(crate) compensated: Compensated,
    pub(crate) order_id: Option<i64>,
    /// Whether the create key is abandoned: no order can be created under it any more.
    pub(crate) key_spent: bool,
}

impl SagaFailure {
    /// A failure that leaves nothing to compensate.
    pub(crate) fn new(step: Step, attempts: u32, reason: Failure) -> Self {
        Self { step, attempts, reason, compensated: Compensated::NotNeeded, order_id: None, key_spent: false }
    }

    /// The same failure for another reason.
    pub(crate) fn because(self, code: ErrorCode) -> Self {
        Self { reason: documented(code), ..self }
    }

    /// Whether an order may be left that is this run's to compensate, not that of a run in flight with the same key.
    pub(crate) fn needs_compensation(&self) -> bool {
        self.compensated == Compensated::Pending && self.reason.code != api::IDEMPOTENCY_IN_PROGRESS
    }

    /// The failure and the body that the caller is answered with.
    pub(crate) fn into_answer(self) -> (Failure, FailureReason) {
        let Self { step, attempts, mut reason, compensated, order_id, key_spent } = self;
        let code = reason.code;
        let pending = compensated == Compensated::Pending;
        // Of these two, the caller has to know regardless of what is left.
        if pending && ![api::IDEMPOTENCY_IN_PROGRESS, api::UPSTREAM_AUTH].contains(&code) {
            reason = documented(api::COMPENSATION_PENDING);
        }
        let key_is_good = compensated == Compensated::NotNeeded && !key_spent;
        let passes = pending || key_is_good && may_pass(code);
        if passes {
            reason = reason.retry_after(SOON);
        }
        let body = FailureReason {
            code: reason.code.name.to_owned(),
            message: reason.message.clone(),
            step,
            attempts,
            order_id: order_id.and_then(|id| id.try_into().ok()),
            compensated,
            // Waiting alone brings no stock, but somebody may add some.
            safe_to_retry: passes || key_is_good && code == api::INSUFFICIENT_STOCK,
            details: reason.details.clone(),
        };
        (reason, body)
    }
}

/// Whether the same request can succeed in a moment, if nothing is left of this one.
fn may_pass(code: ErrorCode) -> bool {
    [api::IDEMPOTENCY_IN_PROGRESS, api::UPSTREAM_AUTH, api::UPSTREAM_UNAVAILABLE, api::UPSTREAM_TIMEOUT].contains(&code)
}

/// Failure with this code, in the words of the document.
pub(crate) fn documented(code: ErrorCode) -> Failure {
    Failure::new(code, code.meaning)
}

/// Code for a fault of asking for the customer.
pub(crate) fn validate_code(fault: &Fault<customers_client::types::Error>) -> ErrorCode {
    if fault.has_code(codes::CUSTOMER_NOT_FOUND) { api::CUSTOMER_NOT_FOUND } else { any_code(fault) }
}

/// Failure for a fault of the create. Passes on what the orders service reports of products, and nothing else.
pub(crate) fn create_failure(fault: &Fault<orders_client::types::Error>) -> Failure {
    let code = match fault.code() {
        Some(codes::CUSTOMER_NOT_FOUND) => api::CUSTOMER_NOT_FOUND,
        Some(codes::PRODUCT_NOT_FOUND) => api::PRODUCT_NOT_FOUND,
        Some(codes::INSUFFICIENT_STOCK) => api::INSUFFICIENT_STOCK,
        Some(codes::IDEMPOTENCY_KEY_REUSED) => common_contract::codes::IDEMPOTENCY_KEY_REUSED,
        Some(codes::IDEMPOTENCY_KEY_ABANDONED) => api::IDEMPOTENCY_KEY_SPENT,
        _ => any_code(fault),
    };
    match fault.body() {
        Some(body) if [api::PRODUCT_NOT_FOUND, api::INSUFFICIENT_STOCK].contains(&code) => {
            let details = body.details.iter().cloned().map(wire::detail).collect();
            Failure { details, ..Failure::new(code, &body.message) }
        }
        _ => documented(code),
    }
}

/// Code for a fault of the confirmation.
pub(crate) fn confirm_code(fault: &Fault<orders_client::types::Error>) -> ErrorCode {
    match any_code(fault) {
        _ if fault.has_code(codes::ORDER_CANCELED) => api::ORDER_CANCELED,
        api::UPSTREAM_UNAVAILABLE => api::CONFIRM_FAILED,
        api::UPSTREAM_TIMEOUT => api::CONFIRM_TIMEOUT,
        code => code,
    }
}

/// Code for a fault of looking for an earlier order. No refusal is final: the order is there or it is not.
pub(crate) fn lookup_code(fault: &Fault<orders_client::types::Error>) -> ErrorCode {
    match any_code(fault) {
        api::UPSTREAM_INVALID => api::UPSTREAM_UNAVAILABLE,
        code => code,
    }
}

/// Code for a fault of any step.
fn any_code<E: Coded>(fault: &Fault<E>) -> ErrorCode {
    match fault {
        Fault::TimedOut => api::UPSTREAM_TIMEOUT,
        Fault::Answered { status: 401 | 403, .. } => api::UPSTREAM_AUTH,
        fault if fault.has_code(codes::IDEMPOTENCY_IN_PROGRESS) => api::IDEMPOTENCY_IN_PROGRESS,
        fault if fault.may_pass() => api::UPSTREAM_UNAVAILABLE,
        _ => api::UPSTREAM_INVALID,
    }
}

#[cfg(test)]
mod tests {
    use common_contract::Detail;
    use common_contract::codes::IDEMPOTENCY_KEY_REUSED;

    use super::*;

    const BY_ORDERS: &str = "reported by orders";

    /// An error answer of a service, in the shape of either client.
    fn answered<E: From<Body>>(status: u16, code: &'static str) -> Fault<E> {
        Fault::Answered { status, retry_after: None, body: Some(E::from(Body(code))) }
    }

    struct Body(&'static str);

    impl From<Body> for orders_client::types::Error {
        fn from(Body(code): Body) -> Self {
            let detail = orders_client::types::Detail::builder().available(2);
            let body = Self::builder().message(BY_ORDERS).details([detail]);
            body.error_code(code.to_owned()).request_id("").try_into().unwrap()
        }
    }

    impl From<Body> for customers_client::types::Error {
        fn from(Body(code): Body) -> Self {
            let body = Self::builder().message("reported by customers");
            body.error_code(code.to_owned()).request_id("").try_into().unwrap()
        }
    }

    /// Faults that mean the same at every step, unless a step knows better.
    fn anywhere<E: From<Body>>() -> [(Fault<E>, ErrorCode); 11] {
        [
            (Fault::NotSent, api::UPSTREAM_UNAVAILABLE),
            (Fault::Broken, api::UPSTREAM_UNAVAILABLE),
            (answered(500, "internal"), api::UPSTREAM_UNAVAILABLE),
            (answered(503, "unavailable"), api::UPSTREAM_UNAVAILABLE),
            (Fault::TimedOut, api::UPSTREAM_TIMEOUT),
            (answered(401, "unauthorized"), api::UPSTREAM_AUTH),
            (Fault::Answered { status: 403, retry_after: None, body: None }, api::UPSTREAM_AUTH),
            (answered(409, "idempotency_in_progress"), api::IDEMPOTENCY_IN_PROGRESS),
            (answered(400, "invalid_request"), api::UPSTREAM_INVALID),
            (answered(404, "order_not_found"), api::UPSTREAM_INVALID),
            (Fault::Invalid(String::new()), api::UPSTREAM_INVALID),
        ]
    }

    fn details_of_orders() -> Vec<Detail> {
        vec![Detail { available: Some(2), ..Detail::default() }]
    }

    /// Asserts that this is the failure with this code, and that only what orders reports of products is passed on.
    #[track_caller]
    fn is_reported(failure: &Failure, code: ErrorCode) {
        let (message, details) = match code {
            api::PRODUCT_NOT_FOUND | api::INSUFFICIENT_STOCK => (BY_ORDERS, details_of_orders()),
            code => (code.meaning, Vec::new()),
        };
        assert_eq!((failure.code, &*failure.message, &failure.details), (code, message, &details));
    }

    #[test]
    fn only_a_missing_customer_is_the_callers_fault_when_the_customer_is_validated() {
        for (fault, code) in anywhere() {
            assert_eq!(validate_code(&fault), code);
        }
        assert_eq!(validate_code(&answered(404, "customer_not_found")), api::CUSTOMER_NOT_FOUND);
    }

    #[test]
    fn refusals_of_a_create_are_passed_on() {
        let refusals = [
            (404, "customer_not_found", api::CUSTOMER_NOT_FOUND),
            (404, "product_not_found", api::PRODUCT_NOT_FOUND),
            (409, "insufficient_stock", api::INSUFFICIENT_STOCK),
            (422, "idempotency_key_reused", IDEMPOTENCY_KEY_REUSED),
            (409, "idempotency_key_abandoned", api::IDEMPOTENCY_KEY_SPENT),
        ];
        let refusals = refusals.map(|(status, name, code)| (answered(status, name), code));
        for (fault, code) in anywhere().into_iter().chain(refusals) {
            is_reported(&create_failure(&fault), code);
        }
    }

    #[test]
    fn an_order_that_was_not_confirmed_says_whether_time_was_the_reason() {
        for (fault, code) in anywhere() {
            let code = match code {
                api::UPSTREAM_UNAVAILABLE => api::CONFIRM_FAILED,
                api::UPSTREAM_TIMEOUT => api::CONFIRM_TIMEOUT,
                code => code,
            };
            assert_eq!(confirm_code(&fault), code);
        }
        assert_eq!(confirm_code(&answered(409, "order_canceled")), api::ORDER_CANCELED);
    }

    #[test]
    fn a_lookup_that_is_refused_may_pass() {
        for (fault, code) in anywhere() {
            let code = if code == api::UPSTREAM_INVALID { api::UPSTREAM_UNAVAILABLE } else { code };
            assert_eq!(lookup_code(&fault), code);
        }
    }

    /// Every reason, its status and code, and whether the same request may be retried if nothing was done.
    fn all() -> [(Failure, u16, &'static str, bool); 14] {
        let of_products = |code: ErrorCode| create_failure(&answered(code.status, code.name));
        [
            (documented(api::CUSTOMER_NOT_FOUND), 404, "customer_not_found", false),
            (of_products(api::PRODUCT_NOT_FOUND), 404, "product_not_found", false),
            (of_products(api::INSUFFICIENT_STOCK), 409, "insufficient_stock", true),
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

    fn answer(reason: Failure, compensated: Compensated, key_spent: bool) -> (Failure, FailureReason) {
        let failed = SagaFailure { compensated, key_spent, ..SagaFailure::new(Step::Create, 3, reason) };
        let (failure, body) = failed.into_answer();
        // Waiting alone brings no stock.
        let soon = body.safe_to_retry && failure.code != api::INSUFFICIENT_STOCK;
        assert_eq!(failure.retry_after, soon.then_some(Duration::from_secs(1)));
        assert_eq!((body.step, body.attempts, body.compensated), (Step::Create, 3, compensated));
        assert_eq!(
            (&*body.code, &body.message, &body.details),
            (failure.code.name, &failure.message, &failure.details)
        );
        assert!(!failure.message.is_empty());
        (failure, body)
    }

    #[test]
    fn while_nothing_was_done_the_reason_decides_whether_a_retry_is_safe() {
        for (reason, status, code, may_pass) in all() {
            let expected = reason.code;
            let (failure, body) = answer(reason, Compensated::NotNeeded, false);
            is_reported(&failure, expected);
            assert_eq!((failure.code.status, failure.code.name, body.safe_to_retry), (status, code, may_pass));
        }
    }

    #[test]
    fn a_key_that_was_abandoned_or_whose_order_was_canceled_is_not_safe_to_retry() {
        for compensated in [Compensated::NotNeeded, Compensated::Done] {
            for (reason, status, code, _) in all() {
                let (failure, body) = answer(reason, compensated, true);
                assert_eq!((failure.code.status, failure.code.name, body.safe_to_retry), (status, code, false));
            }
        }
    }

    #[test]
    fn an_order_that_may_be_left_is_pending_and_safe_to_retry() {
        for (reason, status, code, _) in all() {
            let expected = match reason.code {
                api::IDEMPOTENCY_IN_PROGRESS | api::UPSTREAM_AUTH => (status, code),
                _ => (504, "compensation_pending"),
            };
            let (failure, body) = answer(reason, Compensated::Pending, false);
            assert_eq!((failure.code.status, failure.code.name, body.safe_to_retry), (expected.0, expected.1, true));
            assert_eq!(failure.details, []);
        }
    }

    #[test]
    fn the_step_that_failed_and_its_order_are_reported() {
        for step in [Step::Validate, Step::Create, Step::Confirm] {
            let failed =
                SagaFailure { order_id: Some(7), ..SagaFailure::new(step, 1, documented(api::UPSTREAM_TIMEOUT)) };
            let body = failed.into_answer().1;
            assert_eq!((body.step, body.order_id), (step, 7_i64.try_into().ok()));
        }
    }
}
