//! Checks the orchestrator's responses against the stored orders.

use std::collections::BTreeSet;

use orchestrator_client::types::{Compensated, FailureReason};

use super::creates::{is_as_requested, sum};
use super::snapshot::{Row, Snapshot};
use super::{Findings, orders};
use crate::history::{History, Record, Sent};
use crate::request::Request;

const EXISTS: &str = "an order acknowledged by the orchestrator exists as requested and returned";
const ONE: &str = "the orchestrator creates at most one order per idempotency key";
const FAILED: &str = "a saga that failed permanently leaves no live order";
const COMPENSATED: &str = "an order reported as compensated is canceled";
const NO_EFFECT: &str = "a saga whose responses all report no effect leaves no order";

pub(super) fn check(history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    for record in history.records.iter().filter(|record| matches!(record.request(), Request::CreateAndConfirm(_))) {
        let mut created = snapshot.orders_of(record);
        for sent in &record.sends {
            let (Some(observed), Request::CreateAndConfirm(new)) = (sent.order(), &record.requests[sent.request])
            else {
                continue;
            };
            let id = observed.id;
            created.insert(id);
            let Some(row) = snapshot.orders.get(&id) else {
                findings.add(EXISTS, format_args!("order {id} of {record} is missing"));
                continue;
            };
            let exists =
                row.is_as_returned(observed) && is_as_requested(new, observed) && observed.total_cents == sum(observed);
            let violation =
                format_args!("{record} requested {new:?} and returned {observed:?}; order {id} is stored as {row:?}");
            findings.unless(exists, EXISTS, violation);
            orders::check_confirmed(row, observed, record, findings);
        }
        findings.unless(created.len() <= 1, ONE, format_args!("{record} created {created:?}"));
        check_failures(record, &created, snapshot, findings);
    }
}

fn check_failures(record: &Record, created: &BTreeSet<i64>, snapshot: &Snapshot, findings: &mut Findings) {
    for failure in record.sends.iter().filter_map(failure) {
        let FailureReason { order_id: Some(id), compensated: Compensated::Done, .. } = failure else { continue };
        let is_live = snapshot.orders.get(id).is_none_or(Row::is_live);
        findings.unless(!is_live, COMPENSATED, format_args!("order {id} of {record} is live or missing"));
    }
    if record.is_acknowledged() {
        return;
    }
    let has_no_effect = |sent| failure(sent).is_some_and(|failure| failure.compensated == Compensated::NotNeeded);
    let had_no_effect = record.sends.iter().all(has_no_effect);
    let live: Vec<_> = created.iter().filter(|id| snapshot.orders.get(id).is_some_and(Row::is_live)).collect();
    let violation = format_args!("{record} created {created:?}, of which {live:?} are live");
    findings.unless(!had_no_effect || created.is_empty(), NO_EFFECT, violation);
    findings.unless(record.may_have_executed() || live.is_empty(), NO_EFFECT, violation);
    let last = |sender| record.sends.iter().rfind(|sent| sent.sender == sender);
    for (sender, other) in [(0, 1), (1, 0)] {
        let failed = last(sender).is_some_and(failed_permanently);
        let other_may_have = last(other).is_some_and(Sent::may_have_executed);
        findings.unless(!failed || other_may_have || live.is_empty(), FAILED, violation);
    }
}

/// Whether a request failed permanently. A key rejected as reused is bound to other content, whose order may be live.
fn failed_permanently(sent: &Sent) -> bool {
    let reused = sent.has_code("idempotency_key_reused");
    !reused && !sent.may_have_executed() && failure(sent).is_some_and(|failure| !failure.safe_to_retry)
}

fn failure(sent: &Sent) -> Option<&FailureReason> {
    sent.error().and_then(|(_, error)| error.failure.as_deref())
}
