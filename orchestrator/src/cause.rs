//! Why a step failed, in the words of this service. The two halves: what an upstream's fault means at each step, and
//! which code, and with it which status, the caller is answered with.

use std::time::Duration;

use orchestrator_api as api;
use orders_client::codes;
use outbound::{Coded, Fault};
use service_api::{Detail, ErrorCode, Failure};

use crate::create_and_confirm::Step;
use crate::retry::may_pass;
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
            fault if may_pass(fault) => Self::Unavailable,
            _ => Self::UpstreamInvalid,
        }
    }

    /// The one place where codes are chosen.
    fn code(&self) -> ErrorCode {
        match self {
            Self::CustomerNotFound => api::CUSTOMER_NOT_FOUND,
            Self::ProductNotFound(_) => api::PRODUCT_NOT_FOUND,
            Self::InsufficientStock(_) => api::INSUFFICIENT_STOCK,
            Self::KeyReused => service_api::codes::IDEMPOTENCY_KEY_REUSED,
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
