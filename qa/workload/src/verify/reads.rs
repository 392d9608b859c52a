//! Whether what clients read agrees with what they had been told before.

use std::collections::HashMap;

use super::Findings;
use super::books::Books;
use super::time::{Shown, backwards};
use crate::history::{History, Record, Request};
use crate::outcome::{OrderSeen, Seen, Status, Told};

const FORWARD: &str = "an order's version goes forward from one answer to the next";
const ONE_EACH: &str = "each version of an order is in one state";
const KNOWN: &str = "an order that was acknowledged can be fetched, with the same content";
const FOUND: &str = "what was acknowledged is found in the list";
const AHEAD: &str = "an order is at the last version that was told, or a later one";

pub(super) fn check(history: &History, books: &Books, findings: &mut Findings) {
    let mut shown = HashMap::<i64, Vec<(Shown, OrderSeen)>>::new();
    for record in &history.records {
        check_read(record, books, findings);
        for sent in record.sends.iter().filter(|sent| !sent.is_replay()) {
            if let Some(order @ OrderSeen { version: Some(version), .. }) = sent.order() {
                shown.entry(order.id).or_default().push((Shown::new(sent, *version, false), order.clone()));
            }
        }
    }
    for (id, shown) in &shown {
        check_versions(*id, shown, findings);
        let newest = shown.iter().map(|(shown, _)| shown.version).max().unwrap_or(0);
        let reached = books.orders.get(id).is_some_and(|order| order.version >= newest);
        findings.unless(reached, AHEAD, || format!("order {id} was told at version {newest}"));
    }
}

/// Only orders and customers that were acknowledged are ever asked for.
fn check_read(record: &Record, books: &Books, findings: &mut Findings) {
    for sent in &record.sends {
        match (record.request(), &sent.outcome) {
            (Request::ViewOrder { order }, Ok(Told { seen: Seen::Order(told), .. })) => {
                let there = books.orders.get(order).is_some_and(|row| super::creates::is_as_told(row, told));
                findings.unless(there && told.id == *order, KNOWN, || format!("order {order} was shown as {told:?}"));
            }
            (Request::ViewOrder { order }, Err(_)) => {
                let unknown = matches!(sent.refusal(), Some((404, _)));
                findings.unless(!unknown, KNOWN, || format!("order {order} was called unknown"));
            }
            (request, Ok(Told { seen: Seen::List { found: false }, .. })) => {
                findings.add(FOUND, format!("{request:?} did not find it"));
            }
            _ => {}
        }
    }
}

fn check_versions(id: i64, shown: &[(Shown, OrderSeen)], findings: &mut Findings) {
    let times: Vec<_> = shown.iter().map(|(shown, _)| *shown).collect();
    for (earlier, later) in backwards(&times) {
        findings.add(FORWARD, format!("of order {id}, {earlier:?} came before {later:?}"));
    }
    let mut states = HashMap::<i64, Status>::new();
    for (shown, order) in shown {
        let first = *states.entry(shown.version).or_insert(order.status);
        findings.unless(first == order.status, ONE_EACH, || {
            format!("version {} of order {id} was {first:?} and {:?}", shown.version, order.status)
        });
    }
}
