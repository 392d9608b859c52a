//! What clients asked for and how it was answered.

use std::fmt;
use std::time::Duration;

use client_common::Fault;

use crate::outcome::{Customer, Order, Outcome, Product, Refusal, Seen, Success, is_unknown};
use crate::progress::Progress;
use crate::request::{Caller, Request};

/// Everything that the clients of a load asked for, with all answers.
#[derive(Debug)]
pub struct History {
    pub(crate) records: Vec<Record>,
    /// The products as they were created; only the load changes them.
    pub(crate) products: Vec<Product>,
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
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Number of operations. Each counts once, however often its request was sent.
    pub fn operations(&self) -> usize {
        self.records.len()
    }

    /// Number of operations without a definite answer: given up although a retry might have helped, or of unknown outcome.
    pub fn given_up(&self) -> usize {
        self.records.iter().filter(|record| record.is_given_up()).count()
    }

    /// Number of requests.
    pub fn requests(&self) -> usize {
        self.records.iter().map(|record| record.sends.len()).sum()
    }

    /// Every request that was sent, with its record.
    pub(crate) fn sends(&self) -> impl Iterator<Item = (&Record, &Sent)> {
        self.records.iter().flat_map(|record| record.sends.iter().map(move |sent| (record, sent)))
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
    /// Since the load started.
    pub(crate) started: Duration,
    pub(crate) ended: Duration,
    pub(crate) outcome: Outcome,
}

impl Sent {
    /// Whether it may have been executed.
    pub(crate) fn may_be_done(&self) -> bool {
        self.outcome.is_ok() || is_unknown(&self.outcome)
    }

    /// What a success shows.
    pub(crate) fn seen(&self) -> Option<&Seen> {
        self.outcome.as_ref().ok().map(|success| &success.seen)
    }

    pub(crate) fn order(&self) -> Option<&Order> {
        if let Some(Seen::Order(order)) = self.seen() { Some(order) } else { None }
    }

    pub(crate) fn product(&self) -> Option<&Product> {
        if let Some(Seen::Product(product)) = self.seen() { Some(product) } else { None }
    }

    pub(crate) fn customer(&self) -> Option<&Customer> {
        if let Some(Seen::Customer(customer)) = self.seen() { Some(customer) } else { None }
    }

    /// The status and the body of an error answer.
    pub(crate) fn refusal(&self) -> Option<(u16, &Refusal)> {
        let fault = self.outcome.as_ref().err()?;
        Some((fault.status()?, fault.body()?))
    }

    pub(crate) fn has_code(&self, code: &str) -> bool {
        self.outcome.as_ref().is_err_and(|fault| fault.has_code(code))
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

    /// Names by which an order in the database is known to come from this record.
    pub(crate) fn names(&self) -> Vec<String> {
        match (self.request(), &self.key) {
            (Request::Create(new), key) => new.external_reference.iter().chain(key).cloned().collect(),
            (Request::CreateAndConfirm(_), Some(key)) => vec![format!("{key}/0"), format!("{key}/1")],
            _ => Vec::new(),
        }
    }

    /// Requests that succeeded, as far as the client knows.
    pub(crate) fn acknowledged(&self) -> impl Iterator<Item = &Sent> {
        self.sends.iter().filter(|sent| sent.outcome.is_ok())
    }

    pub(crate) fn is_acknowledged(&self) -> bool {
        self.acknowledged().next().is_some()
    }

    /// Number of requests that may have been executed without the client knowing.
    pub(crate) fn unknown(&self) -> usize {
        self.sends.iter().filter(|sent| is_unknown(&sent.outcome)).count()
    }

    /// How often the operation may have been executed: once for each acknowledged request, and for each of unknown outcome.
    pub(crate) fn possible(&self) -> std::ops::RangeInclusive<usize> {
        let least = self.acknowledged().count();
        least..=least + self.unknown()
    }

    /// Whether something may have been done.
    pub(crate) fn may_be_done(&self) -> bool {
        self.sends.iter().any(Sent::may_be_done)
    }

    /// Whether the operation ended with its outcome unknown.
    pub(crate) fn is_unresolved(&self) -> bool {
        !self.is_acknowledged() && self.sends.last().is_some_and(Sent::may_be_done)
    }

    /// Whether one of its requests never got a definite answer.
    fn is_given_up(&self) -> bool {
        let mut pursuits = self.sends.chunk_by(|one, next| (one.request, one.sender) == (next.request, next.sender));
        pursuits.any(|sends| sends.last().is_some_and(|last| last.outcome.as_ref().is_err_and(Fault::may_pass)))
    }

    /// Drops the bodies, unless two of one sender should be equal and are not.
    pub(crate) fn without_equal_bodies(mut self) -> Self {
        let bodies =
            || self.acknowledged().flat_map(|sent| sent.outcome.iter().map(|success| (sent.sender, &success.body)));
        if bodies().all(|(sender, body)| bodies().all(|(other, same)| sender != other || body == same)) {
            self.sends.iter_mut().flat_map(|sent| &mut sent.outcome).for_each(|success| success.body = Vec::new());
        }
        self
    }
}

/// The operation and its key, as a finding names it.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operation, caller) = (self.request().call().operation, self.caller);
        match &self.key {
            Some(key) => write!(f, "{operation} by {caller:?} under the key {key}"),
            None => write!(f, "{operation} by {caller:?}, {:?}", self.request()),
        }
    }
}
