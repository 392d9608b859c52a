//! Checks that the versions of a resource never decrease between responses or from a response to the database.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use super::Findings;
use super::snapshot::Snapshot;
use crate::history::History;
use crate::outcome::Observed;
use crate::request::Request;

/// Version in a response, and the period during which the request was in flight.
#[derive(Debug)]
struct Observation {
    started: Duration,
    ended: Duration,
    version: i64,
    /// Whether this request created the version.
    is_change: bool,
    state: String,
}

pub(super) fn check(history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    let mut resources = BTreeMap::<(&str, &str, i64), Vec<Observation>>::new();
    for (record, sent) in history.sends().filter(|(_, sent)| !sent.is_replay()) {
        let Some((observed, version)) = sent.observed().and_then(|observed| Some((observed, observed.version()?)))
        else {
            continue;
        };
        let (resource, state) = match observed {
            Observed::Order(order) => (("an", "order", order.id), format!("{:?}", order.status)),
            Observed::Product(product) => (("a", "product", product.id), format!("{product:?}")),
            Observed::Customer(customer) => (("a", "customer", customer.id), format!("{customer:?}")),
            _ => continue,
        };
        let is_view = matches!(record.request(), Request::ViewProduct { .. } | Request::ViewCustomer { .. });
        let is_change = !is_view && !matches!(observed, Observed::Order(_));
        let observation = Observation { started: sent.started, ended: sent.ended, version, is_change, state };
        resources.entry(resource).or_default().push(observation);
    }
    for ((a, kind, id), mut observations) in resources {
        check_responses((a, kind, id), &mut observations, findings);
        let reached = match kind {
            "order" => snapshot.orders.get(&id).and_then(|row| row.order.version),
            "product" => snapshot.products.get(&id).map(|product| product.version),
            _ => snapshot.customers.get(&id).map(|(customer, _)| customer.version),
        };
        let newest = observations.iter().map(|observation| observation.version).max();
        let rule = format!("{a} {kind} has the newest version that was returned, or a later one");
        findings.unless(reached >= newest, &rule, format_args!("{kind} {id} is at {reached:?}, not {newest:?}"));
    }
}

/// Checks from newest to oldest: no version is returned after a newer one, or as a change after it was returned.
fn check_responses((a, kind, id): (&str, &str, i64), observations: &mut [Observation], findings: &mut Findings) {
    let non_decreasing = format!("{a} {kind}'s version never decreases from one response to the next");
    let one_state = format!("each version of {a} {kind} has one state and was created by one change");
    observations.sort_by_key(|observations| Reverse(observations.version));
    let mut first_newer: Option<&Observation> = None;
    for same in observations.chunk_by(|one, other| one.version == other.version) {
        let first = same.iter().chain(first_newer).min_by_key(|observation| observation.ended);
        for later in same {
            let earlier = if later.is_change { first } else { first_newer };
            let earlier = earlier.filter(|earlier| earlier.ended < later.started);
            let violation = format_args!("{kind} {id} was returned as {earlier:?} before {later:?}");
            findings.unless(earlier.is_none(), &non_decreasing, violation);
        }
        let changes = same.iter().filter(|observation| observation.is_change).count();
        let is_consistent = changes <= 1 && same.iter().all(|observation| observation.state == same[0].state);
        findings.unless(is_consistent, &one_state, format_args!("{kind} {id} was returned as {same:?}"));
        first_newer = first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_non_decreasing(first: (u64, u64, i64, bool), second: (u64, u64, i64, bool)) -> bool {
        let observation = |(started, ended, version, is_change)| {
            let [started, ended] = [started, ended].map(Duration::from_micros);
            Observation { started, ended, version, is_change, state: String::new() }
        };
        let mut findings = Findings::default();
        check_responses(("a", "product", 1), &mut [observation(first), observation(second)], &mut findings);
        !findings.0.iter().any(|finding| finding.starts_with("a product's version never decreases"))
    }

    #[test]
    fn older_version_is_a_violation_only_after_the_response_with_the_newer_one() {
        assert!(is_non_decreasing((0, 10, 2, true), (5, 20, 1, false)));
        assert!(!is_non_decreasing((0, 10, 2, true), (11, 20, 1, false)));
        assert!(is_non_decreasing((0, 10, 2, true), (11, 20, 2, false)));
        assert!(!is_non_decreasing((0, 10, 2, true), (11, 20, 2, true)));
        assert!(is_non_decreasing((11, 20, 3, true), (0, 10, 2, true)));
    }
}
