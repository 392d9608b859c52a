//! Whether orders stand where clients were told, and got there only by what clients did.

use std::collections::HashMap;

use super::Findings;
use super::books::{Books, Order};
use crate::history::{History, Record, Request, Sent};
use crate::outcome::{OrderSeen, Status};

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
    made: Option<&'h Sent>,
    confirms: Vec<&'h Record>,
    cancels: Vec<&'h Record>,
}

pub(super) fn check(history: &History, books: &Books, findings: &mut Findings) {
    let deeds = deeds(history);
    for (id, deeds) in &deeds {
        let Some(order) = books.orders.get(id) else {
            let acknowledged = deeds.confirms.iter().chain(&deeds.cancels).any(|record| record.is_acknowledged());
            findings.unless(!acknowledged, CONFIRMED_ONCE, || format!("order {id} is missing"));
            continue;
        };
        check_confirms(*id, order, deeds, findings);
        check_cancels(*id, order, deeds, findings);
        check_refusals(*id, order, deeds, findings);
    }
    let sagas = super::sagas::correlation_ids(history);
    let none = Deeds::default();
    for (id, order) in ours(history, books) {
        check_end(id, order, deeds.get(&id).unwrap_or(&none), &sagas, findings);
    }
}

/// Orders of the load's products.
fn ours<'b>(history: &History, books: &'b Books) -> impl Iterator<Item = (i64, &'b Order)> {
    let products: Vec<_> = history.products.iter().map(|product| product.id).collect();
    let is_ours = move |order: &Order| order.items.iter().any(|item| products.contains(&item.product));
    books.orders.iter().filter(move |(_, order)| is_ours(order)).map(|(id, order)| (*id, order))
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
                    let deed = deeds.entry(*id).or_default();
                    deed.made = deed.made.or(Some(sent));
                }
            }
            _ => {}
        }
    }
    deeds
}

fn check_confirms(id: i64, order: &Order, deeds: &Deeds<'_>, findings: &mut Findings) {
    for record in &deeds.confirms {
        for told in record.acknowledged().filter_map(Sent::order) {
            let shown = told.id == id && told.status == Status::Confirmed && super::creates::is_as_told(order, told);
            findings.unless(shown, SHOWN, || format!("{} of order {id} was told of {told:?}", record.name()));
            check_confirmed(id, order, told, &record.name(), findings);
        }
    }
}

/// Also for an orchestrator's success.
pub(super) fn check_confirmed(id: i64, order: &Order, told: &OrderSeen, name: &str, findings: &mut Findings) {
    let events: Vec<_> = order.events(Status::Confirmed).collect();
    findings.unless(events.len() == 1 && order.status != Status::Created, CONFIRMED_ONCE, || {
        format!("order {id} is {:?} and has the events {:?}; told by {name}", order.status, order.events)
    });
    let at = events.first().map(|event| event.at);
    findings.unless(told.confirmed_at == order.confirmed_at && told.confirmed_at == at, CONFIRMED_THEN, || {
        format!("order {id} was told at {:?}, is at {:?}; told by {name}", told.confirmed_at, order.confirmed_at)
    });
    let expired = order.events(Status::Canceled).any(|event| event.principal == EXPIRY);
    findings.unless(!expired, NOT_EXPIRED, || format!("order {id} expired; told by {name}"));
}

fn check_cancels(id: i64, order: &Order, deeds: &Deeds<'_>, findings: &mut Findings) {
    for record in &deeds.cancels {
        for told in record.acknowledged().filter_map(Sent::order) {
            let shown = told.id == id && told.status == Status::Canceled && super::creates::is_as_told(order, told);
            findings.unless(shown, SHOWN, || format!("{} of order {id} was told of {told:?}", record.name()));
            let canceled = order.status == Status::Canceled && order.events(Status::Canceled).count() == 1;
            findings.unless(canceled, CANCELED, || {
                format!(
                    "order {id} is {:?} with the events {:?}; told by {}",
                    order.status,
                    order.events,
                    record.name()
                )
            });
        }
    }
}

fn check_refusals(id: i64, order: &Order, deeds: &Deeds<'_>, findings: &mut Findings) {
    for record in deeds.confirms.iter().chain(&deeds.cancels) {
        for sent in &record.sends {
            let Some((_, code)) = sent.refusal() else { continue };
            let name = || format!("order {id} is {:?}; told by {}", order.status, record.name());
            findings.unless(code != "order_canceled" || !order.is_live(), REFUSED_CANCELED, name);
            findings.unless(code != "order_not_found", KNOWN, name);
            let young = deeds.made.is_some_and(|made| sent.ended < made.started.saturating_add(WINDOW_MICROS));
            let may_be_late = order.confirmed_at.is_some() && (!young || deeds.made.is_some_and(Sent::is_replay));
            findings.unless(code != "cancel_window_passed" || may_be_late, WINDOW, name);
        }
    }
}

/// How the order came to stand where it stands.
fn check_end(id: i64, order: &Order, deeds: &Deeds<'_>, sagas: &HashMap<String, &Record>, findings: &mut Findings) {
    let saga = order.event(Status::Created).and_then(|event| sagas.get(&event.correlation_id));
    let sent = |records: &[&Record]| records.iter().any(|record| record.may_be_done());
    if order.events(Status::Confirmed).next().is_some() || order.status == Status::Confirmed {
        findings.unless(saga.is_some() || sent(&deeds.confirms), CONFIRMED_BY, || format!("order {id} is {order:?}"));
    }
    let canceled = order.event(Status::Canceled);
    let expired = canceled.is_some_and(|event| event.principal == EXPIRY);
    findings.unless(!expired || order.principal == "service", EXPIRES, || format!("order {id} is {order:?}"));
    if order.status == Status::Canceled && !expired {
        // What a saga takes back was never confirmed.
        let undone = saga.is_some() && order.event(Status::Confirmed).is_none();
        findings.unless(undone || sent(&deeds.cancels), ENDED_BY, || format!("order {id} is {order:?}"));
    }
}
