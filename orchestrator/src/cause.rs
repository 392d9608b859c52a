//! Why a step failed, in the words of this service. The two halves: what an upstream's fault means at each step, and
//! which code, and with it which status, the caller is answered with.

use std::time::Duration;

use client_common::{Coded, Fault};
use common_contract::{Detail, ErrorCode, Failure};
use orchestrator_api as api;
use orders_client::codes;

use crate::create_and_confirm::Step;
use crate::saga::{Failed, Undone};
use crate::wire;

/// When a caller may come back after a passing failure.
const SOON: Duration = Duration::from_secs(1);

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    CustomerNotFound,
    ProductNotFound(Refusal),
    InsufficientStock(Refusal),
    KeyReused,
    /// The order under the key was undone, or the key given up.
    KeySpent,
    /// Another run with the key is at work.
    InProgress,
    OrderCanceled,
    /// Our own credentials were refused.
    UpstreamAuth,
    /// Our request was refused, which no caller can help.
    UpstreamInvalid,
    /// Not reached; nothing was done.
    Unavailable,
    /// Not answered in time; nothing was done.
    TimedOut,
    /// Whether the order was made was not to be found out.
    CreateUnknown,
    /// The order was not confirmed.
    NotConfirmed,
    /// The order was not confirmed in time.
    NotConfirmedInTime,
}

/// What an upstream says about the request itself: the caller may know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    message: String,
    details: Vec<Detail>,
}

impl Cause {
    pub(crate) fn of_validate(fault: &Fault<customers_client::types::Error>) -> Self {
        if fault.has_code(codes::CUSTOMER_NOT_FOUND) { Self::CustomerNotFound } else { Self::of_any(fault) }
    }

    /// Of looking for an order, which is there or is not: nothing else is final.
    pub(crate) fn of_lookup(fault: &Fault<orders_client::types::Error>) -> Self {
        match Self::of_any(fault) {
            Self::UpstreamInvalid => Self::Unavailable,
            cause => cause,
        }
    }

    pub(crate) fn of_create(fault: &Fault<orders_client::types::Error>) -> Self {
        let Fault::Answered { body: Some(body), .. } = fault else { return Self::of_any(fault) };
        let refusal = || Refusal {
            message: body.message.clone(),
            details: body.details.iter().cloned().map(wire::detail).collect(),
        };
        match body.code() {
            Some(codes::CUSTOMER_NOT_FOUND) => Self::CustomerNotFound,
            Some(codes::PRODUCT_NOT_FOUND) => Self::ProductNotFound(refusal()),
            Some(codes::INSUFFICIENT_STOCK) => Self::InsufficientStock(refusal()),
            Some(codes::IDEMPOTENCY_KEY_REUSED) => Self::KeyReused,
            Some(codes::IDEMPOTENCY_KEY_ABANDONED) => Self::KeySpent,
            _ => Self::of_any(fault),
        }
    }

    pub(crate) fn of_confirm(fault: &Fault<orders_client::types::Error>) -> Self {
        if fault.has_code(codes::ORDER_CANCELED) {
            return Self::OrderCanceled;
        }
        match Self::of_any(fault) {
            Self::Unavailable => Self::NotConfirmed,
            Self::TimedOut => Self::NotConfirmedInTime,
            cause => cause,
        }
    }

    fn of_any<E: Coded>(fault: &Fault<E>) -> Self {
        match fault {
            Fault::TimedOut => Self::TimedOut,
            Fault::Answered { status: 401 | 403, .. } => Self::UpstreamAuth,
            fault if fault.has_code(codes::IDEMPOTENCY_IN_PROGRESS) => Self::InProgress,
            fault if fault.may_pass() => Self::Unavailable,
            _ => Self::UpstreamInvalid,
        }
    }

    /// The one place where codes are chosen.
    fn code(&self) -> ErrorCode {
        match self {
            Self::CustomerNotFound => api::CUSTOMER_NOT_FOUND,
            Self::ProductNotFound(_) => api::PRODUCT_NOT_FOUND,
            Self::InsufficientStock(_) => api::INSUFFICIENT_STOCK,
            Self::KeyReused => common_contract::codes::IDEMPOTENCY_KEY_REUSED,
            Self::KeySpent => api::IDEMPOTENCY_KEY_SPENT,
            Self::InProgress => api::IDEMPOTENCY_IN_PROGRESS,
            Self::OrderCanceled => api::ORDER_CANCELED,
            Self::UpstreamAuth => api::UPSTREAM_AUTH,
            Self::UpstreamInvalid => api::UPSTREAM_INVALID,
            Self::Unavailable => api::UPSTREAM_UNAVAILABLE,
            Self::TimedOut => api::UPSTREAM_TIMEOUT,
            Self::CreateUnknown => api::CREATE_OUTCOME_UNKNOWN,
            Self::NotConfirmed => api::CONFIRM_FAILED,
            Self::NotConfirmedInTime => api::CONFIRM_TIMEOUT,
        }
    }

    fn message(&self) -> &str {
        match self {
            Self::CustomerNotFound => "there is no such customer",
            Self::ProductNotFound(Refusal { message, .. }) | Self::InsufficientStock(Refusal { message, .. }) => {
                message
            }
            Self::KeyReused => "the idempotency_key was used for another order: send a new one",
            Self::KeySpent => "the order of this idempotency_key was undone: send a new key for a new order",
            Self::InProgress => "a request with this idempotency_key is at work: send it again in a moment",
            Self::OrderCanceled => "somebody canceled the order before it was confirmed",
            Self::UpstreamAuth => "a service behind this one refused its credentials",
            Self::UpstreamInvalid => "a service behind this one refused the request or was not understood",
            Self::Unavailable => "a service behind this one could not be reached; this request did nothing",
            Self::TimedOut => "a service behind this one did not answer in time; this request did nothing",
            Self::CreateUnknown => "whether the order was made could not be found out in time; it was given up",
            Self::NotConfirmed => "the order could not be confirmed and was canceled",
            Self::NotConfirmedInTime => "the order could not be confirmed in time and was canceled",
        }
    }

    fn details(&self) -> &[Detail] {
        match self {
            Self::ProductNotFound(refusal) | Self::InsufficientStock(refusal) => &refusal.details,
            _ => &[],
        }
    }

    /// Whether the same request may be answered otherwise in a moment.
    fn may_pass(&self) -> bool {
        matches!(self, Self::InProgress | Self::UpstreamAuth | Self::Unavailable | Self::TimedOut)
    }

    /// Whether the same request may be answered otherwise once somebody has done something about it.
    fn may_be_helped(&self) -> bool {
        matches!(self, Self::InsufficientStock(_))
    }
}

/// Where a request stood when it failed, as far as the error code does not say it.
pub(crate) struct Standing {
    pub(crate) step: api::Step,
    pub(crate) attempts: u32,
    pub(crate) compensated: api::Compensated,
    pub(crate) safe_to_retry: bool,
}

/// What the caller is told of a saga that failed, and whose create was given up or not.
pub(crate) fn tell(failed: &Failed<Step, Cause>, gave_up: bool) -> (Failure, Standing) {
    let Failed { step, attempts, cause, undone } = failed;
    let left_behind = *undone == Undone::Pending && !matches!(cause, Cause::InProgress | Cause::UpstreamAuth);
    let mut failure = if left_behind {
        Failure::new(
            api::COMPENSATION_PENDING,
            "the order could neither be confirmed nor canceled in time: the same request finds out, or it expires",
        )
    } else {
        let mut failure = Failure::new(cause.code(), cause.message());
        failure.details = cause.details().to_vec();
        failure
    };
    let key_is_good = *undone == Undone::Nothing && !gave_up;
    let soon = *undone == Undone::Pending || key_is_good && cause.may_pass();
    if soon {
        failure = failure.retry_after(SOON);
    }
    let standing = Standing {
        step: match step {
            Step::Validate => api::Step::Validate,
            Step::Create => api::Step::Create,
            Step::Confirm => api::Step::Confirm,
        },
        attempts: *attempts,
        compensated: match undone {
            Undone::Nothing => api::Compensated::NotNeeded,
            Undone::Done => api::Compensated::Done,
            Undone::Pending => api::Compensated::Pending,
        },
        safe_to_retry: soon || key_is_good && cause.may_be_helped(),
    };
    (failure, standing)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error answer of a service, in whichever client's shape.
    fn answered<E: From<Body>>(status: u16, code: &'static str) -> Fault<E> {
        Fault::Answered { status, retry_after: None, body: Some(E::from(Body(code))) }
    }

    struct Body(&'static str);

    impl From<Body> for orders_client::types::Error {
        fn from(Body(code): Body) -> Self {
            let detail = orders_client::types::Detail::builder().available(2);
            let body = Self::builder().message("said by orders").details([detail]);
            body.error_code(code.to_owned()).request_id("").try_into().unwrap()
        }
    }

    impl From<Body> for customers_client::types::Error {
        fn from(Body(code): Body) -> Self {
            let body = Self::builder().message("said by customers");
            body.error_code(code.to_owned()).request_id("").try_into().unwrap()
        }
    }

    /// What any fault means unless a step knows better.
    fn anywhere<E: From<Body>>() -> [(Fault<E>, Cause); 11] {
        [
            (Fault::NotSent, Cause::Unavailable),
            (Fault::Broken, Cause::Unavailable),
            (answered(500, "internal"), Cause::Unavailable),
            (answered(503, "unavailable"), Cause::Unavailable),
            (Fault::TimedOut, Cause::TimedOut),
            (answered(401, "unauthorized"), Cause::UpstreamAuth),
            (Fault::Answered { status: 403, retry_after: None, body: None }, Cause::UpstreamAuth),
            (answered(409, "idempotency_in_progress"), Cause::InProgress),
            (answered(400, "invalid_request"), Cause::UpstreamInvalid),
            (answered(404, "order_not_found"), Cause::UpstreamInvalid),
            (Fault::Invalid(String::new()), Cause::UpstreamInvalid),
        ]
    }

    fn refusal() -> Refusal {
        let detail = Detail { available: Some(2), ..Detail::default() };
        Refusal { message: "said by orders".to_owned(), details: vec![detail] }
    }

    #[test]
    fn only_a_missing_customer_is_the_callers_fault_when_the_customer_is_asked_for() {
        for (fault, cause) in anywhere() {
            assert_eq!(Cause::of_validate(&fault), cause);
        }
        assert_eq!(Cause::of_validate(&answered(404, "customer_not_found")), Cause::CustomerNotFound);
    }

    #[test]
    fn what_orders_says_of_a_create_is_told_on() {
        let refusals = [
            (404, "customer_not_found", Cause::CustomerNotFound),
            (404, "product_not_found", Cause::ProductNotFound(refusal())),
            (409, "insufficient_stock", Cause::InsufficientStock(refusal())),
            (422, "idempotency_key_reused", Cause::KeyReused),
            (409, "idempotency_key_abandoned", Cause::KeySpent),
        ];
        for (fault, cause) in anywhere().into_iter().chain(refusals.map(|(s, code, cause)| (answered(s, code), cause)))
        {
            assert_eq!(Cause::of_create(&fault), cause);
        }
    }

    #[test]
    fn an_order_that_was_not_confirmed_says_whether_time_was_the_reason() {
        for (fault, cause) in anywhere() {
            let cause = match cause {
                Cause::Unavailable => Cause::NotConfirmed,
                Cause::TimedOut => Cause::NotConfirmedInTime,
                cause => cause,
            };
            assert_eq!(Cause::of_confirm(&fault), cause);
        }
        assert_eq!(Cause::of_confirm(&answered(409, "order_canceled")), Cause::OrderCanceled);
    }

    /// Every cause, its status and code, and whether the same request may be sent again if nothing was done.
    fn all() -> [(Cause, u16, &'static str, bool); 14] {
        [
            (Cause::CustomerNotFound, 404, "customer_not_found", false),
            (Cause::ProductNotFound(refusal()), 404, "product_not_found", false),
            (Cause::InsufficientStock(refusal()), 409, "insufficient_stock", true),
            (Cause::KeyReused, 422, "idempotency_key_reused", false),
            (Cause::KeySpent, 409, "idempotency_key_spent", false),
            (Cause::InProgress, 409, "idempotency_in_progress", true),
            (Cause::OrderCanceled, 409, "order_canceled", false),
            (Cause::UpstreamAuth, 502, "upstream_auth", true),
            (Cause::UpstreamInvalid, 502, "upstream_invalid", false),
            (Cause::Unavailable, 503, "upstream_unavailable", true),
            (Cause::TimedOut, 504, "upstream_timeout", true),
            (Cause::CreateUnknown, 504, "create_outcome_unknown", false),
            (Cause::NotConfirmed, 503, "confirm_failed", false),
            (Cause::NotConfirmedInTime, 504, "confirm_failed", false),
        ]
    }

    fn told(cause: &Cause, undone: Undone, gave_up: bool) -> (Failure, Standing) {
        let told = tell(&Failed { step: Step::Create, attempts: 3, cause: cause.clone(), undone }, gave_up);
        // Waiting alone brings no stock.
        let soon = told.1.safe_to_retry && told.0.code != api::INSUFFICIENT_STOCK;
        assert_eq!((told.1.attempts, told.0.retry_after), (3, soon.then_some(Duration::from_secs(1))));
        told
    }

    #[test]
    fn while_nothing_was_done_the_cause_decides_whether_to_send_it_again() {
        for (cause, status, code, may_pass) in all() {
            let (failure, standing) = told(&cause, Undone::Nothing, false);
            assert_eq!((failure.code.status, failure.code.name), (status, code));
            assert_eq!(
                (standing.compensated, standing.safe_to_retry),
                (api::Compensated::NotNeeded, may_pass),
                "{code}"
            );
            assert!(!failure.message.is_empty());
        }
    }

    #[test]
    fn a_key_that_was_given_up_or_whose_order_was_undone_is_not_to_be_sent_again() {
        for (cause, status, code, _) in all() {
            for (undone, compensated) in
                [(Undone::Nothing, api::Compensated::NotNeeded), (Undone::Done, api::Compensated::Done)]
            {
                let (failure, standing) = told(&cause, undone, true);
                assert_eq!((failure.code.status, failure.code.name), (status, code));
                assert_eq!((standing.compensated, standing.safe_to_retry), (compensated, false), "{code}");
            }
        }
    }

    #[test]
    fn whatever_is_left_behind_is_pending_and_the_same_request_finds_out() {
        for (cause, status, code, _) in all() {
            let (failure, standing) = told(&cause, Undone::Pending, false);
            // Somebody else is at work, or nobody can be told what to do: that is what the caller has to know.
            let expected = match cause {
                Cause::InProgress | Cause::UpstreamAuth => (status, code),
                _ => (504, "compensation_pending"),
            };
            assert_eq!((failure.code.status, failure.code.name), expected);
            assert_eq!((standing.compensated, standing.safe_to_retry), (api::Compensated::Pending, true));
        }
    }

    #[test]
    fn what_orders_said_of_products_is_told_and_only_that() {
        for (cause, ..) in all() {
            let about_products = matches!(cause, Cause::ProductNotFound(_) | Cause::InsufficientStock(_));
            let (failure, _) = told(&cause, Undone::Nothing, false);
            assert_eq!(failure.details == refusal().details, about_products);
            assert_eq!(failure.message == "said by orders", about_products);
        }
    }

    #[test]
    fn the_step_that_failed_is_told() {
        let rows = [
            (Step::Validate, api::Step::Validate),
            (Step::Create, api::Step::Create),
            (Step::Confirm, api::Step::Confirm),
        ];
        for (step, told) in rows {
            let failed = Failed { step, attempts: 1, cause: Cause::TimedOut, undone: Undone::Nothing };
            assert_eq!(tell(&failed, false).1.step, told);
        }
    }
}
