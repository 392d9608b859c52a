//! Whether the versions of a resource go forward, from one answer to the next and to the database.

use std::collections::BTreeMap;

use super::Findings;
use super::snapshot::Snapshot;
use crate::history::{History, Sent};
use crate::outcome::Seen;
use crate::request::Request;

/// A version that a client was shown, and when the request was in flight.
#[derive(Debug, Clone, Copy)]
struct Shown {
    started: u64,
    ended: u64,
    version: i64,
    /// Whether this very request created the version.
    is_change: bool,
}

impl Shown {
    fn new(sent: &Sent, version: i64, is_change: bool) -> Self {
        Self { started: sent.started, ended: sent.ended, version, is_change }
    }
}

pub(super) fn check(history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    let mut resources = BTreeMap::<(&str, i64), Vec<(Shown, String)>>::new();
    for record in &history.records {
        let is_change = matches!(
            record.request(),
            Request::SetPrice { .. }
                | Request::SetStock { .. }
                | Request::CreateCustomer { .. }
                | Request::UpdateCustomer { .. }
        );
        for sent in record.sends.iter().filter(|sent| !sent.is_replay()) {
            let Some((seen, version)) = sent.seen().and_then(|seen| Some((seen, seen.version()?))) else { continue };
            let (resource, state) = match seen {
                Seen::Order(order) => (("order", order.id), format!("{:?}", order.status)),
                Seen::Product(product) => (("product", product.id), format!("{product:?}")),
                Seen::Customer(customer) => (("customer", customer.id), format!("{customer:?}")),
                _ => continue,
            };
            resources.entry(resource).or_default().push((Shown::new(sent, version, is_change), state));
        }
    }
    for ((kind, id), shown) in &resources {
        check_answers(kind, *id, shown, findings);
        let reached = match *kind {
            "order" => snapshot.orders.get(id).map(|order| order.version),
            "product" => snapshot.products.get(id).map(|product| product.version),
            _ => snapshot.customers.get(id).map(|customer| customer.version),
        };
        let newest = shown.iter().map(|(shown, _)| shown.version).max();
        let rule = format!("{} is at the last version that was told, or a later one", a(kind));
        findings.unless(reached >= newest, &rule, format_args!("{kind} {id} is at {reached:?}, not {newest:?}"));
    }
}

fn a(kind: &str) -> String {
    format!("{} {kind}", if kind == "order" { "an" } else { "a" })
}

fn check_answers(kind: &str, id: i64, shown: &[(Shown, String)], findings: &mut Findings) {
    for (earlier, later) in backwards(&shown.iter().map(|(shown, _)| *shown).collect::<Vec<_>>()) {
        let rule = format!("{}'s version goes forward from one answer to the next", a(kind));
        findings.add(&rule, format_args!("of {kind} {id}, {earlier:?} came before {later:?}"));
    }
    let mut versions = BTreeMap::new();
    for (Shown { version, is_change, .. }, state) in shown {
        let (first, changes) = versions.entry(version).or_insert((state, 0));
        *changes += usize::from(*is_change);
        let rule = format!("each version of {} has one state, and is made by one change", a(kind));
        findings.unless(
            *first == state && *changes <= 1,
            &rule,
            format_args!("version {version} of {kind} {id} was told as {first} and {state}, by {changes} changes"),
        );
    }
}

/// Pairs of answers of which the second was asked for after the first had come, and shows an older version; or the same,
/// though it reports a change.
fn backwards(shown: &[Shown]) -> Vec<(Shown, Shown)> {
    let (mut by_end, mut by_start) = (shown.to_vec(), shown.to_vec());
    by_end.sort_by_key(|shown| shown.ended);
    by_start.sort_by_key(|shown| shown.started);
    let mut ended = by_end.into_iter().peekable();
    let mut newest: Option<Shown> = None;
    let mut found = Vec::new();
    for later in by_start {
        while let Some(earlier) = ended.next_if(|earlier| earlier.ended < later.started) {
            newest = newest.filter(|newest| newest.version >= earlier.version).or(Some(earlier));
        }
        if let Some(newest) = newest
            && (later.version < newest.version || later.is_change && later.version == newest.version)
        {
            found.push((newest, later));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(started: u64, ended: u64, version: i64, is_change: bool) -> Shown {
        Shown { started, ended, version, is_change }
    }

    #[test]
    fn an_older_version_is_found_only_where_the_newer_had_been_answered() {
        assert!(backwards(&[shown(0, 10, 2, true), shown(5, 20, 1, false)]).is_empty());
        assert_eq!(backwards(&[shown(0, 10, 2, true), shown(11, 20, 1, false)]).len(), 1);
        assert!(backwards(&[shown(0, 10, 2, true), shown(11, 20, 2, false)]).is_empty());
        assert_eq!(backwards(&[shown(0, 10, 2, true), shown(11, 20, 2, true)]).len(), 1);
    }
}
