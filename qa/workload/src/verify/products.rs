//! Checks that acknowledged product changes were executed, and that the stock is fully accounted for.

use super::Findings;
use super::snapshot::Snapshot;
use crate::history::{History, Record, Sent};
use crate::outcome::{Adjustment, Observed, Product};
use crate::request::Request;

const SET: &str = "the response to a product change has the values that it set";
const MATCHED: &str = "a change with If-Match is applied only to the version that it specifies";
const PRICE: &str = "a product has the price of the last acknowledged change";
const ADJUSTED: &str =
    "an acknowledged adjustment is applied once, one with unknown outcome at most once, and a rejected one never";
const RETURNED: &str = "the response to an adjustment has the values of its request";
const ACCOUNTED: &str =
    "a product's stock is the initial stock plus acknowledged changes, minus the quantities of live orders";

pub(super) fn check(history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    for record in &history.records {
        match record.request() {
            Request::AdjustStock(requested) => check_adjustment(record, requested, snapshot, findings),
            _ => check_set(record, findings),
        }
    }
    for first in &history.products {
        if let Some(product) = snapshot.products.get(&first.id) {
            check_product(first, product, history, snapshot, findings);
        }
    }
}

fn check_set(record: &Record, findings: &mut Findings) {
    for (sent, observed) in record.sends.iter().filter_map(|sent| Some((sent, sent.product()?))) {
        let as_set = match record.request() {
            Request::SetPrice { product, price_cents, .. } => {
                (observed.id, observed.price_cents) == (*product, *price_cents)
            }
            Request::SetStock { observed: before, stock } => (observed.id, observed.stock) == (before.id, *stock),
            _ => continue,
        };
        findings.unless(as_set, SET, format_args!("{record} returned {sent:?}"));
        let matched = record.request().call().if_match.is_none_or(|expected| observed.version - 1 == expected);
        findings.unless(matched, MATCHED, format_args!("{record} returned {sent:?}"));
    }
}

fn check_adjustment(record: &Record, requested: &Adjustment, snapshot: &Snapshot, findings: &mut Findings) {
    for observed in record.sends.iter().filter_map(Sent::observed) {
        let is_returned = matches!(observed, Observed::Movement(returned) if returned == requested)
            || matches!(observed, Observed::Malformed(_));
        findings.unless(is_returned, RETURNED, format_args!("{record} returned {observed:?}"));
    }
    let entries = requested.reference.as_ref().and_then(|reference| snapshot.adjustments.get(reference));
    let (entries, possible) = (entries.map(Vec::as_slice).unwrap_or_default(), record.possible_executions());
    let is_applied = possible.contains(&entries.len()) && entries.iter().all(|entry| entry == requested);
    findings.unless(is_applied, ADJUSTED, format_args!("{record} may have {possible:?} entries, but has {entries:?}"));
}

/// Checks a product's price and stock. Changes with unknown outcome may have been executed at any time, or never.
fn check_product(first: &Product, product: &Product, history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    let (id, price) = (product.id, product.price_cents);
    let live = snapshot.orders.values().filter(|row| row.is_live()).flat_map(|row| &row.order.items);
    let ordered: i64 = live.filter(|item| item.product_id == id).map(|item| item.qty).sum();
    let (mut last, mut may_have_price, mut least) = (first, false, first.stock - ordered);
    let mut most = least;
    for record in &history.records {
        let delta = match record.request() {
            Request::SetPrice { product, price_cents, .. } if *product == id => {
                may_have_price |= record.unknown() > 0 && *price_cents == price;
                let acknowledged = record.acknowledged().filter_map(Sent::product);
                last = acknowledged.chain([last]).max_by_key(|product| product.version).unwrap_or(last);
                continue;
            }
            Request::SetStock { observed, stock } if observed.id == id => stock - observed.stock,
            Request::AdjustStock(adjustment) if adjustment.product_id == id => adjustment.delta,
            _ => continue,
        };
        if record.is_acknowledged() {
            (least, most) = (least + delta, most + delta);
        } else if record.unknown() > 0 {
            (least, most) = (least + delta.min(0), most + delta.max(0));
        }
    }
    let is_last = price == last.price_cents || may_have_price;
    findings.unless(is_last, PRICE, format_args!("product {id} costs {price}, but was last returned as {last:?}"));
    let (stock, possible) = (product.stock, least..=most);
    let violation =
        format_args!("product {id} has a stock of {stock}, not {possible:?}; live orders contain {ordered}");
    findings.unless(possible.contains(&stock), ACCOUNTED, violation);
}
