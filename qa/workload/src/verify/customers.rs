//! Whether customers are as clients were told. Each is changed by one client only, one change after the other.

use std::collections::{BTreeMap, HashMap};

use super::Findings;
use super::snapshot::Snapshot;
use crate::history::{History, Sent};
use crate::request::Request;

const THERE: &str = "a customer that was acknowledged exists";
const GONE: &str = "a customer whose deletion was acknowledged is gone, and no other";
const CONTENT: &str = "a customer is as the last acknowledged change made it";
const SET: &str = "a change of a customer is answered with what it set";
const DELETED: &str = "a customer whose deletion was acknowledged is not shown any more";
const KNOWN: &str = "a customer that nobody deleted is not called unknown";
const ONE: &str = "an acknowledged create makes one customer, one of unknown outcome one at most, a refused one none";

/// What clients know of one customer.
#[derive(Default)]
struct Life<'h> {
    is_deleted: bool,
    may_be_deleted: bool,
    /// The name and the email address that the last acknowledged change set.
    last: Option<(&'h String, &'h String)>,
    /// Those of changes of unknown outcome, which may have been executed at any time since.
    unknown: Vec<(&'h String, &'h String)>,
}

pub(super) fn check(history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    let mut by_email = HashMap::<_, usize>::new();
    for (customer, _) in snapshot.customers.values() {
        *by_email.entry(&customer.email).or_default() += 1;
    }
    let mut lives = BTreeMap::<i64, Life<'_>>::new();
    for record in &history.records {
        let (id, content) = match record.request() {
            Request::CreateCustomer { name, email } => {
                // The address may have changed since: too many are wrong, and a missing id is found below.
                let (created, possible) = (by_email.get(email).copied().unwrap_or(0), record.possible());
                let breach = format_args!("{record} has {possible:?} customers, and made {created}");
                findings.unless(created <= *possible.end(), ONE, breach);
                let Some(created) = record.sends.iter().find_map(Sent::customer) else { continue };
                (created.id, Some((name, email)))
            }
            Request::UpdateCustomer { id, name, email, .. } => (*id, Some((name, email))),
            Request::DeleteCustomer { id } | Request::ViewCustomer { id } => (*id, None),
            _ => continue,
        };
        let life = lives.entry(id).or_default();
        for sent in &record.sends {
            if let Some(seen) = sent.customer() {
                let version = match record.request() {
                    Request::CreateCustomer { .. } => Some(1),
                    request => request.call().if_match.map(|version| version + 1),
                };
                let set = content.is_none_or(|content| content == (&seen.name, &seen.email));
                let as_set = set && seen.id == id && version.is_none_or(|version| seen.version == version);
                findings.unless(as_set, SET, format_args!("{record} was told of {seen:?}"));
                findings.unless(!life.is_deleted, DELETED, format_args!("customer {id} was shown by {record}"));
            }
            let known = !sent.has_code("customer_not_found") || life.may_be_deleted;
            findings.unless(known, KNOWN, format_args!("{record} of {id}"));
            if let Request::DeleteCustomer { .. } = record.request() {
                life.is_deleted |= sent.outcome.is_ok();
                life.may_be_deleted |= sent.may_be_done();
            }
        }
        life.last = content.filter(|_| record.is_acknowledged()).or(life.last);
        life.unknown.extend(content.filter(|_| record.unknown() > 0));
    }
    for (id, life) in lives {
        let Some((customer, is_gone)) = snapshot.customers.get(&id) else {
            findings.add(THERE, format_args!("customer {id} is missing"));
            continue;
        };
        let breach = format_args!("customer {id} is {customer:?}, deleted: {is_gone}");
        findings.unless(if *is_gone { life.may_be_deleted } else { !life.is_deleted }, GONE, breach);
        let mut possible = life.last.iter().chain(&life.unknown).peekable();
        let is_unchanged = possible.peek().is_none();
        let is_one_of_them = possible.any(|content| *content == (&customer.name, &customer.email));
        findings.unless(is_unchanged || is_one_of_them, CONTENT, breach);
    }
}
