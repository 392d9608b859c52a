//! What clients asked for and what they were told.

use std::fmt;
use std::sync::Arc;

use crate::operation::Operation;
use crate::outcome::{Effect, OrderSeen, Outcome, ProductSeen, Seen, Told, effect};
use crate::progress::Progress;

/// Everything that the clients of a load asked for and were told.
#[derive(Debug)]
pub struct History {
    pub(crate) records: Vec<Record>,
    /// The products as they were made; nobody but the load changes them.
    pub(crate) products: Vec<ProductSeen>,
    /// Under which name the operator's work is recorded.
    pub(crate) operator: String,
    /// Whether an answer may be a balancer's own.
    pub(crate) behind_balancer: bool,
    pub(crate) progress: Progress,
    /// Clients that ended before their time, with all they knew.
    pub(crate) lost_clients: Vec<String>,
}

impl History {
    /// The figures: answers by operation, retries, outcomes that stayed unknown.
    #[must_use]
    pub fn summary(&self) -> Summary<'_> {
        Summary(&self.progress)
    }

    /// The figures to calculate with.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// How many operations are kept. Each is kept once, however often its request was sent.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.records.len()
    }

    /// How many operations a client gave up although trying again might have helped, or never learned the outcome of.
    #[must_use]
    pub fn given_up(&self) -> usize {
        self.records.iter().filter(|record| record.is_given_up()).count()
    }

    /// How many requests are kept.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.records.iter().map(|record| record.sends.len()).sum()
    }
}

/// The figures of a history, a line for each kind of answer.
#[derive(Debug)]
pub struct Summary<'h>(&'h Progress);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One operation: every request that was sent for it, or under its key.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) caller: Caller,
    pub(crate) key: Option<String>,
    /// What was asked for. Whatever comes after the first was sent under the same key, but has other content.
    pub(crate) requests: Vec<Request>,
    pub(crate) sends: Vec<Sent>,
}

/// As whom a client works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    Operator,
    Service,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    Create(NewOrder),
    Confirm { order: i64 },
    Cancel { order: i64 },
    ViewOrder { order: i64 },
    FindOrder { order: i64, reference: String },
    CreateAndConfirm(NewOrder),
    SetPrice { product: i64, price_cents: i64, if_match: Option<i64> },
    SetStock { seen: ProductSeen, stock: i64 },
    AdjustStock { product: i64, delta: i64, reference: String },
    ViewProduct { product: i64 },
    CreateCustomer { name: String, email: String },
    UpdateCustomer { id: i64, name: String, email: String, if_match: Option<i64> },
    DeleteCustomer { id: i64 },
    ViewCustomer { id: i64 },
    FindCustomer { id: i64, email: String },
}

/// The content of an order to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewOrder {
    pub(crate) customer: i64,
    /// Products and quantities, line by line.
    pub(crate) lines: Vec<(i64, i64)>,
    /// Unique; by it an order is found that was made without a key.
    pub(crate) reference: Option<String>,
    pub(crate) expected_total_cents: Option<i64>,
}

/// A request that was sent once.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Which of the record's requests.
    pub(crate) request: usize,
    /// Those who send beside each other under one key are numbered.
    pub(crate) sender: usize,
    /// Microseconds since the load started.
    pub(crate) started: u64,
    pub(crate) ended: u64,
    pub(crate) outcome: Outcome,
    /// The body, where others under the same key are to be compared with it.
    pub(crate) body: Option<Arc<[u8]>>,
}

impl Request {
    pub(crate) fn operation(&self) -> Operation {
        match self {
            Self::Create(_) => Operation::OrderCreate,
            Self::Confirm { .. } => Operation::OrderConfirm,
            Self::Cancel { .. } => Operation::OrderCancel,
            Self::ViewOrder { .. } => Operation::OrderView,
            Self::FindOrder { .. } => Operation::OrderList,
            Self::CreateAndConfirm(_) => Operation::OrderCreateAndConfirm,
            Self::SetPrice { .. } | Self::SetStock { .. } => Operation::ProductUpdate,
            Self::AdjustStock { .. } => Operation::StockAdjustmentCreate,
            Self::ViewProduct { .. } => Operation::ProductView,
            Self::CreateCustomer { .. } => Operation::CustomerCreate,
            Self::UpdateCustomer { .. } => Operation::CustomerUpdate,
            Self::DeleteCustomer { .. } => Operation::CustomerDelete,
            Self::ViewCustomer { .. } => Operation::CustomerView,
            Self::FindCustomer { .. } => Operation::CustomerList,
        }
    }
}

impl Sent {
    pub(crate) fn effect(&self) -> Effect {
        effect(&self.outcome)
    }

    pub(crate) fn order(&self) -> Option<&OrderSeen> {
        match &self.outcome {
            Ok(Told { seen: Seen::Order(order), .. }) => Some(order),
            _ => None,
        }
    }

    pub(crate) fn product(&self) -> Option<&ProductSeen> {
        match &self.outcome {
            Ok(Told { seen: Seen::Product(product), .. }) => Some(product),
            _ => None,
        }
    }

    /// The status and the code of an error answer.
    pub(crate) fn refusal(&self) -> Option<(u16, &str)> {
        match &self.outcome {
            Err(client_common::Fault::Answered { status, body: Some(refusal), .. }) => Some((*status, &refusal.code)),
            _ => None,
        }
    }

    pub(crate) fn is_replay(&self) -> bool {
        matches!(&self.outcome, Ok(told) if told.replayed)
    }
}

impl Record {
    /// An operation under no key, which was sent for until `sends` ended.
    pub(crate) fn unkeyed(caller: Caller, request: Request, sends: Vec<Sent>) -> Self {
        Self { caller, key: None, requests: vec![request], sends }
    }

    /// What was asked for first.
    pub(crate) fn request(&self) -> &Request {
        &self.requests[0]
    }

    pub(crate) fn operation(&self) -> Operation {
        self.request().operation()
    }

    /// Requests that succeeded, as the client was told.
    pub(crate) fn acknowledged(&self) -> impl Iterator<Item = &Sent> {
        self.sends.iter().filter(|sent| sent.effect() == Effect::Done)
    }

    pub(crate) fn is_acknowledged(&self) -> bool {
        self.acknowledged().next().is_some()
    }

    /// How many requests may have been carried out without the client having been told.
    pub(crate) fn unknown(&self) -> usize {
        self.sends.iter().filter(|sent| sent.effect() == Effect::Unknown).count()
    }

    /// Whether something may have been done: somebody was told so, or not told otherwise.
    pub(crate) fn may_be_done(&self) -> bool {
        self.sends.iter().any(|sent| sent.effect() != Effect::Nothing)
    }

    /// Whether the operation ended without anybody knowing whether it was carried out. Asking is carried out or not.
    pub(crate) fn is_unresolved(&self) -> bool {
        !self.is_acknowledged() && self.sends.last().is_some_and(|sent| sent.effect() == Effect::Unknown)
    }

    /// Whether something that was asked for was never answered for good.
    fn is_given_up(&self) -> bool {
        let mut pursuits = self.sends.chunk_by(|one, next| (one.request, one.sender) == (next.request, next.sender));
        pursuits.any(|sends| {
            sends.last().is_some_and(|last| last.outcome.as_ref().is_err_and(client_common::Fault::may_pass))
        })
    }

    /// Drops the bodies, unless there are two that should be equal and are not.
    pub(crate) fn without_equal_bodies(mut self) -> Self {
        let mut seen = Vec::new();
        for sent in &self.sends {
            if let Ok(told) = &sent.outcome {
                seen.push((sent.sender, told.digest));
            }
        }
        let equal = seen.iter().all(|(sender, digest)| seen.iter().all(|(other, d)| other != sender || d == digest));
        if equal {
            self.sends.iter_mut().for_each(|sent| sent.body = None);
        }
        self
    }

    /// The operation and its key, as a sentence names it.
    pub(crate) fn name(&self) -> String {
        let operation = self.operation();
        let caller = match self.caller {
            Caller::Operator => "the operator",
            Caller::Service => "the service",
        };
        match (&self.key, self.request()) {
            (Some(key), _) => format!("{operation} of {caller} under the key {key}"),
            (None, Request::Create(NewOrder { reference: Some(reference), .. })) => {
                format!("{operation} of {caller} with the reference {reference}")
            }
            (None, request) => format!("{operation} of {caller}, {request:?}"),
        }
    }
}
