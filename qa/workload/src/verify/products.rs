//! Whether changes of products happened as they were answered, and every piece of stock is accounted for.

use super::Findings;
use super::snapshot::Snapshot;
use crate::history::{History, Record, Sent};
use crate::outcome::{Adjustment, Product, Seen};
use crate::request::Request;

const SET: &str = "a change of a product is answered with what it set";
const MATCHED: &str = "a change under If-Match is made to the version that it names";
const KEPT: &str = "the price of a product is that of the last acknowledged change";
const ADJUSTED: &str =
    "an acknowledged adjustment is made once, one of unknown outcome once at most, a refused one never";
const TOLD: &str = "an adjustment is answered with what it did";
const ACCOUNTED: &str =
    "a product's stock is the first stock, with what was acknowledged, without what live orders hold";

pub(super) fn check(history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    for record in &history.records {
        match record.request() {
            Request::AdjustStock(asked) => check_adjustment(record, asked, snapshot, findings),
            _ => check_set(record, findings),
        }
    }
    for first in &history.products {
        if let Some(product) = snapshot.products.get(&first.id) {
            check_end(first, product, history, snapshot, findings);
        }
    }
}

fn check_set(record: &Record, findings: &mut Findings) {
    for (sent, seen) in record.sends.iter().filter_map(|sent| Some((sent, sent.product()?))) {
        let as_set = match record.request() {
            Request::SetPrice { product, price_cents, .. } => (seen.id, seen.price_cents) == (*product, *price_cents),
            Request::SetStock { seen: before, stock } => (seen.id, seen.stock) == (before.id, *stock),
            _ => continue,
        };
        findings.unless(as_set, SET, format_args!("{record} was told of {sent:?}"));
        let matched = record.request().call().if_match.is_none_or(|expected| seen.version - 1 == expected);
        findings.unless(matched, MATCHED, format_args!("{record} was told of {sent:?}"));
    }
}

fn check_adjustment(record: &Record, asked: &Adjustment, snapshot: &Snapshot, findings: &mut Findings) {
    for seen in record.sends.iter().filter_map(Sent::seen) {
        let told = matches!(seen, Seen::Movement(shown) if shown == asked) || matches!(seen, Seen::Unreadable(_));
        findings.unless(told, TOLD, format_args!("{record} was told {seen:?}"));
    }
    let entries = asked.reference.as_ref().and_then(|reference| snapshot.adjustments.get(reference));
    let (entries, possible) = (entries.map(Vec::as_slice).unwrap_or_default(), record.possible());
    let kept = possible.contains(&entries.len()) && entries.iter().all(|entry| entry == asked);
    findings.unless(kept, ADJUSTED, format_args!("{record} was made {possible:?} times, and is {entries:?}"));
}

/// Changes of unknown outcome may have been executed at any time, or never.
fn check_end(first: &Product, product: &Product, history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    let (id, price) = (product.id, product.price_cents);
    let live = snapshot.orders.values().filter(|row| row.is_live()).flat_map(|row| &row.order.items);
    let held: i64 = live.filter(|item| item.product_id == id).map(|item| item.qty).sum();
    let (mut last, mut may_cost, mut least) = (first, false, first.stock - held);
    let mut most = least;
    for record in &history.records {
        let delta = match record.request() {
            Request::SetPrice { product, price_cents, .. } if *product == id => {
                may_cost |= record.unknown() > 0 && *price_cents == price;
                let acknowledged = record.acknowledged().filter_map(Sent::product);
                last = acknowledged.chain([last]).max_by_key(|product| product.version).unwrap_or(last);
                continue;
            }
            Request::SetStock { seen, stock } if seen.id == id => stock - seen.stock,
            Request::AdjustStock(adjustment) if adjustment.product_id == id => adjustment.delta,
            _ => continue,
        };
        if record.is_acknowledged() {
            (least, most) = (least + delta, most + delta);
        } else if record.unknown() > 0 {
            (least, most) = (least + delta.min(0), most + delta.max(0));
        }
    }
    let kept = price == last.price_cents || may_cost;
    findings.unless(kept, KEPT, format_args!("product {id} costs {price}, and was told last as {last:?}"));
    let (there, possible) = (product.stock, least..=most);
    let breach = format_args!("product {id} has {there} pieces, not {possible:?}; orders hold {held}");
    findings.unless(possible.contains(&there), ACCOUNTED, breach);
}
