//! Whether every answer is one that the contract has.

use client_common::Fault;

use super::Findings;
use crate::history::{History, Record, Sent};
use crate::operation::Operation;
use crate::outcome::{Seen, Told};

const LISTED: &str = "an operation is answered with a status and a code that its contract lists";
const SHAPED: &str = "an answer has the shape that its contract gives";
const SOUND: &str = "no service answers that something went wrong on its own side";
const SENDABLE: &str = "a client sends what the contract allows";

/// Error answers that any operation for operators or services may give a caller who is let in and asks for what makes
/// sense.
const EVERYWHERE: &[(u16, &str)] = &[(503, "unavailable")];
const CHANGES: &[(u16, &str)] = &[(503, "outcome_unknown")];
const KEYED: &[(u16, &str)] = &[(422, "idempotency_key_reused"), (409, "idempotency_in_progress")];
const ORDER_CREATE: &[(u16, &str)] = &[
    (404, "customer_not_found"),
    (404, "product_not_found"),
    (409, "insufficient_stock"),
    (409, "total_changed"),
    (503, "customer_service_unavailable"),
    (504, "customer_service_unavailable"),
];
const CREATE_AND_CONFIRM: &[(u16, &str)] = &[
    (404, "customer_not_found"),
    (404, "product_not_found"),
    (409, "insufficient_stock"),
    (409, "order_canceled"),
    (409, "idempotency_key_spent"),
    (503, "upstream_unavailable"),
    (504, "upstream_timeout"),
    (504, "create_outcome_unknown"),
    (503, "confirm_failed"),
    (504, "confirm_failed"),
    (504, "compensation_pending"),
    // What the proxies between services leave of an answer may be no answer.
    (502, "upstream_invalid"),
];

pub(super) fn check(history: &History, findings: &mut Findings) {
    for record in &history.records {
        for sent in &record.sends {
            if !(history.behind_balancer && is_balancers(sent)) {
                check_one(record, sent, findings);
            }
        }
    }
}

/// Whether a balancer may have said it, and not a service.
fn is_balancers(sent: &Sent) -> bool {
    matches!(sent.outcome, Err(Fault::Answered { status: 502..=504, body: None, .. }))
}

fn check_one(record: &Record, sent: &Sent, findings: &mut Findings) {
    let (operation, name) = (record.operation(), || record.name());
    match &sent.outcome {
        Ok(Told { seen: Seen::Unreadable(problem), .. }) => findings.add(SHAPED, format!("{}: {problem}", name())),
        Ok(Told { status, .. }) => {
            findings.unless(*status == success(operation), LISTED, || format!("{} was answered {status}", name()));
        }
        Err(Fault::Answered { body: Some(refusal), .. }) if refusal.code == "internal" => {
            findings.add(SOUND, format!("{} was answered internal", name()));
        }
        Err(Fault::Answered { status, body: Some(refusal), .. }) => {
            let listed = is_listed(operation, *status, &refusal.code);
            findings.unless(listed, LISTED, || format!("{} was answered {status} {}", name(), refusal.code));
        }
        // Only where the bytes were kept is it known that the body was whole.
        Err(Fault::Answered { status, body: None, .. }) if keeps_bytes(operation) => {
            findings.add(SHAPED, format!("{} was answered {status} without a code", name()));
        }
        Err(Fault::Invalid(problem)) => findings.add(SENDABLE, format!("{}: {problem}", name())),
        Err(_) => {}
    }
}

fn success(operation: Operation) -> u16 {
    match operation {
        Operation::OrderCreate
        | Operation::OrderCreateAndConfirm
        | Operation::StockAdjustmentCreate
        | Operation::CustomerCreate => 201,
        Operation::CustomerDelete => 204,
        _ => 200,
    }
}

fn keeps_bytes(operation: Operation) -> bool {
    use Operation as O;
    matches!(operation, O::OrderCreate | O::OrderConfirm | O::OrderCancel | O::OrderCreateAndConfirm)
}

fn is_listed(operation: Operation, status: u16, code: &str) -> bool {
    use Operation as O;
    let lists: &[&[(u16, &str)]] = match operation {
        O::OrderCreate => &[EVERYWHERE, CHANGES, KEYED, ORDER_CREATE],
        O::OrderConfirm => &[EVERYWHERE, CHANGES, KEYED, &[(404, "order_not_found"), (409, "order_canceled")]],
        O::OrderCancel => &[EVERYWHERE, CHANGES, KEYED, &[(404, "order_not_found"), (409, "cancel_window_passed")]],
        O::OrderView => &[EVERYWHERE, &[(404, "order_not_found")]],
        O::OrderCreateAndConfirm => &[KEYED, CREATE_AND_CONFIRM],
        O::ProductUpdate => &[EVERYWHERE, CHANGES, &[(412, "precondition_failed")]],
        O::StockAdjustmentCreate => &[EVERYWHERE, CHANGES, &[(409, "stock_out_of_range")]],
        O::CustomerCreate => &[EVERYWHERE, CHANGES],
        O::CustomerUpdate => &[EVERYWHERE, CHANGES, &[(404, "customer_not_found"), (412, "precondition_failed")]],
        O::CustomerDelete => &[EVERYWHERE, CHANGES, &[(404, "customer_not_found")]],
        O::CustomerView => &[EVERYWHERE, &[(404, "customer_not_found")]],
        O::OrderList | O::ProductView | O::CustomerList => &[EVERYWHERE],
    };
    lists.iter().any(|list| list.contains(&(status, code)))
}
