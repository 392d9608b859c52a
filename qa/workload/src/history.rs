//! History of a load: every request that the clients sent, and its outcome.

use std::fmt;
use std::time::Duration;

use client_common::Fault;

use crate::outcome::{Customer, ErrorBody, Observed, Order, Outcome, Product, Success, is_unknown};
use crate::progress::Progress;
use crate::request::{Caller, Request};

/// All operations that the clients of a load executed, with all outcomes.
#[derive(Debug)]
pub struct History {
    pub(crate) records: Vec<Record>,
    /// Products as they were created. Only the load changes them.
    pub(crate) products: Vec<Product>,
    /// Principal under which the database records the changes made by the user account.
    pub(crate) user_principal: String,
    /// Whether a load balancer may send a response itself.
    pub(crate) behind_balancer: bool,
    pub(crate) progress: Progress,
    /// Errors of clients that terminated early. The records of these clients are lost.
    pub(crate) lost_clients: Vec<String>,
}

impl History {
    /// Returns the counters: responses by operation, retries, and unknown outcomes.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Returns the number of operations. An operation counts once, regardless of how often its request was sent.
    pub fn operations(&self) -> usize {
        self.records.len()
    }

    /// Returns the number of operations without a definite response: abandoned ones, and those with unknown outcome.
    pub fn abandoned(&self) -> usize {
        self.records.iter().filter(|record| record.is_abandoned()).count()
    }

    /// Returns the number of requests that were sent.
    pub fn requests(&self) -> usize {
        self.records.iter().map(|record| record.sends.len()).sum()
    }

    /// Returns every request that was sent, together with its record.
    pub(crate) fn sends(&self) -> impl Iterator<Item = (&Record, &Sent)> {
        self.records.iter().flat_map(|record| record.sends.iter().map(move |sent| (record, sent)))
    }
}

/// Record of one operation: every request that was sent for it or under its key.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) caller: Caller,
    pub(crate) key: Option<String>,
    /// Requests in the order in which they were sent. All except the first have different content under the same key.
    pub(crate) requests: Vec<Request>,
    pub(crate) sends: Vec<Sent>,
}

/// One attempt to send a request.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Index of the request in the record's list.
    pub(crate) request: usize,
    /// Number of the sender, which distinguishes concurrent senders that use the same key.
    pub(crate) sender: usize,
    /// Times since the start of the load.
    pub(crate) started: Duration,
    pub(crate) ended: Duration,
    pub(crate) outcome: Outcome,
}

impl Sent {
    pub(crate) fn may_have_executed(&self) -> bool {
        self.outcome.is_ok() || is_unknown(&self.outcome)
    }

    /// Returns the content of a successful response, if the request succeeded.
    pub(crate) fn observed(&self) -> Option<&Observed> {
        self.outcome.as_ref().ok().map(|success| &success.observed)
    }

    pub(crate) fn order(&self) -> Option<&Order> {
        if let Some(Observed::Order(order)) = self.observed() { Some(order) } else { None }
    }

    pub(crate) fn product(&self) -> Option<&Product> {
        if let Some(Observed::Product(product)) = self.observed() { Some(product) } else { None }
    }

    pub(crate) fn customer(&self) -> Option<&Customer> {
        if let Some(Observed::Customer(customer)) = self.observed() { Some(customer) } else { None }
    }

    /// Returns the status and body of an error response, if the request was rejected.
    pub(crate) fn error(&self) -> Option<(u16, &ErrorBody)> {
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
    pub(crate) fn request(&self) -> &Request {
        &self.requests[0]
    }

    /// Returns the keys, references and correlation IDs with which the database associates an order with this record.
    pub(crate) fn names(&self) -> Vec<String> {
        match (self.request(), &self.key) {
            (Request::Create(new), key) => new.external_reference.iter().chain(key).cloned().collect(),
            (Request::CreateAndConfirm(_), Some(key)) => vec![format!("{key}/0"), format!("{key}/1")],
            _ => Vec::new(),
        }
    }

    /// Returns the requests whose success was acknowledged to the client.
    pub(crate) fn acknowledged(&self) -> impl Iterator<Item = &Sent> {
        self.sends.iter().filter(|sent| sent.outcome.is_ok())
    }

    pub(crate) fn is_acknowledged(&self) -> bool {
        self.acknowledged().next().is_some()
    }

    pub(crate) fn unknown(&self) -> usize {
        self.sends.iter().filter(|sent| is_unknown(&sent.outcome)).count()
    }

    /// Returns the possible numbers of executions: one per acknowledged request, at most one per unknown outcome.
    pub(crate) fn possible_executions(&self) -> std::ops::RangeInclusive<usize> {
        let least = self.acknowledged().count();
        least..=least + self.unknown()
    }

    pub(crate) fn may_have_executed(&self) -> bool {
        self.sends.iter().any(Sent::may_have_executed)
    }

    /// Returns whether the outcome of the operation remained unknown.
    pub(crate) fn is_unresolved(&self) -> bool {
        !self.is_acknowledged() && self.sends.last().is_some_and(Sent::may_have_executed)
    }

    /// Returns whether any of the requests never received a definite response.
    fn is_abandoned(&self) -> bool {
        let mut series = self.sends.chunk_by(|one, next| (one.request, one.sender) == (next.request, next.sender));
        series.any(|sends| sends.last().is_some_and(|last| last.outcome.as_ref().is_err_and(Fault::is_transient)))
    }

    /// Drops the response bodies, unless two responses to one sender differ although they must be equal.
    pub(crate) fn without_equal_bodies(mut self) -> Self {
        let bodies =
            || self.acknowledged().flat_map(|sent| sent.outcome.iter().map(|success| (sent.sender, &success.body)));
        if bodies().all(|(sender, body)| bodies().all(|(other, same)| sender != other || body == same)) {
            self.sends.iter_mut().flat_map(|sent| &mut sent.outcome).for_each(|success| success.body = Vec::new());
        }
        self
    }
}

/// Formats the operation and its key for findings.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operation, caller) = (self.request().call().operation, self.caller);
        match &self.key {
            Some(key) => write!(f, "{operation} by {caller:?} under the key {key}"),
            None => write!(f, "{operation} by {caller:?}, {:?}", self.request()),
        }
    }
}
