//! Outcome of one request: the content of a successful response, or an error.

use chrono::{DateTime, Utc};
use client_common::{Coded, Fault};
use orchestrator_client::types::{Compensated, FailureReason};
pub(crate) use orders_client::types::OrderStatus as Status;
use orders_client::{codes, types::Error};
use serde::Deserialize;

/// Outcome of one attempt. `Fault::Answered` without a body represents a complete response whose body cannot be parsed.
pub(crate) type Outcome = Result<Success, Fault<ErrorBody>>;

#[derive(Debug, Clone)]
pub(crate) struct Success {
    pub(crate) status: u16,
    /// Whether the response is marked as a replay of an earlier response.
    pub(crate) replayed: bool,
    pub(crate) observed: Observed,
    /// Response body if it differs from that of another successful response with the same key; otherwise empty.
    pub(crate) body: Vec<u8>,
}

/// Content of a successful response.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Observed {
    Order(Order),
    Product(Product),
    Customer(Customer),
    Movement(Adjustment),
    /// List response: whether it contains the requested row.
    List(bool),
    Nothing,
    /// Response that violates the contract, with the reason.
    Malformed(String),
}

impl Observed {
    pub(crate) fn version(&self) -> Option<i64> {
        match self {
            Self::Order(order) => order.version,
            Self::Product(product) => Some(product.version),
            Self::Customer(customer) => Some(customer.version),
            _ => None,
        }
    }
}

/// Order in a response or in the database.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: i64,
    pub(crate) customer_id: i64,
    pub(crate) status: Status,
    pub(crate) total_cents: i64,
    /// `None` if the response contains no such field: the orchestrator returns no reference and no version.
    pub(crate) external_reference: Option<String>,
    pub(crate) confirmed_at: Option<DateTime<Utc>>,
    pub(crate) version: Option<i64>,
    pub(crate) items: Vec<Item>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Item {
    pub(crate) product_id: i64,
    pub(crate) qty: i64,
    pub(crate) unit_price_cents: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Product {
    pub(crate) id: i64,
    pub(crate) version: i64,
    pub(crate) price_cents: i64,
    pub(crate) stock: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Customer {
    pub(crate) id: i64,
    pub(crate) version: i64,
    pub(crate) name: String,
    pub(crate) email: String,
}

/// Stock adjustment in a request, in a response, or in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Adjustment {
    pub(crate) product_id: i64,
    pub(crate) delta: i64,
    pub(crate) reference: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ErrorBody {
    pub(crate) code: String,
    /// Additional fields of the orchestrator's errors.
    pub(crate) failure: Option<Box<FailureReason>>,
}

impl Coded for ErrorBody {
    const UNCHANGED_CODES: &'static [&'static str] = Error::UNCHANGED_CODES;

    fn code(&self) -> Option<&str> {
        Some(&self.code)
    }

    /// Returns whether a retry may succeed. Excludes insufficient stock, because a delay does not help.
    fn is_transient(&self) -> Option<bool> {
        let failure = self.failure.as_ref()?;
        Some(failure.safe_to_retry && self.code != codes::INSUFFICIENT_STOCK)
    }
}

/// Returns whether a request with this outcome may have been executed without an acknowledgment.
pub(crate) fn is_unknown(outcome: &Outcome) -> bool {
    match outcome {
        Ok(_) | Err(Fault::NotSent | Fault::Invalid(_)) => false,
        Err(Fault::Answered { status, body: Some(ErrorBody { code, failure }), .. }) => {
            let is_rejected = match failure {
                Some(failure) => failure.compensated != Compensated::Pending,
                None => *status < 500 || ErrorBody::UNCHANGED_CODES.contains(&code.as_str()),
            };
            !is_rejected || code == codes::IDEMPOTENCY_IN_PROGRESS
        }
        Err(_) => true,
    }
}
