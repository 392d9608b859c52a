//! Whether customers are as clients were told. Each is changed by one client only, one thing after the other.

use std::collections::BTreeMap;

use super::Findings;
use super::books::{Books, Customer};
use super::time::{Shown, backwards};
use crate::history::{History, Record, Request, Sent};
use crate::outcome::{CustomerSeen, Effect, Seen, Told};

const THERE: &str = "a customer that was acknowledged exists";
const GONE: &str = "a customer whose deletion was acknowledged is gone, and no other";
const CONTENT: &str = "a customer is as the last acknowledged change made it";
const SET: &str = "a change of a customer is answered with what it set";
const FORWARD: &str = "a customer's version goes forward from one answer to the next";
const DELETED: &str = "a customer whose deletion was acknowledged is not shown any more";
const KNOWN: &str = "a customer that nobody deleted is not called unknown";
const ONE: &str = "an acknowledged create makes one customer, one of unknown outcome one at most, a refused one none";

/// What one client did to a customer, in this order.
#[derive(Default)]
struct Life<'h>(Vec<&'h Record>);

pub(super) fn check(history: &History, books: &Books, findings: &mut Findings) {
    let mut lives = BTreeMap::<i64, Life<'_>>::new();
    let mut by_email = BTreeMap::<&str, usize>::new();
    for customer in books.customers.values() {
        *by_email.entry(&customer.email).or_default() += 1;
    }
    for record in &history.records {
        if let Request::CreateCustomer { email, .. } = record.request() {
            check_created(record, by_email.get(email.as_str()).copied().unwrap_or(0), books, findings);
        }
        if let Some(id) = subject(record) {
            lives.entry(id).or_default().0.push(record);
        }
    }
    for (id, mut life) in lives {
        life.0.sort_by_key(|record| record.sends.first().map(|sent| sent.started));
        life.check_answers(id, findings);
        match books.customers.get(&id) {
            Some(customer) => life.check_end(id, customer, findings),
            None => findings.add(THERE, format!("customer {id} is missing")),
        }
    }
}

/// Which customer an operation was about; for a create, which it made.
fn subject(record: &Record) -> Option<i64> {
    match record.request() {
        Request::CreateCustomer { .. } => record.acknowledged().find_map(shown).map(|customer| customer.id),
        Request::UpdateCustomer { id, .. } | Request::DeleteCustomer { id } | Request::ViewCustomer { id } => Some(*id),
        _ => None,
    }
}

fn shown(sent: &Sent) -> Option<&CustomerSeen> {
    match &sent.outcome {
        Ok(Told { seen: Seen::Customer(customer), .. }) => Some(customer),
        _ => None,
    }
}

/// The address may have been changed since: only too many are wrong, and too few where even the id is missing.
fn check_created(record: &Record, made: usize, books: &Books, findings: &mut Findings) {
    let (acknowledged, unknown) = (record.acknowledged().count(), record.unknown());
    let told = record.acknowledged().filter_map(shown);
    let there = told.into_iter().all(|customer| books.customers.contains_key(&customer.id));
    findings.unless(there && made <= acknowledged + unknown, ONE, || {
        format!("{} was acknowledged {acknowledged} times, {unknown} unknown, and made {made}", record.name())
    });
}

impl Life<'_> {
    fn check_answers(&self, id: i64, findings: &mut Findings) {
        let (mut versions, mut deleted, mut maybe_deleted) = (Vec::new(), false, false);
        for record in &self.0 {
            for sent in &record.sends {
                if let Some(customer) = shown(sent) {
                    let is_change = !matches!(record.request(), Request::ViewCustomer { .. });
                    versions.push(Shown::new(sent, customer.version, is_change));
                    check_set(record, customer, findings);
                    findings.unless(!deleted, DELETED, || format!("customer {id} was shown by {}", record.name()));
                }
                let unknown = matches!(sent.refusal(), Some((_, "customer_not_found")));
                findings.unless(!unknown || maybe_deleted, KNOWN, || format!("{} of {id}", record.name()));
                if let Request::DeleteCustomer { .. } = record.request() {
                    deleted |= sent.effect() == Effect::Done;
                    maybe_deleted |= sent.effect() != Effect::Nothing;
                }
            }
        }
        for (earlier, later) in backwards(&versions) {
            findings.add(FORWARD, format!("of customer {id}, {earlier:?} came before {later:?}"));
        }
    }

    fn check_end(&self, id: i64, customer: &Customer, findings: &mut Findings) {
        let deletes = || self.0.iter().filter(|record| matches!(record.request(), Request::DeleteCustomer { .. }));
        let must_be_gone = deletes().any(|record| record.is_acknowledged());
        let may_be_gone = deletes().any(|record| record.may_be_done());
        let kept = if customer.deleted { may_be_gone } else { !must_be_gone };
        findings.unless(kept, GONE, || format!("customer {id} is {customer:?}"));
        self.check_content(id, customer, findings);
    }

    fn check_content(&self, id: i64, customer: &Customer, findings: &mut Findings) {
        let contents = self.0.iter().filter_map(|record| match record.request() {
            Request::CreateCustomer { name, email } | Request::UpdateCustomer { name, email, .. } => {
                Some((record, (name, email)))
            }
            _ => None,
        });
        let contents: Vec<_> = contents.collect();
        let last = contents.iter().rposition(|(record, _)| record.is_acknowledged()).unwrap_or(0);
        // What is of unknown outcome may have been carried out at any time since.
        let may_be = contents.iter().enumerate().filter(|(at, (record, _))| *at == last || record.unknown() > 0);
        let is_one_of_them = may_be.into_iter().any(|(_, (_, content))| *content == (&customer.name, &customer.email));
        findings.unless(contents.is_empty() || is_one_of_them, CONTENT, || format!("customer {id} is {customer:?}"));
        let told = self.0.iter().flat_map(|record| record.sends.iter().filter_map(shown));
        let newest = told.map(|customer| customer.version).max().unwrap_or(0);
        findings.unless(customer.version >= newest, CONTENT, || {
            format!("customer {id} is at version {}, and was told at {newest}", customer.version)
        });
    }
}

fn check_set(record: &Record, told: &CustomerSeen, findings: &mut Findings) {
    let as_set = match record.request() {
        Request::CreateCustomer { name, email } => told.version == 1 && (name, email) == (&told.name, &told.email),
        Request::UpdateCustomer { id, name, email, if_match } => {
            let matched = if_match.is_none_or(|version| told.version == version + 1);
            matched && told.id == *id && (name, email) == (&told.name, &told.email)
        }
        Request::ViewCustomer { id } => told.id == *id,
        _ => true,
    };
    findings.unless(as_set, SET, || format!("{} was told of {told:?}", record.name()));
}
