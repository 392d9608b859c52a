//! Whether orders are there that clients were told of, and no others.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Findings;
use super::books::{Books, Order};
use crate::history::{Caller, History, NewOrder, Record, Request, Sent};
use crate::outcome::{OrderSeen, Status};

const THERE: &str =
    "an order that was acknowledged exists, for the customer, at the total and with the items that were told";
const ASKED: &str = "an order is for the customer and the items that were asked for";
const KEY: &str = "an order is recorded under the caller and the key that it was made with";
const ADDS_UP: &str = "an order's total is the sum of its items, and what the client expected";
const NEW: &str = "a new order is shown as CREATED at version 1";
const ONE: &str = "at most one order is made under one key";
const REFUSED: &str = "where a create was only ever refused, no order is made";
const UNKEYED: &str =
    "without a key, each acknowledged create makes one order, and each of unknown outcome one at most";
const WANTED: &str = "every order of the load's products was asked for";
const DELETED: &str = "no order is made for a customer whose deletion was acknowledged";

pub(super) fn check(history: &History, books: &Books, findings: &mut Findings) {
    let deleted = deletions(history);
    for record in &history.records {
        let Request::Create(_) = record.request() else { continue };
        for sent in record.acknowledged() {
            let (Some(told), Request::Create(new)) = (sent.order(), &record.requests[sent.request]) else { continue };
            check_told(record, new, told, findings);
            check_there(record, told, books, findings);
            check_customer(record, sent, told, &deleted, findings);
        }
        check_count(history, record, books, findings);
    }
    check_wanted(history, books, findings);
}

/// When the client was told that a customer is deleted.
fn deletions(history: &History) -> HashMap<i64, u64> {
    let deletions = history.records.iter().filter_map(|record| match record.request() {
        Request::DeleteCustomer { id } => Some((*id, record.acknowledged().next()?.ended)),
        _ => None,
    });
    deletions.collect()
}

fn check_told(record: &Record, new: &NewOrder, told: &OrderSeen, findings: &mut Findings) {
    let as_asked = is_asked_for(new, told) && told.reference == new.reference;
    findings.unless(as_asked, ASKED, || format!("{} asked for {new:?} and was told of {told:?}", record.name()));
    let sum: i64 = told.items.iter().map(|item| item.qty * item.unit_price_cents).sum();
    let adds_up = sum == told.total_cents && new.expected_total_cents.is_none_or(|expected| expected == sum);
    findings.unless(adds_up, ADDS_UP, || format!("{} asked for {new:?} and was told of {told:?}", record.name()));
    let is_new = told.status == Status::Created && told.version == Some(1);
    findings.unless(is_new, NEW, || format!("{} was told of {told:?}", record.name()));
}

/// Lines of one product count together.
pub(super) fn is_asked_for(new: &NewOrder, told: &OrderSeen) -> bool {
    let told_quantities: Vec<_> = told.items.iter().map(|item| (item.product, item.qty)).collect();
    told.customer == new.customer && told_quantities == quantities(new)
}

pub(super) fn quantities(new: &NewOrder) -> Vec<(i64, i64)> {
    let mut quantities = BTreeMap::new();
    for (product, qty) in &new.lines {
        *quantities.entry(*product).or_default() += qty;
    }
    quantities.into_iter().collect()
}

fn check_there(record: &Record, told: &OrderSeen, books: &Books, findings: &mut Findings) {
    let Some(order) = books.orders.get(&told.id) else {
        return findings.add(THERE, format!("order {} of {} is missing", told.id, record.name()));
    };
    findings.unless(is_as_told(order, told) && order.reference == told.reference, THERE, || {
        format!("order {} of {} was told as {told:?} and is {order:?}", told.id, record.name())
    });
    let is_under_key = order.key == record.key;
    findings.unless(is_under_key, KEY, || {
        format!("order {} of {} is under {:?} of {}", told.id, record.name(), order.key, order.principal)
    });
}

pub(super) fn is_as_told(order: &Order, told: &OrderSeen) -> bool {
    (order.customer, order.total_cents, &order.items) == (told.customer, told.total_cents, &told.items)
}

fn check_customer(
    record: &Record,
    sent: &Sent,
    told: &OrderSeen,
    deleted: &HashMap<i64, u64>,
    findings: &mut Findings,
) {
    let deleted_before = deleted.get(&told.customer).is_some_and(|ended| *ended < sent.started);
    findings.unless(!deleted_before || sent.is_replay(), DELETED, || {
        format!("order {} of {} is for customer {}", told.id, record.name(), told.customer)
    });
}

fn check_count(history: &History, record: &Record, books: &Books, findings: &mut Findings) {
    let Request::Create(NewOrder { reference: Some(reference), .. }) = record.request() else { return };
    let by_reference = books.by_reference.get(reference).map(Vec::as_slice).unwrap_or_default();
    let Some(key) = &record.key else {
        let (least, unknown) = (record.acknowledged().count(), record.unknown());
        let kept = (least..=least + unknown).contains(&by_reference.len());
        return findings.unless(kept, UNKEYED, || {
            format!("{} was acknowledged {least} times, {unknown} unknown, and made {by_reference:?}", record.name())
        });
    };
    let principal = match record.caller {
        Caller::Operator => history.operator.clone(),
        Caller::Service => "service".to_owned(),
    };
    let by_key = books.by_key.get(&(principal, key.clone())).map(Vec::as_slice).unwrap_or_default();
    let made: HashSet<_> = by_key.iter().chain(by_reference).collect();
    findings.unless(made.len() <= 1, ONE, || format!("{} made {made:?}", record.name()));
    findings.unless(record.may_be_done() || made.is_empty(), REFUSED, || format!("{} made {made:?}", record.name()));
    for sent in record.acknowledged().filter_map(Sent::order) {
        findings.unless(by_key.contains(&sent.id), KEY, || {
            format!("order {} of {} is not found under it", sent.id, record.name())
        });
    }
}

/// By its reference or its piece of work, an order leads to who asked for it.
fn check_wanted(history: &History, books: &Books, findings: &mut Findings) {
    let products: HashSet<_> = history.products.iter().map(|product| product.id).collect();
    let references: HashSet<_> = history.records.iter().filter_map(|record| reference(record.request())).collect();
    let sagas = super::sagas::correlation_ids(history);
    for (id, order) in &books.orders {
        if !order.items.iter().any(|item| products.contains(&item.product)) {
            continue;
        }
        let by_reference = order.reference.as_deref().is_some_and(|reference| references.contains(reference));
        let by_saga = order.event(Status::Created).is_some_and(|event| sagas.contains_key(&event.correlation_id));
        findings.unless(by_reference || by_saga, WANTED, || format!("order {id} is {order:?}"));
    }
}

fn reference(request: &Request) -> Option<&str> {
    match request {
        Request::Create(new) => new.reference.as_deref(),
        _ => None,
    }
}
