//! Whether clients read what they had been told before. Only acknowledged orders and customers are ever asked for.

use super::Findings;
use super::creates::is_as_told;
use super::snapshot::Snapshot;
use crate::history::History;
use crate::outcome::Seen;
use crate::request::Request;

const KNOWN: &str = "an order that was acknowledged can be fetched, with the same content";
const FOUND: &str = "what was acknowledged is found in the list";

pub(super) fn check(history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    for record in &history.records {
        for sent in &record.sends {
            match (record.request(), sent.seen()) {
                (Request::ViewOrder { order }, Some(Seen::Order(seen))) => {
                    let there = snapshot.orders.get(order).is_some_and(|row| is_as_told(row, seen));
                    findings.unless(
                        there && seen.id == *order,
                        KNOWN,
                        format_args!("order {order} was shown as {seen:?}"),
                    );
                }
                (Request::ViewOrder { order }, None) => {
                    let is_missing = matches!(sent.refusal(), Some((404, _)));
                    findings.unless(!is_missing, KNOWN, format_args!("order {order} was called unknown"));
                }
                (request, Some(Seen::List { found: false })) => {
                    findings.add(FOUND, format_args!("{request:?} did not find it"));
                }
                _ => {}
            }
        }
    }
}
