//! Whether every answer is one that its document lists.

use client_common::Fault;

use super::Findings;
use crate::contract::Contract;
use crate::history::History;
use crate::outcome::{Refusal, Seen, Success};

const LISTED: &str = "an operation is answered with a status and a code that its contract lists";
const SHAPED: &str = "an answer has the shape that its contract gives";
const SOUND: &str = "no service answers that something went wrong on its own side";
const SENDABLE: &str = "a client sends what the contract allows";

pub(super) fn check(history: &History, contract: &Contract, findings: &mut Findings) {
    for (record, sent) in history.sends() {
        let call = record.requests[sent.request].call();
        let lists = |status: u16, code: &str| {
            contract.get(call.operation).is_some_and(|endpoint| endpoint.answers.contains(&(status, code.to_owned())))
        };
        match &sent.outcome {
            Ok(Success { seen: Seen::Unreadable(problem), .. }) => {
                findings.add(SHAPED, format_args!("{record}: {problem}"));
            }
            Ok(Success { status, .. }) => {
                findings.unless(lists(*status, ""), LISTED, format_args!("{record} was answered {status}"));
            }
            Err(Fault::Answered { status, body: Some(Refusal { code, .. }), .. }) => {
                let answer = format_args!("{record} was answered {status} {code}");
                findings.unless(code != "internal", SOUND, answer);
                let expected = match (*status, code.as_str()) {
                    // These clients send credentials and valid requests in time.
                    (400 | 401 | 403 | 408 | 413 | 415, _) => false,
                    (412, _) => call.if_match.is_some(),
                    // Their products stay, their customers' names are unique, and they set no stock without If-Match.
                    (_, "email_taken" | "idempotency_key_abandoned" | "product_not_found") => false,
                    (_, "stock_changed" | "total_out_of_range" | "upstream_auth") => false,
                    _ => true,
                };
                findings.unless(expected && lists(*status, code), LISTED, answer);
            }
            // A balancer may answer by itself.
            Err(Fault::Answered { status: 502..=504, body: None, .. }) if history.behind_balancer => {}
            Err(Fault::Answered { status, body: None, .. }) => {
                findings.add(SHAPED, format_args!("{record} was answered {status} without a code"));
            }
            Err(Fault::Invalid(problem)) => findings.add(SENDABLE, format_args!("{record}: {problem}")),
            Err(_) => {}
        }
    }
}
