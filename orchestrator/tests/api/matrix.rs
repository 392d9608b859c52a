//! Every combination of a saga's upstream request and a fault: a single fault, a permanent fault, and duplicate
//! delivery. The tests check the response to the caller and the final state of the orders service.

use std::time::Duration;

use client_common::Retry;
use orchestrator::Policy;
use tokio::task::JoinSet;

use crate::fake_orders::INITIAL_STOCK;
use crate::fault_proxy::{ALWAYS, Fault, FaultProxy};
use crate::harness::{Harness, POLICY, Reply};

const VIEW_CUSTOMER: &str = "GET /internal/customers/{id}";
const CREATE: &str = "POST /orders";
const CONFIRM: &str = "POST /orders/{id}/confirm";
const CANCEL: &str = "POST /orders/{id}/cancel";
const ABANDON: &str = "POST /internal/orders/abandon";
const VIEW_ORDER: &str = "GET /orders/{id}";
const LOOKUP: &str = "GET /internal/orders/lookup";

const OUTAGE: Duration = Duration::from_millis(20);
/// Policy with more attempts than an outage can fail, and with time for all of them on a busy machine.
const LENIENT_POLICY: Policy = Policy {
    retry: Retry { attempts: 60, total: Duration::from_secs(120), ..POLICY.retry },
    compensation: Duration::from_secs(60),
    ..POLICY
};
/// Number of concurrent sagas. With more, a saga could use up its attempts while it waits for a processor.
const MAX_CONCURRENT: usize = 8;

/// An upstream request of the saga; the permanent fault of another request that causes this request, if any; and the
/// outcome.
#[derive(Clone, Copy)]
struct SagaRequest {
    request: &'static str,
    cause: Option<(&'static str, Fault)>,
    outcome: &'static str,
}

const SAGA_REQUESTS: [SagaRequest; 7] = [
    SagaRequest { request: VIEW_CUSTOMER, cause: None, outcome: "201, Confirmed" },
    SagaRequest { request: CREATE, cause: None, outcome: "201, Confirmed" },
    SagaRequest { request: CONFIRM, cause: None, outcome: "201, Confirmed" },
    SagaRequest {
        request: CANCEL,
        cause: Some((CONFIRM, Fault::GatewayResponse(503))),
        outcome: "503 confirm_failed done, Canceled",
    },
    SagaRequest {
        request: ABANDON,
        cause: Some((CREATE, Fault::ResponseDropped)),
        outcome: "504 create_outcome_unknown done, Canceled",
    },
    SagaRequest { request: VIEW_ORDER, cause: Some((CONFIRM, Fault::ResponseDropped)), outcome: "201, Confirmed" },
    SagaRequest {
        request: LOOKUP,
        cause: Some((VIEW_CUSTOMER, Fault::GatewayResponse(503))),
        outcome: "503 upstream_unavailable not_needed, no order",
    },
];

/// Success response whose body cannot be parsed.
const UNPARSABLE: Fault = Fault::GatewayResponse(200);

/// All transient faults.
const TRANSIENT: [Fault; 11] = [
    Fault::RequestDropped,
    Fault::ResponseDropped,
    Fault::RequestStalled,
    Fault::ResponseStalled,
    Fault::ResponseTruncated,
    UNPARSABLE,
    Fault::GatewayResponse(502),
    Fault::Error(500, "internal"),
    Fault::Error(503, "unavailable"),
    Fault::Error(409, "idempotency_in_progress"),
    Fault::PortClosedFor(OUTAGE),
];

/// Outcome of a saga in which a request always fails, and of a retry with the same key after the fault is removed.
struct PermanentFault {
    request: &'static str,
    faults: &'static [Fault],
    outcome: &'static str,
    retry: &'static str,
}

const NOT_EXECUTED: &[Fault] = &[
    Fault::RequestDropped,
    Fault::RequestStalled,
    UNPARSABLE,
    Fault::GatewayResponse(502),
    Fault::Error(500, "internal"),
];
const RESPONSE_LOST: &[Fault] = &[Fault::ResponseDropped, Fault::ResponseStalled, Fault::ResponseTruncated];
const TIMEOUTS: &[Fault] = &[Fault::RequestStalled, Fault::ResponseStalled];
const FAST_FAILURES: &[Fault] = &[
    Fault::RequestDropped,
    Fault::ResponseDropped,
    Fault::ResponseTruncated,
    UNPARSABLE,
    Fault::GatewayResponse(502),
    Fault::Error(503, "unavailable"),
    Fault::PortClosed,
];
const PORT_CLOSED: &[Fault] = &[Fault::PortClosed];
const UNAVAILABLE: &[Fault] = &[Fault::Error(503, "unavailable")];

const KEY_SPENT: &str = "409 idempotency_key_spent not_needed, Canceled";

#[rustfmt::skip]
const PERMANENT_FAULTS: &[PermanentFault] = &[
    PermanentFault { request: VIEW_CUSTOMER, faults: FAST_FAILURES, outcome: "503 upstream_unavailable not_needed, no order", retry: "201, Confirmed" },
    PermanentFault { request: VIEW_CUSTOMER, faults: TIMEOUTS, outcome: "504 upstream_timeout not_needed, no order", retry: "201, Confirmed" },
    PermanentFault {
        request: CREATE, faults: NOT_EXECUTED,
        outcome: "504 create_outcome_unknown not_needed, no order", retry: "409 idempotency_key_spent not_needed, no order",
    },
    PermanentFault { request: CREATE, faults: RESPONSE_LOST, outcome: "504 create_outcome_unknown done, Canceled", retry: KEY_SPENT },
    PermanentFault { request: CREATE, faults: UNAVAILABLE, outcome: "503 upstream_unavailable not_needed, no order", retry: "201, Confirmed" },
    PermanentFault { request: CREATE, faults: PORT_CLOSED, outcome: "504 compensation_pending pending, no order", retry: "201, Confirmed" },
    PermanentFault {
        request: CONFIRM,
        faults: &[
            Fault::RequestDropped, UNPARSABLE, Fault::GatewayResponse(502), Fault::Error(500, "internal"), Fault::Error(503, "unavailable"),
        ],
        outcome: "503 confirm_failed done, Canceled", retry: KEY_SPENT,
    },
    PermanentFault { request: CONFIRM, faults: &[Fault::RequestStalled], outcome: "504 confirm_failed done, Canceled", retry: KEY_SPENT },
    PermanentFault { request: CONFIRM, faults: RESPONSE_LOST, outcome: "201, Confirmed", retry: "201, Confirmed" },
    PermanentFault { request: CONFIRM, faults: PORT_CLOSED, outcome: "504 compensation_pending pending, Created", retry: "201, Confirmed" },
    PermanentFault { request: CANCEL, faults: NOT_EXECUTED, outcome: "504 compensation_pending pending, Created", retry: "201, Confirmed" },
    PermanentFault { request: CANCEL, faults: UNAVAILABLE, outcome: "504 compensation_pending pending, Created", retry: "201, Confirmed" },
    PermanentFault { request: CANCEL, faults: PORT_CLOSED, outcome: "504 compensation_pending pending, Created", retry: "201, Confirmed" },
    PermanentFault { request: CANCEL, faults: RESPONSE_LOST, outcome: "504 compensation_pending pending, Canceled", retry: KEY_SPENT },
    PermanentFault { request: ABANDON, faults: NOT_EXECUTED, outcome: "504 compensation_pending pending, Created", retry: "201, Confirmed" },
    PermanentFault { request: ABANDON, faults: UNAVAILABLE, outcome: "504 compensation_pending pending, Created", retry: "201, Confirmed" },
    PermanentFault { request: ABANDON, faults: PORT_CLOSED, outcome: "504 compensation_pending pending, Created", retry: "201, Confirmed" },
    PermanentFault { request: ABANDON, faults: RESPONSE_LOST, outcome: "504 compensation_pending pending, Canceled", retry: KEY_SPENT },
    PermanentFault { request: VIEW_ORDER, faults: FAST_FAILURES, outcome: "504 compensation_pending pending, Confirmed", retry: "201, Confirmed" },
    PermanentFault { request: VIEW_ORDER, faults: TIMEOUTS, outcome: "504 compensation_pending pending, Confirmed", retry: "201, Confirmed" },
    PermanentFault { request: LOOKUP, faults: FAST_FAILURES, outcome: "503 upstream_unavailable not_needed, no order", retry: "201, Confirmed" },
    PermanentFault { request: LOOKUP, faults: TIMEOUTS, outcome: "504 upstream_timeout not_needed, no order", retry: "201, Confirmed" },
];

/// Returns a harness in which the saga sends this request and this fault is applied to it.
async fn harness_with(sent: SagaRequest, times: usize, fault: Fault) -> Harness {
    let policy = if let Fault::PortClosedFor(_) = fault { LENIENT_POLICY } else { POLICY };
    let harness = Harness::with_policy(policy).await;
    proxy(&harness, sent.request).inject(sent.request, times, fault);
    if let Some((other, fault)) = sent.cause {
        proxy(&harness, other).inject(other, ALWAYS, fault);
    }
    harness
}

fn proxy<'a>(harness: &'a Harness, request: &str) -> &'a FaultProxy {
    if request == VIEW_CUSTOMER { &harness.customers } else { &harness.orders }
}

/// Returns the response and the final state, such as `503 confirm_failed done, Canceled`.
fn outcome(harness: &Harness, reply: &Reply) -> String {
    let error = &reply.json()["error"];
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    let response = match reply.status {
        201 => "201".to_owned(),
        status => format!("{status} {} {}", text("code"), text("compensated")),
    };
    format!("{response}, {}", final_state(harness))
}

/// Returns the status of the order, followed by the counts if they differ from the counts expected for this status.
fn final_state(harness: &Harness) -> String {
    let store = harness.store();
    let (created, changes) = (store.orders.len(), (store.confirmations, store.cancellations));
    let (status, pieces, expected) = match store.orders.values().next().map(|order| format!("{:?}", order.status)) {
        None => ("no order".to_owned(), 0, (0, 0)),
        Some(status) if status == "Created" => (status, 3, (0, 0)),
        Some(status) if status == "Confirmed" => (status, 3, (1, 0)),
        Some(status) => (status, 0, (0, 1)),
    };
    let allocated = INITIAL_STOCK - store.stock();
    if created <= 1 && allocated == pieces && changes == expected {
        status
    } else {
        format!("{status}: {created} created, {allocated} allocated, (confirmed, canceled) {changes:?} times")
    }
}

/// Returns a message if the values differ.
fn mismatch(case: &str, actual: &str, expected: &str) -> Option<String> {
    (actual != expected).then(|| format!("{case}: {actual}; expected {expected}"))
}

/// Runs all cases with limited concurrency. Returns the mismatches.
async fn run_cases<F>(runs: impl IntoIterator<Item = F>) -> Vec<String>
where
    F: Future<Output = Vec<String>> + Send + 'static,
{
    let (mut running, mut mismatches) = (JoinSet::new(), Vec::new());
    for run in runs {
        if running.len() == MAX_CONCURRENT {
            mismatches.extend(running.join_next().await.unwrap().unwrap());
        }
        running.spawn(run);
    }
    mismatches.extend(running.join_all().await.into_iter().flatten());
    mismatches
}

async fn fails_once(sent: SagaRequest, fault: Fault) -> Vec<String> {
    let harness = harness_with(sent, 1, fault).await;
    let reply = harness.order("a").await;
    let case = format!("{} {fault:?} once", sent.request);
    let times = proxy(&harness, sent.request).requests().iter().filter(|request| *request == sent.request).count();
    let not_retried = (times < 2).then(|| format!("{case}: not retried"));
    mismatch(&case, &outcome(&harness, &reply), sent.outcome).into_iter().chain(not_retried).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn single_transient_fault_does_not_change_the_outcome() {
    let runs = SAGA_REQUESTS.into_iter().flat_map(|sent| TRANSIENT.map(|fault| fails_once(sent, fault)));
    assert_eq!(run_cases(runs).await, [] as [&str; 0]);
}

async fn keeps_failing(failing: &'static PermanentFault, fault: Fault) -> Vec<String> {
    let sent = *SAGA_REQUESTS.iter().find(|sent| sent.request == failing.request).unwrap();
    let harness = harness_with(sent, ALWAYS, fault).await;
    let case = format!("{} {fault:?} always", sent.request);
    let first = harness.order("a").await;
    let first = mismatch(&case, &outcome(&harness, &first), failing.outcome);
    harness.customers.restore();
    harness.orders.restore();
    let retry = harness.order("a").await;
    let retry = mismatch(&format!("{case}, retry with the same key"), &outcome(&harness, &retry), failing.retry);
    first.into_iter().chain(retry).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn permanent_fault_has_the_documented_outcome_and_the_same_key_resolves_it() {
    let cases = PERMANENT_FAULTS.iter().flat_map(|failing| failing.faults.iter().map(move |fault| (failing, *fault)));
    let runs = cases.map(|(failing, fault)| keeps_failing(failing, fault));
    assert_eq!(run_cases(runs).await, [] as [&str; 0]);
}

async fn delivered_twice(sent: SagaRequest) -> Vec<String> {
    let harness = harness_with(sent, ALWAYS, Fault::Duplicated).await;
    let reply = harness.order("a").await;
    let case = format!("{} delivered twice", sent.request);
    mismatch(&case, &outcome(&harness, &reply), sent.outcome).into_iter().collect()
}

async fn delivered_again_later(sent: SagaRequest) -> Vec<String> {
    let harness = harness_with(sent, ALWAYS, Fault::CopyHeld).await;
    let reply = harness.order("a").await;
    let case = format!("{} delivered again after completion", sent.request);
    let actual = outcome(&harness, &reply);
    proxy(&harness, sent.request).deliver_held().await;
    let expected = sent.outcome.split_once(", ").unwrap().1;
    let actual = mismatch(&case, &actual, sent.outcome);
    actual.into_iter().chain(mismatch(&case, &final_state(&harness), expected)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicate_delivery_has_one_effect() {
    assert_eq!(run_cases(SAGA_REQUESTS.map(delivered_twice)).await, [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_after_completion_has_no_effect() {
    let compensated = SagaRequest { request: CREATE, ..SAGA_REQUESTS[3] };
    let runs = SAGA_REQUESTS.into_iter().chain([compensated]).map(delivered_again_later);
    assert_eq!(run_cases(runs).await, [] as [&str; 0]);
}

#[tokio::test]
async fn confirm_after_cancel_is_refused() {
    let harness = Harness::new().await;
    harness.orders.inject(CONFIRM, 1, Fault::RequestStalled);
    harness.orders.inject(CONFIRM, ALWAYS, Fault::GatewayResponse(503));
    harness.order("a").await.assert_failed(503, "confirm_failed", "confirm", "done", false);
    assert_eq!(harness.orders.deliver_held().await, 409);
    assert_eq!(final_state(&harness), "Canceled");
}

#[tokio::test]
async fn brief_connection_refusal_is_retried_without_duplicates() {
    for request in [VIEW_CUSTOMER, CREATE] {
        let harness = Harness::with_policy(LENIENT_POLICY).await;
        proxy(&harness, request).close_for(OUTAGE).await;
        harness.order("a").await.assert_succeeded();
        assert_eq!(final_state(&harness), "Confirmed");
        assert_eq!(harness.orders.requests(), [CREATE, CONFIRM], "refused attempts were not sent");
    }
}
