//! The outcome of one request: what a success shows, or why there is none.

use chrono::{DateTime, Utc};
use client_common::{Coded, Fault};
use orchestrator_client::types::{Compensated, FailureReason};
pub(crate) use orders_client::types::OrderStatus as Status;
use orders_client::{codes, types::Error};
use serde::Deserialize;

/// What came of sending a request once. A fault without a body is an answer that was whole, but not readable.
pub(crate) type Outcome = Result<Success, Fault<Refusal>>;

/// A success.
#[derive(Debug, Clone)]
pub(crate) struct Success {
    pub(crate) status: u16,
    /// Whether it says of itself that it is the answer of an earlier request.
    pub(crate) replayed: bool,
    pub(crate) seen: Seen,
    /// The bytes, where another success under the same key should have the same and has not; else none.
    pub(crate) body: Vec<u8>,
}

/// What a success shows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    Order(Order),
    Product(Product),
    Customer(Customer),
    Movement(Adjustment),
    /// A list: whether it has what was looked for.
    List(bool),
    Nothing,
    /// Not as the contract says; and why.
    Unreadable(String),
}

impl Seen {
    /// The version of the resource that it shows.
    pub(crate) fn version(&self) -> Option<i64> {
        match self {
            Self::Order(order) => order.version,
            Self::Product(product) => Some(product.version),
            Self::Customer(customer) => Some(customer.version),
            _ => None,
        }
    }
}

/// An order, as an answer shows it and as the database has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: i64,
    pub(crate) customer_id: i64,
    pub(crate) status: Status,
    pub(crate) total_cents: i64,
    /// The orchestrator shows none, and no version.
    pub(crate) external_reference: Option<String>,
    pub(crate) confirmed_at: Option<DateTime<Utc>>,
    pub(crate) version: Option<i64>,
    pub(crate) items: Vec<Item>,
}

/// One line of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Item {
    pub(crate) product_id: i64,
    pub(crate) qty: i64,
    pub(crate) unit_price_cents: i64,
}

/// A product, as an answer shows it and as the database has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Product {
    pub(crate) id: i64,
    pub(crate) version: i64,
    pub(crate) price_cents: i64,
    pub(crate) stock: i64,
}

/// A customer, as an answer shows it and as the database has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Customer {
    pub(crate) id: i64,
    pub(crate) version: i64,
    pub(crate) name: String,
    pub(crate) email: String,
}

/// A stock adjustment, as it is asked for, answered, and kept in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Adjustment {
    pub(crate) product_id: i64,
    pub(crate) delta: i64,
    pub(crate) reference: Option<String>,
}

/// An error answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    /// What the orchestrator says besides.
    pub(crate) failure: Option<Box<FailureReason>>,
}

impl Coded for Refusal {
    const NOTHING_DONE: &'static [&'static str] = Error::NOTHING_DONE;

    fn code(&self) -> Option<&str> {
        Some(&self.code)
    }

    /// Waiting alone brings no stock.
    fn may_pass(&self) -> Option<bool> {
        let failure = self.failure.as_ref()?;
        Some(failure.safe_to_retry && self.code != codes::INSUFFICIENT_STOCK)
    }
}

/// Whether a request with this outcome may have been executed, though no answer says so.
pub(crate) fn is_unknown(outcome: &Outcome) -> bool {
    match outcome {
        Ok(_) | Err(Fault::NotSent | Fault::Invalid(_)) => false,
        Err(Fault::Answered { status, body: Some(Refusal { code, failure }), .. }) => {
            let is_refused = match failure {
                Some(failure) => failure.compensated != Compensated::Pending,
                None => *status < 500 || Refusal::NOTHING_DONE.contains(&code.as_str()),
            };
            !is_refused || code == codes::IDEMPOTENCY_IN_PROGRESS
        }
        Err(_) => true,
    }
}
