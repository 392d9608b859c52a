//! Whether orders have the status that clients were told, and got there only by what clients did.

use std::collections::HashMap;

use super::Findings;
use super::creates::is_as_told;
use super::snapshot::{Order, Snapshot};
use crate::history::{History, Record, Sent};
use crate::outcome::{OrderSeen, Status};
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
const EXPIRY: &str = "system:expiry";
const WINDOW_MICROS: u64 = 600_000_000;

/// What clients did to one order.
#[derive(Default)]
struct Deeds<'h> {
    created: Option<&'h Sent>,
    confirms: Vec<&'h Record>,
    cancels: Vec<&'h Record>,
}

impl<'h> Deeds<'h> {
    fn transitions(&self) -> impl Iterator<Item = &&'h Record> {
        self.confirms.iter().chain(&self.cancels)
    }
}

pub(super) fn check(history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    let deeds = deeds(history);
    for (id, deeds) in &deeds {
        let Some(order) = snapshot.orders.get(id) else {
            let acknowledged = deeds.transitions().any(|record| record.is_acknowledged());
            findings.unless(!acknowledged, CONFIRMED_ONCE, format_args!("order {id} is missing"));
            continue;
        };
        for record in deeds.transitions() {
            for seen in record.acknowledged().filter_map(Sent::order) {
                check_transition(*id, order, record, seen, findings);
            }
            check_refusals(*id, order, record, deeds.created, findings);
        }
    }
    let (sagas, none) = (super::sagas::correlation_ids(history), Deeds::default());
    for (id, order) in of_the_load(history, snapshot) {
        check_end(id, order, deeds.get(&id).unwrap_or(&none), &sagas, findings);
    }
}

/// Orders of the load's products.
pub(super) fn of_the_load<'b>(history: &History, snapshot: &'b Snapshot) -> impl Iterator<Item = (i64, &'b Order)> {
    let products: Vec<_> = history.products.iter().map(|product| product.id).collect();
    let is_ours = move |order: &Order| order.items.iter().any(|item| products.contains(&item.product));
    snapshot.orders.iter().filter(move |(_, order)| is_ours(order)).map(|(id, order)| (*id, order))
}

fn deeds(history: &History) -> HashMap<i64, Deeds<'_>> {
    let mut deeds = HashMap::<_, Deeds<'_>>::new();
    for record in &history.records {
        match record.request() {
            Request::Confirm { order } => deeds.entry(*order).or_default().confirms.push(record),
            Request::Cancel { order } => deeds.entry(*order).or_default().cancels.push(record),
            Request::Create(_) | Request::CreateAndConfirm(_) => {
                for sent in record.acknowledged() {
                    let Some(OrderSeen { id, .. }) = sent.order() else { continue };
                    deeds.entry(*id).or_default().created.get_or_insert(sent);
                }
            }
            _ => {}
        }
    }
    deeds
}

fn check_transition(id: i64, order: &Order, record: &Record, seen: &OrderSeen, findings: &mut Findings) {
    let is_confirm = matches!(record.request(), Request::Confirm { .. });
    let status = if is_confirm { Status::Confirmed } else { Status::Canceled };
    let shown = seen.id == id && seen.status == status && is_as_told(order, seen);
    findings.unless(shown, SHOWN, format_args!("{record} of order {id} was told of {seen:?}"));
    if is_confirm {
        return check_confirmed(id, order, seen, record, findings);
    }
    let canceled = order.status == Status::Canceled && order.events(Status::Canceled).count() == 1;
    findings.unless(canceled, CANCELED, format_args!("order {id} is {order:?}; told by {record}"));
}

/// Whether an order is, or was, confirmed as the answer says.
pub(super) fn check_confirmed(id: i64, order: &Order, seen: &OrderSeen, record: &Record, findings: &mut Findings) {
    let events: Vec<_> = order.events(Status::Confirmed).collect();
    let breach = format_args!("order {id} is {order:?}; told at {:?} by {record}", seen.confirmed_at);
    findings.unless(events.len() == 1 && order.status != Status::Created, CONFIRMED_ONCE, breach);
    let at = events.first().map(|event| event.at);
    findings.unless((seen.confirmed_at, at) == (order.confirmed_at, order.confirmed_at), CONFIRMED_THEN, breach);
    let expired = order.events(Status::Canceled).any(|event| event.principal == EXPIRY);
    findings.unless(!expired, NOT_EXPIRED, breach);
}

fn check_refusals(id: i64, order: &Order, record: &Record, created: Option<&Sent>, findings: &mut Findings) {
    let breach = format_args!("order {id} is {:?}; told by {record}", order.status);
    for sent in &record.sends {
        findings.unless(!sent.has_code("order_canceled") || !order.is_live(), REFUSED_CANCELED, breach);
        findings.unless(!sent.has_code("order_not_found"), KNOWN, breach);
        let young = created.is_some_and(|created| sent.ended < created.started.saturating_add(WINDOW_MICROS));
        let may_be_late = order.confirmed_at.is_some() && (!young || created.is_some_and(Sent::is_replay));
        findings.unless(!sent.has_code("cancel_window_passed") || may_be_late, WINDOW, breach);
    }
}

/// How the order got its last status.
fn check_end(id: i64, order: &Order, deeds: &Deeds<'_>, sagas: &HashMap<String, &Record>, findings: &mut Findings) {
    let saga = order.event(Status::Created).and_then(|event| sagas.get(&event.correlation_id));
    let sent = |records: &[&Record]| records.iter().any(|record| record.may_be_done());
    let breach = format_args!("order {id} is {order:?}");
    let is_confirmed = order.event(Status::Confirmed).is_some() || order.status == Status::Confirmed;
    findings.unless(!is_confirmed || saga.is_some() || sent(&deeds.confirms), CONFIRMED_BY, breach);
    let expired = order.event(Status::Canceled).is_some_and(|event| event.principal == EXPIRY);
    findings.unless(!expired || order.principal == "service", EXPIRES, breach);
    if order.status == Status::Canceled && !expired {
        // What a saga compensates was never confirmed.
        let compensated = saga.is_some() && order.event(Status::Confirmed).is_none();
        findings.unless(compensated || sent(&deeds.cancels), ENDED_BY, breach);
    }
}
