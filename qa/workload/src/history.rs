//! What clients asked for and how it was answered.

use std::fmt;
use std::sync::Arc;

use client_common::Fault;

use crate::outcome::{Effect, OrderSeen, Outcome, ProductSeen, Seen, Success, effect};
use crate::progress::Progress;
use crate::request::{Caller, NewOrder, Request};

/// Everything that the clients of a load asked for, with all answers.
#[derive(Debug)]
pub struct History {
    pub(crate) records: Vec<Record>,
    /// The products as they were created; only the load changes them.
    pub(crate) products: Vec<ProductSeen>,
    /// The principal under which the operator's work is recorded.
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
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Number of operations. Each counts once, however often its request was sent.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.records.len()
    }

    /// Number of operations without a definite answer: given up although a retry might have helped, or of unknown outcome.
    #[must_use]
    pub fn given_up(&self) -> usize {
        self.records.iter().filter(|record| record.is_given_up()).count()
    }

    /// Number of requests.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.records.iter().map(|record| record.sends.len()).sum()
    }
}

/// One operation: every request that was sent for it, or under its key.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) caller: Caller,
    pub(crate) key: Option<String>,
    /// What was asked for. All but the first were sent under the same key with other content.
    pub(crate) requests: Vec<Request>,
    pub(crate) sends: Vec<Sent>,
}

/// A request that was sent once.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Which of the record's requests.
    pub(crate) request: usize,
    /// Which of the senders under one key.
    pub(crate) sender: usize,
    /// Microseconds since the load started.
    pub(crate) started: u64,
    pub(crate) ended: u64,
    pub(crate) outcome: Outcome,
    /// The body, where another under the same key should be equal and is not.
    pub(crate) body: Option<Arc<[u8]>>,
}

impl Sent {
    pub(crate) fn effect(&self) -> Effect {
        effect(&self.outcome)
    }

    /// What a success shows.
    pub(crate) fn seen(&self) -> Option<&Seen> {
        self.outcome.as_ref().ok().map(|success| &success.seen)
    }

    pub(crate) fn order(&self) -> Option<&OrderSeen> {
        match self.seen() {
            Some(Seen::Order(order)) => Some(order),
            _ => None,
        }
    }

    pub(crate) fn product(&self) -> Option<&ProductSeen> {
        match self.seen() {
            Some(Seen::Product(product)) => Some(product),
            _ => None,
        }
    }

    /// The status and the code of an error answer.
    pub(crate) fn refusal(&self) -> Option<(u16, &str)> {
        match &self.outcome {
            Err(Fault::Answered { status, body: Some(refusal), .. }) => Some((*status, &refusal.code)),
            _ => None,
        }
    }

    pub(crate) fn has_code(&self, code: &str) -> bool {
        self.refusal().is_some_and(|(_, found)| found == code)
    }

    pub(crate) fn is_replay(&self) -> bool {
        matches!(&self.outcome, Ok(Success { replayed: true, .. }))
    }
}

impl Record {
    /// What was asked for first.
    pub(crate) fn request(&self) -> &Request {
        &self.requests[0]
    }

    /// Requests that succeeded, as far as the client knows.
    pub(crate) fn acknowledged(&self) -> impl Iterator<Item = &Sent> {
        self.sends.iter().filter(|sent| sent.effect() == Effect::Done)
    }

    pub(crate) fn is_acknowledged(&self) -> bool {
        self.acknowledged().next().is_some()
    }

    /// Number of requests that may have been executed without the client knowing.
    pub(crate) fn unknown(&self) -> usize {
        self.sends.iter().filter(|sent| sent.effect() == Effect::Unknown).count()
    }

    /// How often the operation may have been executed: once for each acknowledged request, and for each of unknown outcome.
    pub(crate) fn possible(&self) -> std::ops::RangeInclusive<usize> {
        let least = self.acknowledged().count();
        least..=least + self.unknown()
    }

    /// Whether something may have been done.
    pub(crate) fn may_be_done(&self) -> bool {
        self.sends.iter().any(|sent| sent.effect() != Effect::Nothing)
    }

    /// Whether the operation ended with its outcome unknown.
    pub(crate) fn is_unresolved(&self) -> bool {
        !self.is_acknowledged() && self.sends.last().is_some_and(|sent| sent.effect() == Effect::Unknown)
    }

    /// Whether one of its requests never got a definite answer.
    fn is_given_up(&self) -> bool {
        let mut pursuits = self.sends.chunk_by(|one, next| (one.request, one.sender) == (next.request, next.sender));
        pursuits.any(|sends| sends.last().is_some_and(|last| last.outcome.as_ref().is_err_and(Fault::may_pass)))
    }

    /// Drops the bodies, unless two of one sender should be equal and are not.
    pub(crate) fn without_equal_bodies(mut self) -> Self {
        let bodies = || self.sends.iter().filter_map(|sent| Some((sent.sender, sent.body.as_ref()?)));
        if bodies().all(|(sender, body)| bodies().all(|(other, same)| sender != other || body == same)) {
            self.sends.iter_mut().for_each(|sent| sent.body = None);
        }
        self
    }
}

/// The operation and its key, as a finding names it.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let caller = match self.caller {
            Caller::Operator => "the operator",
            Caller::Service => "the service",
        };
        write!(f, "{} of {caller}", self.request().operation())?;
        match (&self.key, self.request()) {
            (Some(key), _) => write!(f, " under the key {key}"),
            (None, Request::Create(NewOrder { reference: Some(reference), .. })) => {
                write!(f, " with the reference {reference}")
            }
            (None, request) => write!(f, ", {request:?}"),
        }
    }
}
