//! Whether every answer is one that its document lists.

use client_common::Fault;

use super::Findings;
use crate::contract::{Contract, Endpoint};
use crate::history::{History, Record, Sent};
use crate::outcome::{Seen, Success};

const LISTED: &str = "an operation is answered with a status and a code that its contract lists";
const SHAPED: &str = "an answer has the shape that its contract gives";
const SOUND: &str = "no service answers that something went wrong on its own side";
const SENDABLE: &str = "a client sends what the contract allows";

/// Statuses of mistakes that these clients do not make: they send credentials and valid requests in time.
const CLIENT_ERRORS: [u16; 6] = [400, 401, 403, 408, 413, 415];
/// Codes that these clients do not cause: their products stay, their customers' names are unique, and they set no stock
/// without If-Match.
const NEVER_CAUSED: [&str; 6] = [
    "email_taken",
    "idempotency_key_abandoned",
    "product_not_found",
    "stock_changed",
    "total_out_of_range",
    "upstream_auth",
];

pub(super) fn check(history: &History, contract: &Contract, findings: &mut Findings) {
    for record in &history.records {
        let Some(endpoint) = contract.endpoint(record.request().operation()) else {
            findings.add(SENDABLE, format_args!("no document has {record}"));
            continue;
        };
        for sent in &record.sends {
            if !(history.behind_balancer && is_balancers(sent)) {
                check_one(record, sent, endpoint, findings);
            }
        }
    }
}

/// Whether a balancer may have answered by itself.
fn is_balancers(sent: &Sent) -> bool {
    matches!(sent.outcome, Err(Fault::Answered { status: 502..=504, body: None, .. }))
}

fn check_one(record: &Record, sent: &Sent, endpoint: &Endpoint, findings: &mut Findings) {
    match &sent.outcome {
        Ok(Success { seen: Seen::Unreadable(problem), .. }) => {
            findings.add(SHAPED, format_args!("{record}: {problem}"));
        }
        Ok(Success { status, .. }) => {
            let listed = endpoint.successes.contains(status);
            findings.unless(listed, LISTED, format_args!("{record} was answered {status}"));
        }
        Err(Fault::Answered { status, body: Some(refusal), .. }) => {
            let code = refusal.code.as_str();
            let answer = format_args!("{record} was answered {status} {code}");
            findings.unless(code != "internal", SOUND, answer);
            let caused = *status != 412 || record.requests[sent.request].if_match().is_some();
            let expected = caused && !CLIENT_ERRORS.contains(status) && !NEVER_CAUSED.contains(&code);
            let listed = endpoint.errors.contains(&(*status, code.to_owned()));
            findings.unless(expected && listed, LISTED, answer);
        }
        Err(Fault::Answered { status, body: None, .. }) => {
            findings.add(SHAPED, format_args!("{record} was answered {status} without a code"));
        }
        Err(Fault::Invalid(problem)) => findings.add(SENDABLE, format_args!("{record}: {problem}")),
        Err(_) => {}
    }
}
