//! Checks that all acknowledged orders exist, and that no others were created.

use std::collections::{BTreeMap, HashMap};

use super::Findings;
use super::snapshot::Snapshot;
use crate::history::History;
use crate::outcome::{Order, Status};
use crate::request::{Caller, NewOrder, Request};

const EXISTS: &str = "an acknowledged order exists with the acknowledged customer, total, items and reference";
const REQUESTED: &str = "an order has the customer and items of its request";
const KEY: &str = "an order is recorded under the caller and idempotency key of its request";
const TOTAL: &str = "an order's total is the sum of its items and equals the total that the client expected";
const NEW: &str = "a new order is returned as CREATED at version 1";
const ONE: &str = "at most one order is created per idempotency key";
const REJECTED: &str = "a create request that was only ever rejected creates no order";
const UNKEYED: &str = "without a key, each acknowledged create request creates one order, \
    and each with unknown outcome creates at most one";
const DELETED: &str = "no order is created for a customer whose deletion was acknowledged";

pub(super) fn check(history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    // Time at which each deletion was acknowledged.
    let deletions = history.records.iter().filter_map(|record| match record.request() {
        Request::DeleteCustomer { id } => Some((*id, record.acknowledged().next()?.ended)),
        _ => None,
    });
    let deletions: HashMap<_, _> = deletions.collect();
    for (record, sent) in history.sends() {
        let (Request::Create(new), Some(observed)) = (&record.requests[sent.request], sent.order()) else { continue };
        let id = observed.id;
        let violation = format_args!("order {id} of {record} was requested as {new:?}, but returned as {observed:?}");
        let requested = is_as_requested(new, observed) && observed.external_reference == new.external_reference;
        findings.unless(requested, REQUESTED, violation);
        let expected = new.expected_total_cents.unwrap_or(observed.total_cents);
        findings.unless((sum(observed), expected) == (observed.total_cents, observed.total_cents), TOTAL, violation);
        findings.unless(observed.status == Status::Created && observed.version == Some(1), NEW, violation);
        let too_late = deletions.get(&observed.customer_id).is_some_and(|ended| *ended < sent.started);
        findings.unless(!too_late || sent.is_replay(), DELETED, violation);
        let Some(row) = snapshot.orders.get(&id) else {
            findings.add(EXISTS, format_args!("order {id} of {record} is missing"));
            continue;
        };
        let violation = format_args!("order {id} of {record} was returned as {observed:?}, but is stored as {row:?}");
        let exists = row.is_as_returned(observed) && row.order.external_reference == observed.external_reference;
        findings.unless(exists, EXISTS, violation);
        let principal = if record.caller == Caller::User { history.user_principal.as_str() } else { "service" };
        findings.unless(row.principal == principal && row.key == record.key, KEY, violation);
    }
    for record in history.records.iter().filter(|record| matches!(record.request(), Request::Create(_))) {
        let (created, possible) = (snapshot.orders_of(record), record.possible_executions());
        let violation = format_args!("{record} may have created {possible:?} orders, but created {created:?}");
        let keyed = record.key.is_some();
        findings.unless(keyed || possible.contains(&created.len()), UNKEYED, violation);
        findings.unless(!keyed || created.len() <= 1, ONE, violation);
        findings.unless(!keyed || record.may_have_executed() || created.is_empty(), REJECTED, violation);
    }
}

pub(super) fn sum(observed: &Order) -> i64 {
    observed.items.iter().map(|item| item.qty * item.unit_price_cents).sum()
}

/// Returns whether an order has the requested customer and quantities, which are added up by product.
pub(super) fn is_as_requested(new: &NewOrder, observed: &Order) -> bool {
    let mut quantities = BTreeMap::new();
    for line in &new.items {
        *quantities.entry(line.product_id).or_default() += line.qty;
    }
    let shown = observed.items.iter().map(|item| (item.product_id, item.qty));
    observed.customer_id == new.customer_id && quantities.into_iter().eq(shown)
}
