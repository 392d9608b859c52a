//! Whether orders have the status that clients were told, and got there only by what clients did.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::Findings;
use super::snapshot::{Row, Snapshot};
use crate::history::{History, Record, Sent};
use crate::outcome::{Order, Seen, Status};
use crate::request::Request;

const CONFIRMED_ONCE: &str = "an order whose confirmation was acknowledged was confirmed exactly once";
const CONFIRMED_THEN: &str = "an order was confirmed at the moment that was told";
const SHOWN: &str =
    "a confirmed order is answered as CONFIRMED, a canceled one as CANCELED, and as the one that was meant";
const CANCELED: &str = "an order whose cancellation was acknowledged is canceled for good, once";
const ENDED_BY: &str = "a confirmed order ends only by a cancel that a client sent";
const NOT_EXPIRED: &str = "an order whose confirmation was acknowledged does not expire";
const EXPIRES: &str = "only an order of a service expires";
const CONFIRMED_BY: &str = "an order is confirmed only where a client asked for it";
const REFUSED_CANCELED: &str = "an order that was called canceled is canceled";
const KNOWN: &str = "an order that was acknowledged is not called unknown";
const WINDOW: &str = "an order is too old to be canceled only 10 minutes after it was confirmed";
const WANTED: &str = "every order of the load's products was asked for";
const FETCHED: &str = "an order that was acknowledged can be fetched, with the same content";
const FOUND: &str = "what was acknowledged is found in the list";
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
        if record.may_be_done() {
            may_be_changed.insert((id, status));
        }
        let Some(row) = snapshot.orders.get(&id) else {
            findings.unless(!record.is_acknowledged(), CONFIRMED_ONCE, format_args!("order {id} is missing"));
            continue;
        };
        for sent in &record.sends {
            if let Some(seen) = sent.order() {
                check_change(row, record, status, seen, findings);
            }
            check_refusal(row, record, sent, created.get(&id).copied(), findings);
        }
    }
    let products: Vec<_> = history.products.iter().map(|product| product.id).collect();
    let names: HashSet<_> = history.records.iter().flat_map(Record::names).collect();
    for row in snapshot.orders.values() {
        if row.order.items.iter().any(|item| products.contains(&item.product_id)) {
            check_end(row, &names, &may_be_changed, findings);
        }
    }
}

/// Checks what clients read: they only ask for what was acknowledged. Returns the first answer about each new order.
fn check_reads<'h>(history: &'h History, snapshot: &Snapshot, findings: &mut Findings) -> HashMap<i64, &'h Sent> {
    let mut created = HashMap::new();
    for (record, sent) in history.sends() {
        match (record.request(), sent.seen()) {
            (Request::Create(_) | Request::CreateAndConfirm(_), Some(Seen::Order(seen))) => {
                created.entry(seen.id).or_insert(sent);
            }
            (Request::ViewOrder { order }, Some(Seen::Order(seen))) => {
                let there = snapshot.orders.get(order).is_some_and(|row| row.is_as_shown(seen)) && seen.id == *order;
                findings.unless(there, FETCHED, format_args!("order {order} was shown as {seen:?}"));
            }
            (Request::ViewOrder { order }, None) => {
                let is_missing = matches!(sent.refusal(), Some((404, _)));
                findings.unless(!is_missing, FETCHED, format_args!("order {order} was called unknown"));
            }
            (request, Some(Seen::List(false))) => {
                findings.add(FOUND, format_args!("{request:?} did not find it"));
            }
            _ => {}
        }
    }
    created
}

fn check_change(row: &Row, record: &Record, status: Status, seen: &Order, findings: &mut Findings) {
    let id = row.order.id;
    let shown = seen.id == id && seen.status == status && row.is_as_shown(seen);
    findings.unless(shown, SHOWN, format_args!("{record} of order {id} was told of {seen:?}"));
    if status == Status::Confirmed {
        return check_confirmed(row, seen, record, findings);
    }
    let canceled = !row.is_live() && row.events(Status::Canceled).count() == 1;
    findings.unless(canceled, CANCELED, format_args!("order {id} is {row:?}; told by {record}"));
}

/// Whether an order is, or was, confirmed as the answer says.
pub(super) fn check_confirmed(row: &Row, seen: &Order, record: &Record, findings: &mut Findings) {
    let events: Vec<_> = row.events(Status::Confirmed).collect();
    let (id, confirmed_at) = (row.order.id, row.order.confirmed_at);
    let breach = format_args!("order {id} is {row:?}; told at {:?} by {record}", seen.confirmed_at);
    findings.unless(events.len() == 1 && row.order.status != Status::Created, CONFIRMED_ONCE, breach);
    let at = events.first().map(|event| event.at);
    findings.unless(seen.confirmed_at == confirmed_at && at == confirmed_at, CONFIRMED_THEN, breach);
    let expired = row.events(Status::Canceled).any(|event| event.principal == EXPIRY);
    findings.unless(!expired, NOT_EXPIRED, breach);
}

fn check_refusal(row: &Row, record: &Record, sent: &Sent, created: Option<&Sent>, findings: &mut Findings) {
    let breach = format_args!("order {} is {:?}; told by {record}", row.order.id, row.order.status);
    findings.unless(!sent.has_code("order_canceled") || !row.is_live(), REFUSED_CANCELED, breach);
    findings.unless(!sent.has_code("order_not_found"), KNOWN, breach);
    let young = created.is_some_and(|created| sent.ended < created.started + CANCEL_WINDOW);
    let may_be_late = row.order.confirmed_at.is_some() && (!young || created.is_some_and(Sent::is_replay));
    findings.unless(!sent.has_code("cancel_window_passed") || may_be_late, WINDOW, breach);
}

/// How the order got its last status.
fn check_end(row: &Row, names: &HashSet<String>, changed: &HashSet<(i64, Status)>, findings: &mut Findings) {
    let id = row.order.id;
    let breach = format_args!("order {id} is {row:?}");
    findings.unless(row.names().any(|name| names.contains(name)), WANTED, breach);
    let (created, confirmed) = (row.event(Status::Created), row.event(Status::Confirmed));
    let by_saga = created.is_some_and(|event| names.contains(&event.correlation_id));
    let is_confirmed = confirmed.is_some() || row.order.status == Status::Confirmed;
    let may_be_confirmed = by_saga || changed.contains(&(id, Status::Confirmed));
    findings.unless(!is_confirmed || may_be_confirmed, CONFIRMED_BY, breach);
    let expired = row.event(Status::Canceled).is_some_and(|event| event.principal == EXPIRY);
    findings.unless(!expired || row.principal == "service", EXPIRES, breach);
    // What a saga compensates was never confirmed.
    let may_be_canceled = by_saga && confirmed.is_none() || changed.contains(&(id, Status::Canceled));
    findings.unless(row.is_live() || expired || may_be_canceled, ENDED_BY, breach);
}
