//! Whether customers are as clients were told. Each is changed by one client only, one change after the other.

use std::collections::{BTreeMap, HashMap};

use super::Findings;
use super::snapshot::{Customer, Snapshot};
use crate::history::{History, Record, Sent};
use crate::outcome::{CustomerSeen, Effect, Seen};
use crate::request::Request;

const THERE: &str = "a customer that was acknowledged exists";
const GONE: &str = "a customer whose deletion was acknowledged is gone, and no other";
const CONTENT: &str = "a customer is as the last acknowledged change made it";
const SET: &str = "a change of a customer is answered with what it set";
const DELETED: &str = "a customer whose deletion was acknowledged is not shown any more";
const KNOWN: &str = "a customer that nobody deleted is not called unknown";
const ONE: &str = "an acknowledged create makes one customer, one of unknown outcome one at most, a refused one none";

pub(super) fn check(history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    let mut by_email = HashMap::<_, usize>::new();
    for customer in snapshot.customers.values() {
        *by_email.entry(&customer.email).or_default() += 1;
    }
    let mut lives = BTreeMap::<i64, Vec<&Record>>::new();
    for record in &history.records {
        let id = match record.request() {
            Request::CreateCustomer { email, .. } => {
                // The address may have changed since: too many are wrong, and a missing id is found below.
                let (made, possible) = (by_email.get(email).copied().unwrap_or(0), record.possible());
                let breach = format_args!("{record} has {possible:?} customers, and made {made}");
                findings.unless(made <= *possible.end(), ONE, breach);
                record.acknowledged().find_map(shown).map(|customer| customer.id)
            }
            Request::UpdateCustomer { id, .. } | Request::DeleteCustomer { id } | Request::ViewCustomer { id } => {
                Some(*id)
            }
            _ => None,
        };
        if let Some(id) = id {
            lives.entry(id).or_default().push(record);
        }
    }
    for (id, mut life) in lives {
        life.sort_by_key(|record| record.sends.first().map(|sent| sent.started));
        check_answers(id, &life, findings);
        match snapshot.customers.get(&id) {
            Some(customer) => check_end(id, &life, customer, findings),
            None => findings.add(THERE, format_args!("customer {id} is missing")),
        }
    }
}

fn shown(sent: &Sent) -> Option<&CustomerSeen> {
    match sent.seen() {
        Some(Seen::Customer(customer)) => Some(customer),
        _ => None,
    }
}

fn check_answers(id: i64, life: &[&Record], findings: &mut Findings) {
    let (mut deleted, mut maybe_deleted) = (false, false);
    for record in life {
        for sent in &record.sends {
            if let Some(customer) = shown(sent) {
                check_set(id, record, customer, findings);
                findings.unless(!deleted, DELETED, format_args!("customer {id} was shown by {record}"));
            }
            let known = !sent.has_code("customer_not_found") || maybe_deleted;
            findings.unless(known, KNOWN, format_args!("{record} of {id}"));
            if let Request::DeleteCustomer { .. } = record.request() {
                deleted |= sent.effect() == Effect::Done;
                maybe_deleted |= sent.effect() != Effect::Nothing;
            }
        }
    }
}

fn check_set(id: i64, record: &Record, seen: &CustomerSeen, findings: &mut Findings) {
    let version = match record.request() {
        Request::CreateCustomer { .. } => Some(1),
        request => request.if_match().map(|version| version + 1),
    };
    let set = content(record).is_none_or(|content| content == (&seen.name, &seen.email));
    let as_set = set && seen.id == id && version.is_none_or(|version| seen.version == version);
    findings.unless(as_set, SET, format_args!("{record} was told of {seen:?}"));
}

/// The name and the email address that a change sets.
fn content(record: &Record) -> Option<(&String, &String)> {
    match record.request() {
        Request::CreateCustomer { name, email } | Request::UpdateCustomer { name, email, .. } => Some((name, email)),
        _ => None,
    }
}

fn check_end(id: i64, life: &[&Record], customer: &Customer, findings: &mut Findings) {
    let deletes = || life.iter().filter(|record| matches!(record.request(), Request::DeleteCustomer { .. }));
    let must_be_gone = deletes().any(|record| record.is_acknowledged());
    let may_be_gone = deletes().any(|record| record.may_be_done());
    let kept = if customer.deleted { may_be_gone } else { !must_be_gone };
    findings.unless(kept, GONE, format_args!("customer {id} is {customer:?}"));
    let changes: Vec<_> = life.iter().filter_map(|record| Some((record, content(record)?))).collect();
    let last = changes.iter().rposition(|(record, _)| record.is_acknowledged()).unwrap_or(0);
    // A change of unknown outcome may have been executed at any time since.
    let mut possible = changes.iter().enumerate().filter(|(at, (record, _))| *at == last || record.unknown() > 0);
    let is_one_of_them = possible.any(|(_, (_, content))| *content == (&customer.name, &customer.email));
    findings.unless(changes.is_empty() || is_one_of_them, CONTENT, format_args!("customer {id} is {customer:?}"));
}
