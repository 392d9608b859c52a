//! Checks that orders have the acknowledged status, and that only client requests and expiry changed it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::Findings;
use super::snapshot::{Row, Snapshot};
use crate::history::{History, Record, Sent};
use crate::outcome::{Observed, Order, Status};
use crate::request::Request;

const CONFIRMED_ONCE: &str = "an order whose confirmation was acknowledged was confirmed exactly once";
const CONFIRMED_AT: &str = "an order has the confirmation time that was acknowledged";
const RETURNED: &str =
    "a confirm request returns the requested order as CONFIRMED, and a cancel request returns it as CANCELED";
const CANCELED: &str = "an order whose cancellation was acknowledged was canceled exactly once and stays canceled";
const CANCELED_BY: &str = "a confirmed order is canceled only by a cancel request from a client";
const NOT_EXPIRED: &str = "an order whose confirmation was acknowledged does not expire";
const EXPIRES: &str = "only an order created by a service expires";
const CONFIRMED_BY: &str = "an order is confirmed only by a request from a client";
const REPORTED_CANCELED: &str = "an order that was reported as canceled is canceled";
const KNOWN: &str = "an acknowledged order is not reported as unknown";
const WINDOW: &str = "a cancel request is rejected as too late only if 10 minutes have passed since the confirmation";
const REQUESTED: &str = "every order for the load's products was requested by a client";
const FETCHED: &str = "an acknowledged order can be fetched with the same content";
const FOUND: &str = "an acknowledged row is found in its list";
const EXPIRY: &str = "system:expiry";
const CANCEL_WINDOW: Duration = Duration::from_secs(600);

pub(super) fn check(history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    let created = check_reads(history, snapshot, findings);
    let mut may_be_changed = HashSet::new();
    for record in &history.records {
        let (id, status) = match record.request() {
            Request::Confirm { order } => (*order, Status::Confirmed),
            Request::Cancel { order } => (*order, Status::Canceled),
            _ => continue,
        };
        if record.may_have_executed() {
            may_be_changed.insert((id, status));
        }
        let Some(row) = snapshot.orders.get(&id) else {
            findings.unless(!record.is_acknowledged(), CONFIRMED_ONCE, format_args!("order {id} is missing"));
            continue;
        };
        for sent in &record.sends {
            if let Some(observed) = sent.order() {
                check_change(row, record, status, observed, findings);
            }
            check_error(row, record, sent, created.get(&id).copied(), findings);
        }
    }
    let products: Vec<_> = history.products.iter().map(|product| product.id).collect();
    let names: HashSet<_> = history.records.iter().flat_map(Record::names).collect();
    for row in snapshot.orders.values() {
        if row.order.items.iter().any(|item| products.contains(&item.product_id)) {
            check_final_status(row, &names, &may_be_changed, findings);
        }
    }
}

/// Checks reads, all of which request acknowledged rows. Returns the first response about each new order.
fn check_reads<'h>(history: &'h History, snapshot: &Snapshot, findings: &mut Findings) -> HashMap<i64, &'h Sent> {
    let mut created = HashMap::new();
    for (record, sent) in history.sends() {
        match (record.request(), sent.observed()) {
            (Request::Create(_) | Request::CreateAndConfirm(_), Some(Observed::Order(observed))) => {
                created.entry(observed.id).or_insert(sent);
            }
            (Request::ViewOrder { order }, Some(Observed::Order(observed))) => {
                let is_same =
                    snapshot.orders.get(order).is_some_and(|row| row.is_as_returned(observed)) && observed.id == *order;
                findings.unless(is_same, FETCHED, format_args!("order {order} was returned as {observed:?}"));
            }
            (Request::ViewOrder { order }, None) => {
                let is_missing = matches!(sent.error(), Some((404, _)));
                findings.unless(!is_missing, FETCHED, format_args!("order {order} was reported as unknown"));
            }
            (request, Some(Observed::List(false))) => {
                findings.add(FOUND, format_args!("{request:?} did not find the row"));
            }
            _ => {}
        }
    }
    created
}

fn check_change(row: &Row, record: &Record, status: Status, observed: &Order, findings: &mut Findings) {
    let id = row.order.id;
    let is_returned = observed.id == id && observed.status == status && row.is_as_returned(observed);
    findings.unless(is_returned, RETURNED, format_args!("{record} of order {id} returned {observed:?}"));
    if status == Status::Confirmed {
        return check_confirmed(row, observed, record, findings);
    }
    let canceled = !row.is_live() && row.events(Status::Canceled).count() == 1;
    let violation = format_args!("order {id} is stored as {row:?}; cancellation acknowledged to {record}");
    findings.unless(canceled, CANCELED, violation);
}

/// Checks that an order is or was confirmed, as the response reports.
pub(super) fn check_confirmed(row: &Row, observed: &Order, record: &Record, findings: &mut Findings) {
    let events: Vec<_> = row.events(Status::Confirmed).collect();
    let (id, confirmed_at) = (row.order.id, row.order.confirmed_at);
    let violation = format_args!("order {id} is stored as {row:?}; {record} returned {:?}", observed.confirmed_at);
    findings.unless(events.len() == 1 && row.order.status != Status::Created, CONFIRMED_ONCE, violation);
    let at = events.first().map(|event| event.at);
    findings.unless(observed.confirmed_at == confirmed_at && at == confirmed_at, CONFIRMED_AT, violation);
    let expired = row.events(Status::Canceled).any(|event| event.principal == EXPIRY);
    findings.unless(!expired, NOT_EXPIRED, violation);
}

fn check_error(row: &Row, record: &Record, sent: &Sent, created: Option<&Sent>, findings: &mut Findings) {
    let violation =
        format_args!("order {} has status {:?}; the error was returned to {record}", row.order.id, row.order.status);
    findings.unless(!sent.has_code("order_canceled") || !row.is_live(), REPORTED_CANCELED, violation);
    findings.unless(!sent.has_code("order_not_found"), KNOWN, violation);
    let is_recent = created.is_some_and(|created| sent.ended < created.started + CANCEL_WINDOW);
    let may_be_late = row.order.confirmed_at.is_some() && (!is_recent || created.is_some_and(Sent::is_replay));
    findings.unless(!sent.has_code("cancel_window_passed") || may_be_late, WINDOW, violation);
}

fn check_final_status(row: &Row, names: &HashSet<String>, changed: &HashSet<(i64, Status)>, findings: &mut Findings) {
    let id = row.order.id;
    let violation = format_args!("order {id} is stored as {row:?}");
    findings.unless(row.names().any(|name| names.contains(name)), REQUESTED, violation);
    let (created, confirmed) = (row.event(Status::Created), row.event(Status::Confirmed));
    let by_saga = created.is_some_and(|event| names.contains(&event.correlation_id));
    let is_confirmed = confirmed.is_some() || row.order.status == Status::Confirmed;
    let may_be_confirmed = by_saga || changed.contains(&(id, Status::Confirmed));
    findings.unless(!is_confirmed || may_be_confirmed, CONFIRMED_BY, violation);
    let expired = row.event(Status::Canceled).is_some_and(|event| event.principal == EXPIRY);
    findings.unless(!expired || row.principal == "service", EXPIRES, violation);
    // A saga compensates only orders that were never confirmed.
    let may_be_canceled = by_saga && confirmed.is_none() || changed.contains(&(id, Status::Canceled));
    findings.unless(row.is_live() || expired || may_be_canceled, CANCELED_BY, violation);
}
