//! Whether what the orchestrator said of orders is true.

use std::collections::{BTreeSet, HashMap};

use client_common::Fault;
use orchestrator_client::types::Compensated;

use super::Findings;
use super::books::{Books, Order};
use crate::history::{History, Record, Request, Sent};
use crate::outcome::{Effect, Left};

const THERE: &str = "an order that the orchestrator acknowledged exists, confirmed, as it was told and asked for";
const ONE: &str = "at most one order is ever made under one key of the orchestrator";
const FAILED: &str = "where the orchestrator failed for good, no order is left";
const UNDONE: &str = "an order that the orchestrator calls undone is canceled";
const NOTHING: &str = "where the orchestrator only ever did nothing, no order is left";

/// Each piece of work that the orchestrator was given, by the name that its orders carry.
pub(super) fn correlation_ids(history: &History) -> HashMap<String, &Record> {
    let mut ids = HashMap::new();
    for record in &history.records {
        if let (Request::CreateAndConfirm(_), Some(key)) = (record.request(), &record.key) {
            for sent in &record.sends {
                ids.insert(format!("{key}/{}", sent.sender), record);
            }
        }
    }
    ids
}

pub(super) fn check(history: &History, books: &Books, findings: &mut Findings) {
    for record in &history.records {
        let (Request::CreateAndConfirm(_), Some(key)) = (record.request(), &record.key) else { continue };
        let mut made = BTreeSet::new();
        for sender in [0, 1] {
            made.extend(books.by_correlation.get(&format!("{key}/{sender}")).into_iter().flatten().copied());
        }
        for sent in record.acknowledged() {
            check_told(record, sent, books, &mut made, findings);
        }
        findings.unless(made.len() <= 1, ONE, || format!("{} made {made:?}", record.name()));
        check_failures(record, &made, books, findings);
    }
}

fn check_told(record: &Record, sent: &Sent, books: &Books, made: &mut BTreeSet<i64>, findings: &mut Findings) {
    let (Some(told), Request::CreateAndConfirm(new)) = (sent.order(), &record.requests[sent.request]) else { return };
    made.insert(told.id);
    let Some(order) = books.orders.get(&told.id) else {
        return findings.add(THERE, format!("order {} of {} is missing", told.id, record.name()));
    };
    let sum: i64 = told.items.iter().map(|item| item.qty * item.unit_price_cents).sum();
    let as_asked = super::creates::is_asked_for(new, told) && told.total_cents == sum;
    findings.unless(as_asked && super::creates::is_as_told(order, told), THERE, || {
        let (id, name) = (told.id, record.name());
        format!("order {id} of {name} was asked for as {new:?}, told as {told:?}, and is {order:?}")
    });
    super::orders::check_confirmed(told.id, order, told, &record.name(), findings);
}

fn check_failures(record: &Record, made: &BTreeSet<i64>, books: &Books, findings: &mut Findings) {
    let live: Vec<_> = made.iter().filter(|id| books.orders.get(id).is_some_and(Order::is_live)).collect();
    for sent in &record.sends {
        let Some(Left { order: Some(id), compensated: Compensated::Done, .. }) = left(sent) else { continue };
        let is_live = books.orders.get(&id).is_none_or(Order::is_live);
        findings.unless(!is_live, UNDONE, || format!("order {id} of {} is live or missing", record.name()));
    }
    if record.is_acknowledged() {
        return;
    }
    let needed_nothing = |sent| left(sent).is_some_and(|left| left.compensated == Compensated::NotNeeded);
    let did_nothing = record.sends.iter().all(needed_nothing);
    findings.unless(!did_nothing || made.is_empty(), NOTHING, || format!("{} made {made:?}", record.name()));
    if live.is_empty() {
        return;
    }
    findings.unless(record.may_be_done(), NOTHING, || format!("{} left {live:?}", record.name()));
    let last = |sender| record.sends.iter().rfind(|sent| sent.sender == sender);
    for (sender, other) in [(0, 1), (1, 0)] {
        let failed = last(sender).is_some_and(failed_for_good);
        let other_may_have = last(other).is_some_and(|sent| sent.effect() != Effect::Nothing);
        findings.unless(!failed || other_may_have, FAILED, || format!("{} left {live:?}", record.name()));
    }
}

/// A key that is refused as reused is about another content: that one's order may live.
fn failed_for_good(sent: &Sent) -> bool {
    let reused = matches!(sent.refusal(), Some((_, "idempotency_key_reused")));
    !reused && sent.effect() == Effect::Nothing && left(sent).is_some_and(|left| !left.safe_to_retry)
}

fn left(sent: &Sent) -> Option<Left> {
    match &sent.outcome {
        Err(Fault::Answered { body: Some(refusal), .. }) => refusal.left,
        _ => None,
    }
}
