//! The outcome of one request: what a success shows, or why there is none.

use client_common::{Coded, Fault};
use orchestrator_client::types as orchestrator;
use orchestrator_client::types::Compensated;
use orders_client::codes;
use orders_client::types as orders;

/// What came of sending a request once. A fault without a body is an answer that was whole, but not readable.
pub(crate) type Outcome = Result<Success, Fault<Refusal>>;

/// A success.
#[derive(Debug, Clone)]
pub(crate) struct Success {
    pub(crate) status: u16,
    /// Whether it says of itself that it is the answer of an earlier request.
    pub(crate) replayed: bool,
    pub(crate) seen: Seen,
}

/// What a success shows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    Order(OrderSeen),
    Product(ProductSeen),
    Customer(CustomerSeen),
    /// An entry of the ledger.
    Movement {
        product: i64,
        delta: i64,
        reference: Option<String>,
    },
    /// A list, and whether it has what was looked for.
    List {
        found: bool,
    },
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

/// An order, as it was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderSeen {
    pub(crate) id: i64,
    pub(crate) customer: i64,
    pub(crate) status: Status,
    pub(crate) total_cents: i64,
    pub(crate) reference: Option<String>,
    /// Microseconds since 1970.
    pub(crate) confirmed_at: Option<i64>,
    /// The orchestrator shows none.
    pub(crate) version: Option<i64>,
    pub(crate) items: Vec<Item>,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Created,
    Confirmed,
    Canceled,
}

/// One line of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Item {
    pub(crate) product: i64,
    pub(crate) qty: i64,
    pub(crate) unit_price_cents: i64,
}

/// A product, as it was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProductSeen {
    pub(crate) id: i64,
    pub(crate) version: i64,
    pub(crate) price_cents: i64,
    pub(crate) stock: i64,
}

/// A customer, as it was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CustomerSeen {
    pub(crate) id: i64,
    pub(crate) version: i64,
    pub(crate) name: String,
    pub(crate) email: String,
}

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    /// What the orchestrator says besides.
    pub(crate) left: Option<Left>,
}

/// How the orchestrator left things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) order: Option<i64>,
    pub(crate) compensated: Compensated,
    pub(crate) safe_to_retry: bool,
}

/// What a request did, as far as its outcome tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Done,
    Nothing,
    Unknown,
}

impl Coded for Refusal {
    const NOTHING_DONE: &'static [&'static str] = orders::Error::NOTHING_DONE;

    fn code(&self) -> Option<&str> {
        Some(&self.code)
    }

    /// Waiting alone brings no stock.
    fn may_pass(&self) -> Option<bool> {
        self.left.map(|left| left.safe_to_retry && self.code != codes::INSUFFICIENT_STOCK)
    }
}

impl Refusal {
    fn effect(&self, status: u16) -> Effect {
        match self.left {
            _ if self.code == codes::IDEMPOTENCY_IN_PROGRESS => Effect::Unknown,
            Some(Left { compensated: Compensated::Pending, .. }) => Effect::Unknown,
            Some(_) => Effect::Nothing,
            None if status < 500 || Self::NOTHING_DONE.contains(&self.code.as_str()) => Effect::Nothing,
            None => Effect::Unknown,
        }
    }
}

/// What a request with this outcome did.
pub(crate) fn effect(outcome: &Outcome) -> Effect {
    match outcome {
        Ok(_) => Effect::Done,
        Err(Fault::NotSent | Fault::Invalid(_)) => Effect::Nothing,
        Err(Fault::Answered { status, body: Some(refusal), .. }) => refusal.effect(*status),
        Err(_) => Effect::Unknown,
    }
}

/// An outcome in a few words, to be counted by.
pub(crate) fn label(outcome: &Outcome) -> String {
    match outcome {
        Ok(success) if success.replayed => format!("{} replayed", success.status),
        Ok(success) => success.status.to_string(),
        Err(Fault::NotSent) => "not sent".to_owned(),
        Err(Fault::TimedOut) => "timed out".to_owned(),
        Err(Fault::Broken) => "broken".to_owned(),
        Err(Fault::Invalid(_)) => "invalid".to_owned(),
        Err(Fault::Answered { status, body: Some(refusal), .. }) => format!("{status} {}", refusal.code),
        Err(Fault::Answered { status, body: None, .. }) => format!("{status} without a code"),
    }
}

impl From<orders::OrderStatus> for Status {
    fn from(status: orders::OrderStatus) -> Self {
        match status {
            orders::OrderStatus::Created => Self::Created,
            orders::OrderStatus::Confirmed => Self::Confirmed,
            orders::OrderStatus::Canceled => Self::Canceled,
        }
    }
}

macro_rules! items {
    ($order:expr) => {
        $order.items.iter().map(|item| Item {
            product: item.product_id,
            qty: item.qty,
            unit_price_cents: item.unit_price_cents,
        })
    };
}

impl From<orders::Order> for Seen {
    fn from(order: orders::Order) -> Self {
        Self::Order(OrderSeen {
            id: order.id,
            customer: order.customer_id,
            status: order.status.into(),
            total_cents: order.total_cents,
            confirmed_at: order.confirmed_at.map(|at| at.timestamp_micros()),
            version: Some(order.version),
            items: items!(order).collect(),
            reference: order.external_reference,
        })
    }
}

impl From<orchestrator::Order> for Seen {
    fn from(order: orchestrator::Order) -> Self {
        Self::Order(OrderSeen {
            id: order.id,
            customer: order.customer_id,
            status: Status::Confirmed,
            total_cents: order.total_cents,
            reference: None,
            confirmed_at: Some(order.confirmed_at.timestamp_micros()),
            version: None,
            items: items!(order).collect(),
        })
    }
}

impl From<&orders::Product> for ProductSeen {
    fn from(product: &orders::Product) -> Self {
        let &orders::Product { id, version, price_cents, stock, .. } = product;
        Self { id, version, price_cents, stock }
    }
}

impl From<customers_client::types::Customer> for Seen {
    fn from(customer: customers_client::types::Customer) -> Self {
        let customers_client::types::Customer { id, version, name, email, .. } = customer;
        Self::Customer(CustomerSeen { id, version, name, email })
    }
}
