//! Whether changes of products happened as they were answered, and every piece of stock is accounted for.

use std::collections::HashMap;

use super::Findings;
use super::snapshot::Snapshot;
use crate::history::{History, Record};
use crate::outcome::{ProductSeen, Seen};
use crate::request::Request;

const SET: &str = "a change of a product is answered with what it set";
const MATCHED: &str = "a change under If-Match is made to the version that it names";
const KEPT: &str = "the price of a product is that of the last acknowledged change";
const ADJUSTED: &str =
    "an acknowledged adjustment is made once, one of unknown outcome once at most, a refused one never";
const TOLD: &str = "an adjustment is answered with what it did";
const ACCOUNTED: &str =
    "a product's stock is the first stock, with what was acknowledged, without what live orders hold";

/// What one product can be.
#[derive(Default)]
struct Account {
    /// The last acknowledged change of the price.
    priced: Option<ProductSeen>,
    /// Prices of changes of unknown outcome, which may have been executed at any time.
    unknown_prices: Vec<i64>,
    /// Acknowledged changes of the stock.
    sum: i64,
    /// What changes of unknown outcome may have taken, and given.
    least: i64,
    most: i64,
}

impl Account {
    fn enter_price(&mut self, record: &Record, price_cents: i64) {
        if record.unknown() > 0 {
            self.unknown_prices.push(price_cents);
        }
        let acknowledged = record.acknowledged().filter_map(|sent| sent.product()).copied();
        self.priced = acknowledged.chain(self.priced).max_by_key(|product| product.version);
    }

    fn enter_stock(&mut self, record: &Record, delta: i64) {
        if record.is_acknowledged() {
            self.sum += delta;
        } else if record.unknown() > 0 {
            self.least += delta.min(0);
            self.most += delta.max(0);
        }
    }
}

pub(super) fn check(history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    let mut accounts = HashMap::<i64, Account>::new();
    for record in &history.records {
        let request = record.request();
        let account = request.id().map(|id| accounts.entry(id).or_default());
        match (request, account) {
            (Request::SetPrice { price_cents, .. }, Some(account)) => account.enter_price(record, *price_cents),
            (Request::SetStock { seen, stock }, Some(account)) => account.enter_stock(record, stock - seen.stock),
            (Request::AdjustStock { product, delta, reference }, Some(account)) => {
                account.enter_stock(record, *delta);
                check_adjustment(record, (*product, *delta), reference, snapshot, findings);
            }
            _ => continue,
        }
        check_set(record, findings);
    }
    let mut held = HashMap::<i64, i64>::new();
    for item in snapshot.orders.values().filter(|order| order.is_live()).flat_map(|order| &order.items) {
        *held.entry(item.product).or_default() += item.qty;
    }
    for first in &history.products {
        let (id, Some(product)) = (first.id, snapshot.products.get(&first.id)) else { continue };
        let account = accounts.remove(&id).unwrap_or_default();
        let last = account.priced.as_ref().unwrap_or(first);
        let kept = product.price_cents == last.price_cents || account.unknown_prices.contains(&product.price_cents);
        let price = product.price_cents;
        findings.unless(kept, KEPT, format_args!("product {id} costs {price}, and was told last as {last:?}"));
        let held = held.get(&id).copied().unwrap_or(0);
        let expected = first.stock + account.sum - held;
        let possible = expected + account.least..=expected + account.most;
        let there = product.stock;
        findings.unless(
            possible.contains(&there),
            ACCOUNTED,
            format_args!("product {id} has {there} pieces, not {possible:?}; orders hold {held}"),
        );
    }
}

fn check_set(record: &Record, findings: &mut Findings) {
    let request = record.request();
    for sent in record.acknowledged() {
        let as_set = match (request, sent.seen()) {
            (Request::SetPrice { product, price_cents, .. }, Some(Seen::Product(seen))) => {
                (seen.id, seen.price_cents) == (*product, *price_cents)
            }
            (Request::SetStock { seen: before, stock }, Some(Seen::Product(seen))) => {
                (seen.id, seen.stock) == (before.id, *stock)
            }
            _ => continue,
        };
        findings.unless(as_set, SET, format_args!("{record} was told of {sent:?}"));
        let version = sent.product().map(|seen| seen.version - 1);
        let matched = request.if_match().is_none_or(|expected| version == Some(expected));
        findings.unless(matched, MATCHED, format_args!("{record} was told of {sent:?}"));
    }
}

fn check_adjustment(
    record: &Record,
    (product, delta): (i64, i64),
    reference: &str,
    snapshot: &Snapshot,
    findings: &mut Findings,
) {
    let asked = Seen::Movement { product, delta, reference: Some(reference.to_owned()) };
    for seen in record.acknowledged().filter_map(|sent| sent.seen()) {
        let told = *seen == asked || matches!(seen, Seen::Unreadable(_));
        findings.unless(told, TOLD, format_args!("{record} was told {seen:?}"));
    }
    let entries = snapshot.adjustments.get(reference).map(Vec::as_slice).unwrap_or_default();
    let possible = record.possible();
    let kept = possible.contains(&entries.len()) && entries.iter().all(|entry| *entry == (product, delta));
    findings.unless(kept, ADJUSTED, format_args!("{record} was made {possible:?} times, and is {entries:?}"));
}
