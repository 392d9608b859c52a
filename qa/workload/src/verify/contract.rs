//! Checks that every response is documented.

use client_common::Fault;

use super::Findings;
use crate::contract::Contract;
use crate::history::History;
use crate::outcome::{ErrorBody, Observed, Success};

const LISTED: &str = "every response has a status and an error code that the contract lists";
const SCHEMA: &str = "every response body matches the schema of the contract";
const NO_INTERNAL: &str = "no service responds with an internal error";
const SENDABLE: &str = "clients send only requests that the contract allows";

pub(super) fn check(history: &History, contract: &Contract, findings: &mut Findings) {
    for (record, sent) in history.sends() {
        let call = record.requests[sent.request].call();
        let lists = |status: u16, code: &str| {
            contract.get(call.operation).is_some_and(|endpoint| endpoint.responses.contains(&(status, code.to_owned())))
        };
        match &sent.outcome {
            Ok(Success { observed: Observed::Malformed(problem), .. }) => {
                findings.add(SCHEMA, format_args!("{record}: {problem}"));
            }
            Ok(Success { status, .. }) => {
                findings.unless(lists(*status, ""), LISTED, format_args!("{record} returned {status}"));
            }
            Err(Fault::Answered { status, body: Some(ErrorBody { code, .. }), .. }) => {
                let response = format_args!("{record} returned {status} {code}");
                findings.unless(code != "internal", NO_INTERNAL, response);
                let expected = match (*status, code.as_str()) {
                    // These clients send only valid credentials and valid requests, without delay.
                    (400 | 401 | 403 | 408 | 413 | 415, _) => false,
                    (412, _) => call.if_match.is_some(),
                    // They delete no products, use unique email addresses, and set no stock without If-Match.
                    (_, "email_taken" | "idempotency_key_abandoned" | "product_not_found") => false,
                    (_, "stock_changed" | "total_out_of_range" | "upstream_auth") => false,
                    _ => true,
                };
                findings.unless(expected && lists(*status, code), LISTED, response);
            }
            // The load balancer may have sent this response itself.
            Err(Fault::Answered { status: 502..=504, body: None, .. }) if history.behind_balancer => {}
            Err(Fault::Answered { status, body: None, .. }) => {
                findings.add(SCHEMA, format_args!("{record} returned {status} without an error code"));
            }
            Err(Fault::Invalid(problem)) => findings.add(SENDABLE, format_args!("{record}: {problem}")),
            Err(_) => {}
        }
    }
}
