//! Whether every piece of stock is accounted for.

use std::collections::HashMap;

use super::Findings;
use super::books::Books;
use crate::history::{History, Record, Request};
use crate::outcome::{ProductSeen, Seen, Told};

const ADJUSTED: &str =
    "an acknowledged adjustment is made once, one of unknown outcome once at most, a refused one never";
const TOLD: &str = "an adjustment is answered with what it did";
const ACCOUNTED: &str =
    "a product's stock is the first stock, with what was acknowledged, without what live orders hold";

/// What a product's stock can be.
#[derive(Default)]
struct Account {
    sum: i64,
    /// What changes of unknown outcome may have taken, and given.
    least: i64,
    most: i64,
}

impl Account {
    fn enter(&mut self, record: &Record, delta: i64) {
        if record.is_acknowledged() {
            self.sum += delta;
        } else if record.unknown() > 0 {
            self.least += delta.min(0);
            self.most += delta.max(0);
        }
    }
}

pub(super) fn check(history: &History, books: &Books, findings: &mut Findings) {
    let mut accounts = HashMap::<i64, Account>::new();
    for record in &history.records {
        match record.request() {
            Request::AdjustStock { product, delta, reference } => {
                accounts.entry(*product).or_default().enter(record, *delta);
                check_adjustment(record, (*product, *delta), reference, books, findings);
            }
            Request::SetStock { seen, stock } => {
                accounts.entry(seen.id).or_default().enter(record, stock - seen.stock);
            }
            _ => {}
        }
    }
    let held = held_by_orders(books);
    for first in &history.products {
        let account = accounts.remove(&first.id).unwrap_or_default();
        check_account(first, &account, held.get(&first.id).copied().unwrap_or(0), books, findings);
    }
}

fn check_adjustment(
    record: &Record,
    (product, delta): (i64, i64),
    reference: &str,
    books: &Books,
    findings: &mut Findings,
) {
    for sent in record.acknowledged() {
        let Ok(Told { seen: Seen::Movement { product: told_product, delta: told, reference: named }, .. }) =
            &sent.outcome
        else {
            continue;
        };
        let as_asked = (*told_product, *told, named.as_deref()) == (product, delta, Some(reference));
        findings.unless(as_asked, TOLD, || format!("{} was told {:?}", record.name(), sent.outcome));
    }
    let (least, unknown) = (record.acknowledged().count(), record.unknown());
    let entries = books.adjustments.get(reference).map(Vec::as_slice).unwrap_or_default();
    let kept = (least..=least + unknown).contains(&entries.len()) && entries.iter().all(|e| *e == (product, delta));
    findings.unless(kept, ADJUSTED, || {
        format!("{} was acknowledged {least} times, {unknown} unknown, and is {entries:?}", record.name())
    });
}

fn held_by_orders(books: &Books) -> HashMap<i64, i64> {
    let mut held = HashMap::new();
    for order in books.orders.values().filter(|order| order.is_live()) {
        for (product, qty) in order.quantities() {
            *held.entry(product).or_default() += qty;
        }
    }
    held
}

fn check_account(first: &ProductSeen, account: &Account, held: i64, books: &Books, findings: &mut Findings) {
    let Some(product) = books.products.get(&first.id) else { return };
    let expected = first.stock + account.sum - held;
    let possible = expected + account.least..=expected + account.most;
    findings.unless(possible.contains(&product.stock), ACCOUNTED, || {
        format!("product {} has {} pieces, not {possible:?}; orders hold {held}", first.id, product.stock)
    });
}
