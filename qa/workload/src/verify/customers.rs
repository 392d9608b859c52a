//! Checks customers against acknowledged changes. Each customer is changed by only one client, one change at a time.

use std::collections::{BTreeMap, HashMap};

use super::Findings;
use super::snapshot::Snapshot;
use crate::history::{History, Sent};
use crate::request::Request;

const EXISTS: &str = "an acknowledged customer exists";
const DELETED: &str = "a customer whose deletion was acknowledged is deleted, and no other customer is";
const CONTENT: &str = "a customer has the content of the last acknowledged change";
const SET: &str = "the response to a customer change has the values that it set";
const HIDDEN: &str = "a customer whose deletion was acknowledged is no longer returned";
const KNOWN: &str = "a customer that no client deleted is not reported as unknown";
const ONE: &str = "an acknowledged create request creates one customer, one with unknown outcome \
    creates at most one, and a rejected one creates none";

#[derive(Default)]
struct State<'h> {
    is_deleted: bool,
    may_be_deleted: bool,
    /// Name and email address set by the last acknowledged change.
    last: Option<(&'h String, &'h String)>,
    /// Values of changes with unknown outcome, which may have been executed at any later time.
    unknown: Vec<(&'h String, &'h String)>,
}

pub(super) fn check(history: &History, snapshot: &Snapshot, findings: &mut Findings) {
    let mut by_email = HashMap::<_, usize>::new();
    for (customer, _) in snapshot.customers.values() {
        *by_email.entry(&customer.email).or_default() += 1;
    }
    let mut states = BTreeMap::<i64, State<'_>>::new();
    for record in &history.records {
        let (id, content) = match record.request() {
            Request::CreateCustomer { name, email } => {
                // The email address may have changed, so only an excess is a violation. Missing IDs are found below.
                let (created, possible) = (by_email.get(email).copied().unwrap_or(0), record.possible_executions());
                let violation = format_args!("{record} may have created {possible:?} customers, but created {created}");
                findings.unless(created <= *possible.end(), ONE, violation);
                let Some(created) = record.sends.iter().find_map(Sent::customer) else { continue };
                (created.id, Some((name, email)))
            }
            Request::UpdateCustomer { id, name, email, .. } => (*id, Some((name, email))),
            Request::DeleteCustomer { id } | Request::ViewCustomer { id } => (*id, None),
            _ => continue,
        };
        let state = states.entry(id).or_default();
        for sent in &record.sends {
            if let Some(observed) = sent.customer() {
                let version = match record.request() {
                    Request::CreateCustomer { .. } => Some(1),
                    request => request.call().if_match.map(|version| version + 1),
                };
                let set = content.is_none_or(|content| content == (&observed.name, &observed.email));
                let as_set = set && observed.id == id && version.is_none_or(|version| observed.version == version);
                findings.unless(as_set, SET, format_args!("{record} returned {observed:?}"));
                findings.unless(!state.is_deleted, HIDDEN, format_args!("customer {id} was returned by {record}"));
            }
            let known = !sent.has_code("customer_not_found") || state.may_be_deleted;
            findings.unless(known, KNOWN, format_args!("{record} of {id}"));
            if let Request::DeleteCustomer { .. } = record.request() {
                state.is_deleted |= sent.outcome.is_ok();
                state.may_be_deleted |= sent.may_have_executed();
            }
        }
        state.last = content.filter(|_| record.is_acknowledged()).or(state.last);
        state.unknown.extend(content.filter(|_| record.unknown() > 0));
    }
    for (id, state) in states {
        let Some((customer, is_deleted)) = snapshot.customers.get(&id) else {
            findings.add(EXISTS, format_args!("customer {id} is missing"));
            continue;
        };
        let violation = format_args!("customer {id} is stored as {customer:?}, deleted: {is_deleted}");
        findings.unless(if *is_deleted { state.may_be_deleted } else { !state.is_deleted }, DELETED, violation);
        let mut possible = state.last.iter().chain(&state.unknown).peekable();
        let has_no_change = possible.peek().is_none();
        let is_one_of_them = possible.any(|content| *content == (&customer.name, &customer.email));
        findings.unless(has_no_change || is_one_of_them, CONTENT, violation);
    }
}
