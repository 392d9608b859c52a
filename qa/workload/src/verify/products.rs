//! Whether changes of products came one after the other, and none got lost.

use std::collections::{BTreeMap, HashMap};

use super::Findings;
use super::books::Books;
use super::time::{Shown, backwards};
use crate::history::{History, Record, Request};
use crate::outcome::{Effect, ProductSeen};

const FORWARD: &str = "a product's version goes forward from one answer to the next";
const ONE_EACH: &str = "each version of a product has one price and one stock, and is made by one change";
const SET: &str = "a change of a product is answered with what it set";
const MATCHED: &str = "a change under If-Match is made to the version that it names";
const KEPT: &str = "the price of a product is that of the last acknowledged change";
const THERE: &str = "a product is at the last version that was told, or a later one";

/// What clients were told of one product.
#[derive(Default)]
struct Told<'h> {
    shown: Vec<(Shown, ProductSeen)>,
    price_edits: Vec<&'h Record>,
}

pub(super) fn check(history: &History, books: &Books, findings: &mut Findings) {
    let mut told = HashMap::<i64, Told<'_>>::new();
    for record in &history.records {
        let is_change = matches!(record.request(), Request::SetPrice { .. } | Request::SetStock { .. });
        if let Request::SetPrice { product, .. } = record.request() {
            told.entry(*product).or_default().price_edits.push(record);
        }
        for sent in &record.sends {
            let Some(product) = sent.product() else { continue };
            check_set(record, product, findings);
            let shown = Shown::new(sent, product.version, is_change);
            told.entry(product.id).or_default().shown.push((shown, *product));
        }
    }
    for first in &history.products {
        if let Some(told) = told.get(&first.id) {
            check_versions(first.id, told, findings);
            check_kept(first, told, books, findings);
        }
    }
}

fn check_set(record: &Record, told: &ProductSeen, findings: &mut Findings) {
    let (as_set, seen_version) = match record.request() {
        Request::SetPrice { product, price_cents, if_match } => {
            ((told.id, told.price_cents) == (*product, *price_cents), *if_match)
        }
        Request::SetStock { seen, stock } => ((told.id, told.stock) == (seen.id, *stock), Some(seen.version)),
        _ => return,
    };
    findings.unless(as_set, SET, || format!("{} was told of {told:?}", record.name()));
    let matched = seen_version.is_none_or(|seen| told.version == seen + 1);
    findings.unless(matched, MATCHED, || format!("{} was told of {told:?}", record.name()));
}

fn check_versions(id: i64, told: &Told<'_>, findings: &mut Findings) {
    let shown: Vec<_> = told.shown.iter().map(|(shown, _)| *shown).collect();
    for (earlier, later) in backwards(&shown) {
        findings.add(FORWARD, format!("of product {id}, {earlier:?} came before {later:?}"));
    }
    let mut versions = BTreeMap::<i64, (ProductSeen, usize)>::new();
    for (shown, product) in &told.shown {
        let (first, changes) = versions.entry(product.version).or_insert((*product, 0));
        *changes += usize::from(shown.is_change);
        findings.unless(first == product && *changes <= 1, ONE_EACH, || {
            format!("of product {id}, {first:?} and {product:?} were told, by {changes} changes")
        });
    }
}

/// A change of unknown outcome may have been carried out, also after the last acknowledged one.
fn check_kept(first: &ProductSeen, told: &Told<'_>, books: &Books, findings: &mut Findings) {
    let id = first.id;
    let Some(product) = books.products.get(&id) else {
        return findings.add(THERE, format!("product {id} is missing"));
    };
    let acknowledged = told.price_edits.iter().flat_map(|record| record.acknowledged());
    let last = acknowledged.filter_map(|sent| sent.product()).max_by_key(|product| product.version).unwrap_or(first);
    let unknown = |record: &&&Record| record.sends.iter().any(|sent| sent.effect() == Effect::Unknown);
    let mut possible: Vec<_> = told.price_edits.iter().filter(unknown).filter_map(|record| price(record)).collect();
    possible.push(last.price_cents);
    findings.unless(possible.contains(&product.price_cents), KEPT, || {
        format!("product {id} costs {}, and was told last as {last:?}", product.price_cents)
    });
    let newest = told.shown.iter().map(|(shown, _)| shown.version).max().unwrap_or(first.version);
    findings.unless(product.version >= newest, THERE, || {
        format!("product {id} is at version {}, and was told at {newest}", product.version)
    });
}

fn price(record: &Record) -> Option<i64> {
    match record.request() {
        Request::SetPrice { price_cents, .. } => Some(*price_cents),
        _ => None,
    }
}
