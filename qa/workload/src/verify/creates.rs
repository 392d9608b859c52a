//! Whether acknowledged orders exist, and no others.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Findings;
use super::snapshot::{Order, Snapshot};
use crate::history::{History, Record, Sent};
use crate::outcome::{OrderSeen, Status};
use crate::request::{Caller, NewOrder, Request};

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

pub(super) fn check(history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    // When each deletion was acknowledged.
    let deletions = history.records.iter().filter_map(|record| match record.request() {
        Request::DeleteCustomer { id } => Some((*id, record.acknowledged().next()?.ended)),
        _ => None,
    });
    let deleted: HashMap<_, _> = deletions.collect();
    for record in &history.records {
        let Request::Create(_) = record.request() else { continue };
        for sent in record.acknowledged() {
            let (Some(seen), Request::Create(new)) = (sent.order(), &record.requests[sent.request]) else { continue };
            check_answer(record, new, seen, findings);
            check_there(record, seen, snapshot, findings);
            let too_late = deleted.get(&seen.customer).is_some_and(|ended| *ended < sent.started);
            let breach = format_args!("order {} of {record} is for customer {}", seen.id, seen.customer);
            findings.unless(!too_late || sent.is_replay(), DELETED, breach);
        }
        check_count(history, record, snapshot, findings);
    }
    check_wanted(history, snapshot, findings);
}

fn check_answer(record: &Record, new: &NewOrder, seen: &OrderSeen, findings: &mut Findings) {
    let breach = format_args!("{record} asked for {new:?} and was told of {seen:?}");
    findings.unless(is_asked_for(new, seen) && seen.reference == new.reference, ASKED, breach);
    let expected = new.expected_total_cents.unwrap_or(seen.total_cents);
    findings.unless((sum(seen), expected) == (seen.total_cents, seen.total_cents), ADDS_UP, breach);
    findings.unless(seen.status == Status::Created && seen.version == Some(1), NEW, breach);
}

/// What the items of an order cost.
pub(super) fn sum(seen: &OrderSeen) -> i64 {
    seen.items.iter().map(|item| item.qty * item.unit_price_cents).sum()
}

/// Lines of one product count together.
pub(super) fn is_asked_for(new: &NewOrder, seen: &OrderSeen) -> bool {
    let mut quantities = BTreeMap::new();
    for (product, qty) in &new.lines {
        *quantities.entry(*product).or_default() += qty;
    }
    let asked = quantities.into_iter();
    seen.customer == new.customer && asked.eq(seen.items.iter().map(|item| (item.product, item.qty)))
}

fn check_there(record: &Record, seen: &OrderSeen, snapshot: &Snapshot, findings: &mut Findings) {
    let id = seen.id;
    let Some(order) = snapshot.orders.get(&id) else {
        return findings.add(THERE, format_args!("order {id} of {record} is missing"));
    };
    let breach = format_args!("order {id} of {record} was told as {seen:?} and is {order:?}");
    findings.unless(is_as_told(order, seen) && order.reference == seen.reference, THERE, breach);
    findings.unless(order.key == record.key, KEY, breach);
}

pub(super) fn is_as_told(order: &Order, seen: &OrderSeen) -> bool {
    (order.customer, order.total_cents, &order.items) == (seen.customer, seen.total_cents, &seen.items)
}

fn check_count(history: &History, record: &Record, snapshot: &Snapshot, findings: &mut Findings) {
    let Request::Create(NewOrder { reference: Some(reference), .. }) = record.request() else { return };
    let by_reference = snapshot.by_reference.get(reference).map(Vec::as_slice).unwrap_or_default();
    let Some(key) = &record.key else {
        let possible = record.possible();
        let breach = format_args!("{record} has {possible:?} orders, and made {by_reference:?}");
        return findings.unless(possible.contains(&by_reference.len()), UNKEYED, breach);
    };
    let principal = match record.caller {
        Caller::Operator => history.operator.clone(),
        Caller::Service => "service".to_owned(),
    };
    let by_key = snapshot.by_key.get(&(principal, key.clone())).map(Vec::as_slice).unwrap_or_default();
    let made: HashSet<_> = by_key.iter().chain(by_reference).collect();
    findings.unless(made.len() <= 1, ONE, format_args!("{record} made {made:?}"));
    findings.unless(record.may_be_done() || made.is_empty(), REFUSED, format_args!("{record} made {made:?}"));
    for OrderSeen { id, .. } in record.acknowledged().filter_map(Sent::order) {
        findings.unless(by_key.contains(id), KEY, format_args!("order {id} of {record} is not found under it"));
    }
}

/// Its reference or its correlation id leads from an order to the request.
fn check_wanted(history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    let references = history.records.iter().filter_map(|record| match record.request() {
        Request::Create(new) => new.reference.as_deref(),
        _ => None,
    });
    let references: HashSet<_> = references.collect();
    let sagas = super::sagas::correlation_ids(history);
    for (id, order) in super::orders::of_the_load(history, snapshot) {
        let by_reference = order.reference.as_deref().is_some_and(|reference| references.contains(reference));
        let by_saga = order.event(Status::Created).is_some_and(|event| sagas.contains_key(&event.correlation_id));
        findings.unless(by_reference || by_saga, WANTED, format_args!("order {id} is {order:?}"));
    }
}
