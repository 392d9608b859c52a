//! Whether acknowledged orders exist, and no others.

use std::collections::{BTreeMap, HashMap};

use super::Findings;
use super::snapshot::Snapshot;
use crate::history::History;
use crate::outcome::{Order, Status};
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
const DELETED: &str = "no order is made for a customer whose deletion was acknowledged";

pub(super) fn check(history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    // When each deletion was acknowledged.
    let deletions = history.records.iter().filter_map(|record| match record.request() {
        Request::DeleteCustomer { id } => Some((*id, record.acknowledged().next()?.ended)),
        _ => None,
    });
    let deletions: HashMap<_, _> = deletions.collect();
    for (record, sent) in history.sends() {
        let (Request::Create(new), Some(seen)) = (&record.requests[sent.request], sent.order()) else { continue };
        let id = seen.id;
        let breach = format_args!("order {id} of {record} was asked for as {new:?}, and told as {seen:?}");
        findings.unless(is_asked_for(new, seen) && seen.external_reference == new.external_reference, ASKED, breach);
        let expected = new.expected_total_cents.unwrap_or(seen.total_cents);
        findings.unless((sum(seen), expected) == (seen.total_cents, seen.total_cents), ADDS_UP, breach);
        findings.unless(seen.status == Status::Created && seen.version == Some(1), NEW, breach);
        let too_late = deletions.get(&seen.customer_id).is_some_and(|ended| *ended < sent.started);
        findings.unless(!too_late || sent.is_replay(), DELETED, breach);
        let Some(row) = snapshot.orders.get(&id) else {
            findings.add(THERE, format_args!("order {id} of {record} is missing"));
            continue;
        };
        let breach = format_args!("order {id} of {record} was told as {seen:?} and is {row:?}");
        let is_there = row.is_as_shown(seen) && row.order.external_reference == seen.external_reference;
        findings.unless(is_there, THERE, breach);
        let principal = if record.caller == Caller::Operator { history.operator.as_str() } else { "service" };
        findings.unless(row.principal == principal && row.key == record.key, KEY, breach);
    }
    for record in history.records.iter().filter(|record| matches!(record.request(), Request::Create(_))) {
        let (created, possible) = (snapshot.orders_of(record), record.possible());
        let breach = format_args!("{record} has {possible:?} orders, and made {created:?}");
        let keyed = record.key.is_some();
        findings.unless(keyed || possible.contains(&created.len()), UNKEYED, breach);
        findings.unless(!keyed || created.len() <= 1, ONE, breach);
        findings.unless(!keyed || record.may_be_done() || created.is_empty(), REFUSED, breach);
    }
}

/// What the items of an order cost.
pub(super) fn sum(seen: &Order) -> i64 {
    seen.items.iter().map(|item| item.qty * item.unit_price_cents).sum()
}

/// Lines of one product count together.
pub(super) fn is_asked_for(new: &NewOrder, seen: &Order) -> bool {
    let mut quantities = BTreeMap::new();
    for line in &new.items {
        *quantities.entry(line.product_id).or_default() += line.qty;
    }
    let shown = seen.items.iter().map(|item| (item.product_id, item.qty));
    seen.customer_id == new.customer_id && quantities.into_iter().eq(shown)
}
