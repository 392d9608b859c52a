//! Whether what the orchestrator answered of orders is true.

use std::collections::BTreeSet;

use orchestrator_client::types::{Compensated, FailureReason};

use super::creates::{is_asked_for, sum};
use super::snapshot::{Row, Snapshot};
use super::{Findings, orders};
use crate::history::{History, Record, Sent};
use crate::request::Request;

const THERE: &str = "an order that the orchestrator acknowledged exists, confirmed, as it was told and asked for";
const ONE: &str = "at most one order is ever made under one key of the orchestrator";
const FAILED: &str = "where the orchestrator failed for good, no order is left";
const UNDONE: &str = "an order that the orchestrator calls undone is canceled";
const NOTHING: &str = "where the orchestrator only ever did nothing, no order is left";

pub(super) fn check(history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    for record in history.records.iter().filter(|record| matches!(record.request(), Request::CreateAndConfirm(_))) {
        let mut created = snapshot.orders_of(record);
        for sent in &record.sends {
            let (Some(seen), Request::CreateAndConfirm(new)) = (sent.order(), &record.requests[sent.request]) else {
                continue;
            };
            created.insert(seen.id);
            let Some(row) = snapshot.orders.get(&seen.id) else {
                findings.add(THERE, format_args!("order {} of {record} is missing", seen.id));
                continue;
            };
            let is_there = row.is_as_shown(seen) && is_asked_for(new, seen) && seen.total_cents == sum(seen);
            let breach =
                format_args!("{record} asked for {new:?}, and was told of {seen:?}; order {} is {row:?}", seen.id);
            findings.unless(is_there, THERE, breach);
            orders::check_confirmed(row, seen, record, findings);
        }
        findings.unless(created.len() <= 1, ONE, format_args!("{record} made {created:?}"));
        check_failures(record, &created, snapshot, findings);
    }
}

fn check_failures(record: &Record, created: &BTreeSet<i64>, snapshot: &Snapshot, findings: &mut Findings) {
    for failure in record.sends.iter().filter_map(failure) {
        let FailureReason { order_id: Some(id), compensated: Compensated::Done, .. } = failure else { continue };
        let is_live = snapshot.orders.get(id).is_none_or(Row::is_live);
        findings.unless(!is_live, UNDONE, format_args!("order {id} of {record} is live or missing"));
    }
    if record.is_acknowledged() {
        return;
    }
    let needed_nothing = |sent| failure(sent).is_some_and(|failure| failure.compensated == Compensated::NotNeeded);
    let did_nothing = record.sends.iter().all(needed_nothing);
    let live: Vec<_> = created.iter().filter(|id| snapshot.orders.get(id).is_some_and(Row::is_live)).collect();
    let breach = format_args!("{record} made {created:?}, of which are live {live:?}");
    findings.unless(!did_nothing || created.is_empty(), NOTHING, breach);
    findings.unless(record.may_be_done() || live.is_empty(), NOTHING, breach);
    let last = |sender| record.sends.iter().rfind(|sent| sent.sender == sender);
    for (sender, other) in [(0, 1), (1, 0)] {
        let failed = last(sender).is_some_and(failed_for_good);
        let other_may_have = last(other).is_some_and(Sent::may_be_done);
        findings.unless(!failed || other_may_have || live.is_empty(), FAILED, breach);
    }
}

/// A key that is refused as reused is about another content, whose order may live.
fn failed_for_good(sent: &Sent) -> bool {
    let reused = sent.has_code("idempotency_key_reused");
    !reused && !sent.may_be_done() && failure(sent).is_some_and(|failure| !failure.safe_to_retry)
}

fn failure(sent: &Sent) -> Option<&FailureReason> {
    sent.refusal().and_then(|(_, refusal)| refusal.failure.as_deref())
}
