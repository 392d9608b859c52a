//! Whether the versions of a resource go forward, from one answer to the next and to the database.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use super::Findings;
use super::snapshot::Snapshot;
use crate::history::History;
use crate::outcome::Seen;
use crate::request::Request;

/// A version that a client was shown, and when the request was in flight.
#[derive(Debug)]
struct Shown {
    started: Duration,
    ended: Duration,
    version: i64,
    /// Whether this very request created the version.
    is_change: bool,
    state: String,
}

pub(super) fn check(history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    let mut resources = BTreeMap::<(&str, &str, i64), Vec<Shown>>::new();
    for (record, sent) in history.sends().filter(|(_, sent)| !sent.is_replay()) {
        let Some((seen, version)) = sent.seen().and_then(|seen| Some((seen, seen.version()?))) else { continue };
        let (resource, state) = match seen {
            Seen::Order(order) => (("an", "order", order.id), format!("{:?}", order.status)),
            Seen::Product(product) => (("a", "product", product.id), format!("{product:?}")),
            Seen::Customer(customer) => (("a", "customer", customer.id), format!("{customer:?}")),
            _ => continue,
        };
        let is_view = matches!(record.request(), Request::ViewProduct { .. } | Request::ViewCustomer { .. });
        let is_change = !is_view && !matches!(seen, Seen::Order(_));
        let shown = Shown { started: sent.started, ended: sent.ended, version, is_change, state };
        resources.entry(resource).or_default().push(shown);
    }
    for ((a, kind, id), mut shown) in resources {
        check_answers((a, kind, id), &mut shown, findings);
        let reached = match kind {
            "order" => snapshot.orders.get(&id).and_then(|row| row.order.version),
            "product" => snapshot.products.get(&id).map(|product| product.version),
            _ => snapshot.customers.get(&id).map(|(customer, _)| customer.version),
        };
        let newest = shown.iter().map(|shown| shown.version).max();
        let rule = format!("{a} {kind} is at the last version that was told, or a later one");
        findings.unless(reached >= newest, &rule, format_args!("{kind} {id} is at {reached:?}, not {newest:?}"));
    }
}

/// From the newest version to the oldest: none is shown after a newer one, nor reported as a change after itself.
fn check_answers((a, kind, id): (&str, &str, i64), shown: &mut [Shown], findings: &mut Findings) {
    let forward = format!("{a} {kind}'s version goes forward from one answer to the next");
    let one_state = format!("each version of {a} {kind} has one state, and is made by one change");
    shown.sort_by_key(|shown| Reverse(shown.version));
    let mut first_newer: Option<&Shown> = None;
    for same in shown.chunk_by(|one, other| one.version == other.version) {
        let first = same.iter().chain(first_newer).min_by_key(|shown| shown.ended);
        for later in same {
            let earlier = if later.is_change { first } else { first_newer };
            let earlier = earlier.filter(|earlier| earlier.ended < later.started);
            let breach = format_args!("of {kind} {id}, {earlier:?} came before {later:?}");
            findings.unless(earlier.is_none(), &forward, breach);
        }
        let changes = same.iter().filter(|shown| shown.is_change).count();
        let is_one = changes <= 1 && same.iter().all(|shown| shown.state == same[0].state);
        findings.unless(is_one, &one_state, format_args!("{kind} {id} was told as {same:?}"));
        first_newer = first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_forward(first: (u64, u64, i64, bool), second: (u64, u64, i64, bool)) -> bool {
        let shown = |(started, ended, version, is_change)| {
            let [started, ended] = [started, ended].map(Duration::from_micros);
            Shown { started, ended, version, is_change, state: String::new() }
        };
        let mut findings = Findings::default();
        check_answers(("a", "product", 1), &mut [shown(first), shown(second)], &mut findings);
        !findings.0.iter().any(|finding| finding.starts_with("a product's version goes forward"))
    }

    #[test]
    fn an_older_version_is_found_only_where_the_newer_had_been_answered() {
        assert!(is_forward((0, 10, 2, true), (5, 20, 1, false)));
        assert!(!is_forward((0, 10, 2, true), (11, 20, 1, false)));
        assert!(is_forward((0, 10, 2, true), (11, 20, 2, false)));
        assert!(!is_forward((0, 10, 2, true), (11, 20, 2, true)));
        assert!(is_forward((11, 20, 3, true), (0, 10, 2, true)));
    }
}
