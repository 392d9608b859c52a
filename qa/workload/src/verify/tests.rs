//! Invalid histories, each of which violates one rule.

use std::time::Duration;

use chrono::DateTime;
use client_common::Fault;
use orchestrator_client::types::{Compensated, FailureReason, Step};

use super::snapshot::{Event, Row, Snapshot};
use crate::contract::read;
use crate::history::{History, Record, Sent};
use crate::outcome::{Adjustment, Customer, ErrorBody, Item, Observed, Order, Outcome, Product, Status, Success};
use crate::progress::Progress;
use crate::request::{Caller, Line, NewOrder, Request};

const FIRST: Product = Product { id: 1, version: 1, price_cents: 10, stock: 100 };
const MINUTE: u64 = 60_000_000;

/// Returns the findings for these operations with this database.
fn findings(records: Vec<Record>, snapshot: Snapshot) -> Vec<String> {
    check(&history(records, false), snapshot)
}

fn check(history: &History, snapshot: Snapshot) -> Vec<String> {
    history.findings(&read().unwrap(), &snapshot.indexed())
}

fn history(records: Vec<Record>, behind_balancer: bool) -> History {
    let user_principal = "operator:ann".to_owned();
    let (progress, lost_clients) = (Progress::default(), Vec::new());
    History { records, products: vec![FIRST], user_principal, behind_balancer, progress, lost_clients }
}

#[track_caller]
fn violates(rule: &str, records: Vec<Record>, snapshot: Snapshot) {
    let found = findings(records, snapshot);
    assert!(found.iter().any(|finding| finding.starts_with(rule)), "“{rule}” is not violated: {found:#?}");
}

/// Returns a record of sequential attempts.
fn record(key: Option<&str>, request: Request, outcomes: Vec<Outcome>) -> Record {
    let sent = |(at, outcome): (u64, Outcome)| sent(0, 0, at * 10, outcome);
    let sends = (0..).zip(outcomes).map(sent).collect();
    Record { caller: Caller::Service, key: key.map(str::to_owned), requests: vec![request], sends }
}

fn sent(request: usize, sender: usize, started: u64, outcome: Outcome) -> Sent {
    let [started, ended] = [started, started + 5].map(Duration::from_micros);
    Sent { request, sender, started, ended, outcome }
}

/// Shifts all attempts of a record by the given number of microseconds.
fn at(started: u64, mut record: Record) -> Record {
    for sent in &mut record.sends {
        sent.started += Duration::from_micros(started);
        sent.ended += Duration::from_micros(started);
    }
    record
}

fn success(status: u16, observed: Observed) -> Outcome {
    Ok(Success { status, replayed: false, observed, body: Vec::new() })
}

fn replayed(outcome: Outcome) -> Outcome {
    outcome.map(|success| Success { replayed: true, ..success })
}

fn rejected(status: u16, code: &str) -> Outcome {
    Err(Fault::Answered { status, retry_after: None, body: Some(ErrorBody { code: code.to_owned(), failure: None }) })
}

fn failed(compensated: Compensated, safe_to_retry: bool) -> Outcome {
    let failure = FailureReason::builder().code("insufficient_stock").message("").step(Step::Create).attempts(1_u32);
    let failure = failure.order_id(7).compensated(compensated).safe_to_retry(safe_to_retry);
    let failure = Some(Box::new(failure.try_into().unwrap()));
    let body = Some(ErrorBody { code: "insufficient_stock".to_owned(), failure });
    Err(Fault::Answered { status: 409, retry_after: None, body })
}

fn new_order() -> NewOrder {
    let (items, external_reference) = (vec![Line { product_id: 1, qty: 2 }], Some("r".to_owned()));
    NewOrder { customer_id: 3, items, external_reference, expected_total_cents: None }
}

fn create() -> Request {
    Request::Create(new_order())
}

fn saga() -> Request {
    Request::CreateAndConfirm(new_order())
}

const ITEM: Item = Item { product_id: 1, qty: 2, unit_price_cents: 10 };

fn order(status: Status) -> Order {
    let confirmed_at = DateTime::from_timestamp_micros(1_000).filter(|_| status == Status::Confirmed);
    let version = Some(if status == Status::Created { 1 } else { 2 });
    let (external_reference, items) = (Some("r".to_owned()), vec![ITEM]);
    Order { id: 7, customer_id: 3, status, total_cents: 20, external_reference, confirmed_at, version, items }
}

fn created() -> Outcome {
    success(201, Observed::Order(order(Status::Created)))
}

fn confirmed() -> Outcome {
    success(200, Observed::Order(order(Status::Confirmed)))
}

/// Returns a database that contains order 7 under this key, created with the correlation ID `k/0`, and the matching
/// stock.
fn with_order(key: &str, status: Status) -> Snapshot {
    let at = DateTime::from_timestamp_micros(1_000).unwrap();
    let event = |to| Event { to, principal: "service".to_owned(), correlation_id: "k/0".to_owned(), at };
    let events = match status {
        Status::Created => vec![event(Status::Created)],
        _ => vec![event(Status::Created), event(status)],
    };
    let order = Order { version: Some(2), ..order(status) };
    let row = Row { order, principal: "service".to_owned(), key: Some(key.to_owned()), events };
    let stock = if status == Status::Canceled { 100 } else { 98 };
    Snapshot { orders: [(7, row)].into(), ..with_product(10, stock) }
}

fn with_product(price_cents: i64, stock: i64) -> Snapshot {
    Snapshot { products: [(1, Product { id: 1, price_cents, stock, version: 9 })].into(), ..Snapshot::default() }
}

fn empty() -> Snapshot {
    with_product(10, 100)
}

#[test]
fn valid_history_has_no_findings() {
    let records = vec![
        record(Some("c"), create(), vec![Err(Fault::TimedOut), replayed(created()), replayed(created())]),
        at(100, record(Some("d"), Request::Confirm { order: 7 }, vec![rejected(503, "unavailable"), confirmed()])),
    ];
    assert_eq!(findings(records, with_order("c", Status::Confirmed)), [] as [String; 0]);
}

#[test]
fn undocumented_responses_are_findings() {
    let one = |outcome| vec![record(Some("c"), create(), vec![outcome])];
    let listed = "every response has a status and an error code";
    violates(listed, one(success(200, Observed::Order(order(Status::Created)))), with_order("c", Status::Created));
    violates(listed, one(rejected(401, "unauthorized")), empty());
    violates(listed, one(rejected(500, "panicked")), empty());
    let schema = "every response body matches the schema";
    violates(schema, one(success(201, Observed::Malformed("no order".to_owned()))), empty());
    violates(schema, one(Err(Fault::Answered { status: 500, retry_after: None, body: None })), empty());
    violates("no service responds with an internal error", one(rejected(500, "internal")), empty());
    violates(
        "clients send only requests that the contract allows",
        one(Err(Fault::Invalid("no id".to_owned()))),
        empty(),
    );
}

#[test]
fn responses_of_a_load_balancer_are_no_findings() {
    let without_a_code = |status| Err(Fault::Answered { status, retry_after: None, body: None });
    let found = |status| {
        let records = vec![record(Some("c"), create(), vec![without_a_code(status), created()])];
        check(&history(records, true), with_order("c", Status::Created))
    };
    assert_eq!(found(503), [] as [&str; 0]);
    assert_eq!(found(500).len(), 1);
}

#[test]
fn different_responses_under_one_key_are_findings() {
    let rows = || with_order("c", Status::Created);
    let keyed = |outcomes| vec![record(Some("c"), create(), outcomes)];
    let other = success(201, Observed::Order(Order { id: 8, ..order(Status::Created) }));
    violates(
        "all successful responses under one key return the same order",
        keyed(vec![created(), replayed(other)]),
        rows(),
    );
    let mut bytes = keyed(vec![created(), replayed(created())]);
    for (number, sent) in (0..).zip(&mut bytes[0].sends) {
        sent.outcome.as_mut().unwrap().body = vec![number];
    }
    violates("all successful responses under one key have the same bytes", bytes, rows());
    violates("all successful responses under one key except the first", keyed(vec![created(), created()]), rows());
    let late = keyed(vec![created(), rejected(409, "insufficient_stock")]);
    violates("a request that succeeded under a key succeeds again", late, rows());
    violates("a key is rejected as reused only after", keyed(vec![rejected(422, "idempotency_key_reused")]), empty());
    let mut two = record(Some("c"), create(), vec![created()]);
    two.requests.push(create());
    two.sends.push(sent(1, 0, 50, replayed(created())));
    violates("a key is bound to one request content", vec![two], rows());
}

#[test]
fn orders_that_differ_from_their_request_are_findings() {
    let returned = |observed| vec![record(Some("c"), create(), vec![success(201, Observed::Order(observed))])];
    let rows = || with_order("c", Status::Created);
    let observed = || order(Status::Created);
    violates("an order has the customer and items", returned(Order { customer_id: 4, ..observed() }), rows());
    violates("an order's total is the sum", returned(Order { total_cents: 21, ..observed() }), rows());
    violates("a new order is returned as CREATED", returned(Order { version: Some(2), ..observed() }), rows());
    let rejected_create = || vec![record(Some("c"), create(), vec![rejected(409, "insufficient_stock")])];
    violates("a create request that was only ever rejected", rejected_create(), rows());
    assert_eq!(findings(rejected_create(), empty()), [] as [String; 0]);
    let deletion = record(None, Request::DeleteCustomer { id: 3 }, vec![success(204, Observed::Nothing)]);
    let records = vec![deletion, at(100, record(Some("c"), create(), vec![created()]))];
    violates("no order is created for a customer whose deletion", records, rows());
}

#[test]
fn orders_without_their_acknowledged_status_are_findings() {
    let create_under = |key| record(Some(key), create(), vec![created()]);
    let after = |request, outcome| vec![create_under("c"), at(100, record(Some("d"), request, vec![outcome]))];
    let rows = || with_order("c", Status::Confirmed);
    let confirm = || Request::Confirm { order: 7 };
    violates("a confirm request returns the requested order", after(confirm(), success(200, created_order())), rows());
    violates("an order that was reported as canceled", after(confirm(), rejected(409, "order_canceled")), rows());
    violates(
        "an acknowledged order is not reported as unknown",
        after(confirm(), rejected(404, "order_not_found")),
        rows(),
    );
    let cancel = || after(Request::Cancel { order: 7 }, rejected(409, "cancel_window_passed"));
    violates("a cancel request is rejected as too late", cancel(), rows());
    let mut late = cancel();
    let canceled_late = at(10 * MINUTE, late.remove(1));
    late.push(canceled_late);
    late.push(at(100, record(Some("e"), confirm(), vec![confirmed()])));
    assert_eq!(findings(late, rows()), [] as [String; 0]);
    violates("an order is confirmed only by a request", vec![create_under("c")], with_unknown_creator(rows()));
}

fn created_order() -> Observed {
    Observed::Order(order(Status::Created))
}

/// Replaces the correlation IDs, so that no operation of the load can have created the orders.
fn with_unknown_creator(mut snapshot: Snapshot) -> Snapshot {
    for event in snapshot.orders.values_mut().flat_map(|order| &mut order.events) {
        event.correlation_id = "another".to_owned();
    }
    snapshot
}

#[test]
fn false_responses_of_the_orchestrator_are_findings() {
    let one = |outcome| vec![record(Some("k"), saga(), vec![outcome])];
    let live = || with_order("x", Status::Confirmed);
    violates("a saga that failed permanently", one(failed(Compensated::NotNeeded, false)), live());
    violates("a saga whose responses all report no effect", one(failed(Compensated::NotNeeded, true)), live());
    violates("an order reported as compensated", one(failed(Compensated::Done, false)), live());
    assert_eq!(findings(one(failed(Compensated::Done, false)), with_order("x", Status::Canceled)), [] as [String; 0]);
    assert_eq!(findings(one(failed(Compensated::Pending, true)), live()), [] as [String; 0]);
    // The other of the two concurrent senders may have succeeded without receiving a response.
    let mut two = one(failed(Compensated::NotNeeded, false));
    two[0].sends.push(sent(0, 1, 3, Err(Fault::TimedOut)));
    assert_eq!(findings(two, live()), [] as [String; 0]);
}

fn price(version: i64, price_cents: i64, if_match: Option<i64>) -> Record {
    let shown = Product { version, price_cents, ..FIRST };
    let request = Request::SetPrice { product: 1, price_cents, if_match };
    record(None, request, vec![success(200, Observed::Product(shown))])
}

fn see(version: i64, price_cents: i64) -> Record {
    let shown = Product { version, price_cents, ..FIRST };
    record(None, Request::ViewProduct { product: 1 }, vec![success(200, Observed::Product(shown))])
}

#[test]
fn contradictory_product_changes_are_findings() {
    let rows = || with_product(11, 100);
    violates("a product's version never decreases", vec![price(3, 11, None), at(100, see(2, 10))], rows());
    violates("each version of a product", vec![price(3, 11, None), at(1, see(3, 12))], rows());
    violates("each version of a product", vec![price(3, 11, None), at(1, price(3, 11, None))], rows());
    violates("a change with If-Match", vec![price(3, 11, Some(1))], rows());
    let mut other = price(3, 11, None);
    other.requests = vec![Request::SetPrice { product: 1, price_cents: 12, if_match: None }];
    violates("the response to a product change has the values", vec![other], rows());
    let unknown =
        record(None, Request::SetPrice { product: 1, price_cents: 12, if_match: None }, vec![Err(Fault::Broken)]);
    assert_eq!(findings(vec![price(3, 11, None), at(100, unknown)], with_product(12, 100)), [] as [String; 0]);
}

fn moved(delta: i64) -> Adjustment {
    Adjustment { product_id: 1, delta, reference: Some("a".to_owned()) }
}

#[test]
fn adjustments_with_unknown_outcome_may_have_been_applied_or_not() {
    let adjustment = |outcome| vec![record(None, Request::AdjustStock(moved(5)), vec![outcome])];
    let with_entries = |stock, entries: &[i64]| Snapshot {
        adjustments: [("a".to_owned(), entries.iter().map(|delta| moved(*delta)).collect())].into(),
        ..with_product(10, stock)
    };
    let unknown = || adjustment(Err(Fault::TimedOut));
    assert_eq!(findings(unknown(), with_product(10, 100)), [] as [String; 0]);
    assert_eq!(findings(unknown(), with_entries(105, &[5])), [] as [String; 0]);
    violates("an acknowledged adjustment is applied once", unknown(), with_entries(110, &[5, 5]));
    violates("a product's stock is the initial stock", unknown(), with_product(10, 106));
    let rejected_adjustment = || adjustment(rejected(503, "unavailable"));
    violates("an acknowledged adjustment is applied once", rejected_adjustment(), with_entries(105, &[5]));
    let other = success(201, Observed::Movement(moved(6)));
    violates("the response to an adjustment has the values", adjustment(other), with_entries(105, &[5]));
}

fn customer(version: i64, name: &str) -> Outcome {
    success(200, Observed::Customer(Customer { id: 9, version, name: name.to_owned(), email: "e".to_owned() }))
}

fn customers(rows: &[i64]) -> Snapshot {
    let row = |id| Customer { id, name: "n".to_owned(), email: "e".to_owned(), version: 9 };
    Snapshot { customers: rows.iter().map(|id| (*id, (row(*id), false))).collect(), ..empty() }
}

#[test]
fn customers_without_acknowledged_changes_are_findings() {
    let view = |outcome| record(None, Request::ViewCustomer { id: 9 }, vec![outcome]);
    let create =
        |outcomes| record(None, Request::CreateCustomer { name: "n".to_owned(), email: "e".to_owned() }, outcomes);
    let delete = || record(None, Request::DeleteCustomer { id: 9 }, vec![success(204, Observed::Nothing)]);
    let forward = vec![view(customer(3, "n")), at(100, view(customer(2, "n")))];
    violates("a customer's version never decreases", forward, customers(&[9]));
    violates(
        "a customer whose deletion was acknowledged is no longer returned",
        vec![delete(), at(100, view(customer(3, "n")))],
        customers(&[9]),
    );
    violates("a customer that no client deleted", vec![view(rejected(404, "customer_not_found"))], customers(&[9]));
    violates("the response to a customer change", vec![create(vec![customer(1, "m")])], customers(&[9]));
    violates(
        "an acknowledged create request creates one customer",
        vec![create(vec![rejected(503, "unavailable")])],
        customers(&[9]),
    );
    violates(
        "an acknowledged create request creates one customer",
        vec![create(vec![Err(Fault::Broken)])],
        customers(&[8, 9]),
    );
    assert_eq!(findings(vec![create(vec![Err(Fault::Broken)])], customers(&[9])), [] as [String; 0]);
}

#[test]
fn reads_that_contradict_earlier_responses_are_findings() {
    let view = |outcome| record(None, Request::ViewOrder { order: 7 }, vec![outcome]);
    let rows = || with_order("c", Status::Confirmed);
    let shown = |status, version| success(200, Observed::Order(Order { version: Some(version), ..order(status) }));
    let (newer, older) = (view(shown(Status::Confirmed, 2)), view(shown(Status::Created, 1)));
    violates("an order's version never decreases", vec![newer, at(100, older)], rows());
    let (one, other) = (view(shown(Status::Confirmed, 2)), view(shown(Status::Canceled, 2)));
    violates("each version of an order has one state", vec![one, other], rows());
    violates("an acknowledged order can be fetched", vec![view(rejected(404, "order_not_found"))], rows());
    let find = Request::FindOrder { order: 7, reference: "r".to_owned() };
    let missing = record(None, find, vec![success(200, Observed::List(false))]);
    violates("an acknowledged row is found in its list", vec![missing], rows());
}

#[test]
fn lost_client_is_a_finding() {
    let (records, user_principal, progress) = (Vec::new(), "operator:ann".to_owned(), Progress::default());
    let lost_clients = vec!["panicked".to_owned()];
    let history = History { records, products: vec![], user_principal, behind_balancer: false, progress, lost_clients };
    assert_eq!(check(&history, empty()), ["every client returns its history, but: panicked"]);
}

#[test]
fn compensation_of_a_confirmed_order_is_a_finding() {
    let mut snapshot = with_order("x", Status::Confirmed);
    let row = snapshot.orders.get_mut(&7).unwrap();
    (row.order.status, row.order.version) = (Status::Canceled, Some(3));
    let (principal, correlation_id) = ("service".to_owned(), "k/0".to_owned());
    row.events.push(Event {
        to: Status::Canceled,
        principal,
        correlation_id,
        at: DateTime::from_timestamp_micros(2_000).unwrap(),
    });
    snapshot.products.get_mut(&1).unwrap().stock = 100;
    violates(
        "a confirmed order is canceled only by",
        vec![record(Some("k"), saga(), vec![failed(Compensated::Done, false)])],
        snapshot,
    );
}

#[test]
fn unreported_order_of_a_saga_is_a_finding_even_if_it_expired() {
    let mut snapshot = with_order("x", Status::Canceled);
    snapshot.orders.get_mut(&7).unwrap().events[1].principal = "system:expiry".to_owned();
    let records = vec![record(Some("k"), saga(), vec![failed(Compensated::NotNeeded, false)])];
    violates("a saga whose responses all report no effect", records, snapshot);
}
