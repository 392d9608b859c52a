//! Whether what the orchestrator answered of orders is true.

use std::collections::{BTreeSet, HashMap};

use client_common::Fault;
use orchestrator_client::types::Compensated;

use super::creates::{is_as_told, is_asked_for, sum};
use super::snapshot::{Order, Snapshot};
use super::{Findings, orders};
use crate::history::{History, Record, Sent};
use crate::outcome::{Effect, Left};
use crate::request::Request;

const THERE: &str = "an order that the orchestrator acknowledged exists, confirmed, as it was told and asked for";
const ONE: &str = "at most one order is ever made under one key of the orchestrator";
const FAILED: &str = "where the orchestrator failed for good, no order is left";
const UNDONE: &str = "an order that the orchestrator calls undone is canceled";
const NOTHING: &str = "where the orchestrator only ever did nothing, no order is left";

/// Each piece of work that the orchestrator was given, by the correlation id of its orders.
pub(super) fn correlation_ids(history: &History) -> HashMap<String, &Record> {
    let mut ids = HashMap::new();
    for record in &history.records {
        if let (Request::CreateAndConfirm(_), Some(key)) = (record.request(), &record.key) {
            ids.extend(record.sends.iter().map(|sent| (format!("{key}/{}", sent.sender), record)));
        }
    }
    ids
}

pub(super) fn check(history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    for record in &history.records {
        let (Request::CreateAndConfirm(_), Some(key)) = (record.request(), &record.key) else { continue };
        let of_sender = |sender| snapshot.by_correlation.get(&format!("{key}/{sender}"));
        let mut made: BTreeSet<i64> = [0, 1].into_iter().filter_map(of_sender).flatten().copied().collect();
        for sent in record.acknowledged() {
            made.extend(sent.order().map(|seen| seen.id));
            check_success(record, sent, snapshot, findings);
        }
        findings.unless(made.len() <= 1, ONE, format_args!("{record} made {made:?}"));
        check_failures(record, &made, snapshot, findings);
    }
}

fn check_success(record: &Record, sent: &Sent, snapshot: &Snapshot, findings: &mut Findings) {
    let (Some(seen), Request::CreateAndConfirm(new)) = (sent.order(), &record.requests[sent.request]) else { return };
    let id = seen.id;
    let Some(order) = snapshot.orders.get(&id) else {
        return findings.add(THERE, format_args!("order {id} of {record} is missing"));
    };
    let as_asked = is_asked_for(new, seen) && seen.total_cents == sum(seen);
    let breach = format_args!("order {id} of {record} was asked for as {new:?}, told as {seen:?}, and is {order:?}");
    findings.unless(as_asked && is_as_told(order, seen), THERE, breach);
    orders::check_confirmed(id, order, seen, record, findings);
}

fn check_failures(record: &Record, made: &BTreeSet<i64>, snapshot: &Snapshot, findings: &mut Findings) {
    let live: Vec<_> = made.iter().filter(|id| snapshot.orders.get(id).is_some_and(Order::is_live)).collect();
    for sent in &record.sends {
        let Some(Left { order: Some(id), compensated: Compensated::Done, .. }) = left(sent) else { continue };
        let is_live = snapshot.orders.get(&id).is_none_or(Order::is_live);
        findings.unless(!is_live, UNDONE, format_args!("order {id} of {record} is live or missing"));
    }
    if record.is_acknowledged() {
        return;
    }
    let needed_nothing = |sent| left(sent).is_some_and(|left| left.compensated == Compensated::NotNeeded);
    let did_nothing = record.sends.iter().all(needed_nothing);
    findings.unless(!did_nothing || made.is_empty(), NOTHING, format_args!("{record} made {made:?}"));
    if live.is_empty() {
        return;
    }
    let breach = format_args!("{record} left {live:?}");
    findings.unless(record.may_be_done(), NOTHING, breach);
    let last = |sender| record.sends.iter().rfind(|sent| sent.sender == sender);
    for (sender, other) in [(0, 1), (1, 0)] {
        let failed = last(sender).is_some_and(failed_for_good);
        let other_may_have = last(other).is_some_and(|sent| sent.effect() != Effect::Nothing);
        findings.unless(!failed || other_may_have, FAILED, breach);
    }
}

/// A key that is refused as reused is about another content, whose order may live.
fn failed_for_good(sent: &Sent) -> bool {
    let reused = sent.has_code("idempotency_key_reused");
    !reused && sent.effect() == Effect::Nothing && left(sent).is_some_and(|left| !left.safe_to_retry)
}

fn left(sent: &Sent) -> Option<Left> {
    match &sent.outcome {
        Err(Fault::Answered { body: Some(refusal), .. }) => refusal.left,
        _ => None,
    }
}
