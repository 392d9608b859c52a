//! Histories that no database can make true: each breaks one rule by what clients were told.

use std::time::Duration;

use chrono::DateTime;
use client_common::Fault;
use orchestrator_client::types::{Compensated, FailureReason, Step};

use super::snapshot::{Event, Row, Snapshot};
use crate::contract::read;
use crate::history::{History, Record, Sent};
use crate::outcome::{Adjustment, Customer, Item, Order, Outcome, Product, Refusal, Seen, Status, Success};
use crate::progress::Progress;
use crate::request::{Caller, Line, NewOrder, Request};

const FIRST: Product = Product { id: 1, version: 1, price_cents: 10, stock: 100 };
const MINUTE: u64 = 60_000_000;

/// What the rules say of these operations and this database.
fn findings(records: Vec<Record>, snapshot: Snapshot) -> Vec<String> {
    check(&history(records, false), snapshot)
}

fn check(history: &History, snapshot: Snapshot) -> Vec<String> {
    history.findings(&read().unwrap(), &snapshot.indexed())
}

fn history(records: Vec<Record>, behind_balancer: bool) -> History {
    let operator = "operator:ann".to_owned();
    let (progress, lost_clients) = (Progress::default(), Vec::new());
    History { records, products: vec![FIRST], operator, behind_balancer, progress, lost_clients }
}

#[track_caller]
fn breaks(rule: &str, records: Vec<Record>, snapshot: Snapshot) {
    let found = findings(records, snapshot);
    assert!(found.iter().any(|finding| finding.starts_with(rule)), "“{rule}” is not broken: {found:#?}");
}

/// Sends that follow each other.
fn record(key: Option<&str>, request: Request, outcomes: Vec<Outcome>) -> Record {
    let sent = |(at, outcome): (u64, Outcome)| sent(0, 0, at * 10, outcome);
    let sends = (0..).zip(outcomes).map(sent).collect();
    Record { caller: Caller::Service, key: key.map(str::to_owned), requests: vec![request], sends }
}

fn sent(request: usize, sender: usize, started: u64, outcome: Outcome) -> Sent {
    let [started, ended] = [started, started + 5].map(Duration::from_micros);
    Sent { request, sender, started, ended, outcome }
}

fn at(started: u64, mut record: Record) -> Record {
    for sent in &mut record.sends {
        sent.started += Duration::from_micros(started);
        sent.ended += Duration::from_micros(started);
    }
    record
}

fn told(status: u16, seen: Seen) -> Outcome {
    Ok(Success { status, replayed: false, seen, body: Vec::new() })
}

fn replayed(outcome: Outcome) -> Outcome {
    outcome.map(|success| Success { replayed: true, ..success })
}

fn refused(status: u16, code: &str) -> Outcome {
    Err(Fault::Answered { status, retry_after: None, body: Some(Refusal { code: code.to_owned(), failure: None }) })
}

fn failed(compensated: Compensated, safe_to_retry: bool) -> Outcome {
    let failure = FailureReason::builder().code("insufficient_stock").message("").step(Step::Create).attempts(1_u32);
    let failure = failure.order_id(7).compensated(compensated).safe_to_retry(safe_to_retry);
    let failure = Some(Box::new(failure.try_into().unwrap()));
    let body = Some(Refusal { code: "insufficient_stock".to_owned(), failure });
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
    told(201, Seen::Order(order(Status::Created)))
}

fn confirmed() -> Outcome {
    told(200, Seen::Order(order(Status::Confirmed)))
}

/// A database with order 7 under this key, made by the piece of work `k/0`, and what it holds.
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

fn nothing() -> Snapshot {
    with_product(10, 100)
}

#[test]
fn a_true_history_breaks_no_rule() {
    let records = vec![
        record(Some("c"), create(), vec![Err(Fault::TimedOut), replayed(created()), replayed(created())]),
        at(100, record(Some("d"), Request::Confirm { order: 7 }, vec![refused(503, "unavailable"), confirmed()])),
    ];
    assert_eq!(findings(records, with_order("c", Status::Confirmed)), [] as [String; 0]);
}

#[test]
fn answers_outside_the_contract() {
    let one = |outcome| vec![record(Some("c"), create(), vec![outcome])];
    let listed = "an operation is answered with a status and a code that its contract lists";
    breaks(listed, one(told(200, Seen::Order(order(Status::Created)))), with_order("c", Status::Created));
    breaks(listed, one(refused(401, "unauthorized")), nothing());
    breaks(listed, one(refused(500, "panicked")), nothing());
    let shaped = "an answer has the shape";
    breaks(shaped, one(told(201, Seen::Unreadable("no order".to_owned()))), nothing());
    breaks(shaped, one(Err(Fault::Answered { status: 500, retry_after: None, body: None })), nothing());
    breaks("no service answers that something went wrong", one(refused(500, "internal")), nothing());
    breaks("a client sends what the contract allows", one(Err(Fault::Invalid("no id".to_owned()))), nothing());
}

#[test]
fn what_a_balancer_answers_by_itself_breaks_no_rule_of_the_services() {
    let without_a_code = |status| Err(Fault::Answered { status, retry_after: None, body: None });
    let found = |status| {
        let records = vec![record(Some("c"), create(), vec![without_a_code(status), created()])];
        check(&history(records, true), with_order("c", Status::Created))
    };
    assert_eq!(found(503), [] as [&str; 0]);
    assert_eq!(found(500).len(), 1);
}

#[test]
fn answers_under_one_key_that_disagree() {
    let books = || with_order("c", Status::Created);
    let keyed = |outcomes| vec![record(Some("c"), create(), outcomes)];
    let other = told(201, Seen::Order(Order { id: 8, ..order(Status::Created) }));
    breaks("every success under one key shows the same order", keyed(vec![created(), replayed(other)]), books());
    let mut bytes = keyed(vec![created(), replayed(created())]);
    for (number, sent) in (0..).zip(&mut bytes[0].sends) {
        sent.outcome.as_mut().unwrap().body = vec![number];
    }
    breaks("every success under one key has the same bytes", bytes, books());
    breaks("every success under one key but the first", keyed(vec![created(), created()]), books());
    let late = keyed(vec![created(), refused(409, "insufficient_stock")]);
    breaks("what succeeded under a key is answered so again", late, books());
    breaks("only where a key came with other content", keyed(vec![refused(422, "idempotency_key_reused")]), nothing());
    let mut two = record(Some("c"), create(), vec![created()]);
    two.requests.push(create());
    two.sends.push(sent(1, 0, 50, replayed(created())));
    breaks("a key is good for one content", vec![two], books());
}

#[test]
fn orders_that_are_not_as_they_were_asked_for() {
    let as_told = |seen| vec![record(Some("c"), create(), vec![told(201, Seen::Order(seen))])];
    let books = || with_order("c", Status::Created);
    let seen = || order(Status::Created);
    breaks("an order is for the customer and the items", as_told(Order { customer_id: 4, ..seen() }), books());
    breaks("an order's total is the sum", as_told(Order { total_cents: 21, ..seen() }), books());
    breaks("a new order is shown as CREATED", as_told(Order { version: Some(2), ..seen() }), books());
    let refused = || vec![record(Some("c"), create(), vec![refused(409, "insufficient_stock")])];
    breaks("where a create was only ever refused", refused(), books());
    assert_eq!(findings(refused(), nothing()), [] as [String; 0]);
    let gone = record(None, Request::DeleteCustomer { id: 3 }, vec![told(204, Seen::Nothing)]);
    let records = vec![gone, at(100, record(Some("c"), create(), vec![created()]))];
    breaks("no order is made for a customer whose deletion", records, books());
}

#[test]
fn orders_that_do_not_stand_where_they_were_told() {
    let made = |key| record(Some(key), create(), vec![created()]);
    let after = |request, outcome| vec![made("c"), at(100, record(Some("d"), request, vec![outcome]))];
    let books = || with_order("c", Status::Confirmed);
    let confirm = || Request::Confirm { order: 7 };
    breaks("a confirmed order is answered as CONFIRMED", after(confirm(), told(200, created_seen())), books());
    breaks("an order that was called canceled", after(confirm(), refused(409, "order_canceled")), books());
    breaks(
        "an order that was acknowledged is not called unknown",
        after(confirm(), refused(404, "order_not_found")),
        books(),
    );
    let cancel = || after(Request::Cancel { order: 7 }, refused(409, "cancel_window_passed"));
    breaks("an order is too old to be canceled", cancel(), books());
    let mut late = cancel();
    let canceled_late = at(10 * MINUTE, late.remove(1));
    late.push(canceled_late);
    late.push(at(100, record(Some("e"), confirm(), vec![confirmed()])));
    assert_eq!(findings(late, books()), [] as [String; 0]);
    breaks("an order is confirmed only where a client asked", vec![made("c")], stranger(books()));
}

fn created_seen() -> Seen {
    Seen::Order(order(Status::Created))
}

/// No piece of work of the load's made it.
fn stranger(mut snapshot: Snapshot) -> Snapshot {
    for event in snapshot.orders.values_mut().flat_map(|order| &mut order.events) {
        event.correlation_id = "another".to_owned();
    }
    snapshot
}

#[test]
fn what_the_orchestrator_says_and_is_not_so() {
    let one = |outcome| vec![record(Some("k"), saga(), vec![outcome])];
    let live = || with_order("x", Status::Confirmed);
    breaks("where the orchestrator failed for good", one(failed(Compensated::NotNeeded, false)), live());
    breaks("where the orchestrator only ever did nothing", one(failed(Compensated::NotNeeded, true)), live());
    breaks("an order that the orchestrator calls undone", one(failed(Compensated::Done, false)), live());
    assert_eq!(findings(one(failed(Compensated::Done, false)), with_order("x", Status::Canceled)), [] as [String; 0]);
    assert_eq!(findings(one(failed(Compensated::Pending, true)), live()), [] as [String; 0]);
    // The other of two who sent the same key may have succeeded without having been told.
    let mut two = one(failed(Compensated::NotNeeded, false));
    two[0].sends.push(sent(0, 1, 3, Err(Fault::TimedOut)));
    assert_eq!(findings(two, live()), [] as [String; 0]);
}

fn price(version: i64, price_cents: i64, if_match: Option<i64>) -> Record {
    let shown = Product { version, price_cents, ..FIRST };
    let request = Request::SetPrice { product: 1, price_cents, if_match };
    record(None, request, vec![told(200, Seen::Product(shown))])
}

fn see(version: i64, price_cents: i64) -> Record {
    let shown = Product { version, price_cents, ..FIRST };
    record(None, Request::ViewProduct { product: 1 }, vec![told(200, Seen::Product(shown))])
}

#[test]
fn changes_of_a_product_that_contradict_each_other() {
    let books = || with_product(11, 100);
    breaks("a product's version goes forward", vec![price(3, 11, None), at(100, see(2, 10))], books());
    breaks("each version of a product", vec![price(3, 11, None), at(1, see(3, 12))], books());
    breaks("each version of a product", vec![price(3, 11, None), at(1, price(3, 11, None))], books());
    breaks("a change under If-Match", vec![price(3, 11, Some(1))], books());
    let mut other = price(3, 11, None);
    other.requests = vec![Request::SetPrice { product: 1, price_cents: 12, if_match: None }];
    breaks("a change of a product is answered with what it set", vec![other], books());
    let unknown =
        record(None, Request::SetPrice { product: 1, price_cents: 12, if_match: None }, vec![Err(Fault::Broken)]);
    assert_eq!(findings(vec![price(3, 11, None), at(100, unknown)], with_product(12, 100)), [] as [String; 0]);
}

fn moved(delta: i64) -> Adjustment {
    Adjustment { product_id: 1, delta, reference: Some("a".to_owned()) }
}

#[test]
fn adjustments_of_unknown_outcome_may_have_been_made_or_not() {
    let adjustment = |outcome| vec![record(None, Request::AdjustStock(moved(5)), vec![outcome])];
    let with_entries = |stock, entries: &[i64]| Snapshot {
        adjustments: [("a".to_owned(), entries.iter().map(|delta| moved(*delta)).collect())].into(),
        ..with_product(10, stock)
    };
    let unknown = || adjustment(Err(Fault::TimedOut));
    assert_eq!(findings(unknown(), with_product(10, 100)), [] as [String; 0]);
    assert_eq!(findings(unknown(), with_entries(105, &[5])), [] as [String; 0]);
    breaks("an acknowledged adjustment is made once", unknown(), with_entries(110, &[5, 5]));
    breaks("a product's stock is the first stock", unknown(), with_product(10, 106));
    let refused = || adjustment(refused(503, "unavailable"));
    breaks("an acknowledged adjustment is made once", refused(), with_entries(105, &[5]));
    let other = told(201, Seen::Movement(moved(6)));
    breaks("an adjustment is answered with what it did", adjustment(other), with_entries(105, &[5]));
}

fn customer(version: i64, name: &str) -> Outcome {
    told(200, Seen::Customer(Customer { id: 9, version, name: name.to_owned(), email: "e".to_owned() }))
}

fn customers(rows: &[i64]) -> Snapshot {
    let row = |id| Customer { id, name: "n".to_owned(), email: "e".to_owned(), version: 9 };
    Snapshot { customers: rows.iter().map(|id| (*id, (row(*id), false))).collect(), ..nothing() }
}

#[test]
fn customers_that_are_not_as_they_were_told() {
    let view = |outcome| record(None, Request::ViewCustomer { id: 9 }, vec![outcome]);
    let create =
        |outcomes| record(None, Request::CreateCustomer { name: "n".to_owned(), email: "e".to_owned() }, outcomes);
    let delete = || record(None, Request::DeleteCustomer { id: 9 }, vec![told(204, Seen::Nothing)]);
    let forward = vec![view(customer(3, "n")), at(100, view(customer(2, "n")))];
    breaks("a customer's version goes forward", forward, customers(&[9]));
    breaks(
        "a customer whose deletion was acknowledged is not shown",
        vec![delete(), at(100, view(customer(3, "n")))],
        customers(&[9]),
    );
    breaks("a customer that nobody deleted", vec![view(refused(404, "customer_not_found"))], customers(&[9]));
    breaks("a change of a customer is answered", vec![create(vec![customer(1, "m")])], customers(&[9]));
    breaks(
        "an acknowledged create makes one customer",
        vec![create(vec![refused(503, "unavailable")])],
        customers(&[9]),
    );
    breaks("an acknowledged create makes one customer", vec![create(vec![Err(Fault::Broken)])], customers(&[8, 9]));
    assert_eq!(findings(vec![create(vec![Err(Fault::Broken)])], customers(&[9])), [] as [String; 0]);
}

#[test]
fn reads_that_contradict_what_was_told_before() {
    let view = |outcome| record(None, Request::ViewOrder { order: 7 }, vec![outcome]);
    let books = || with_order("c", Status::Confirmed);
    let shown = |status, version| told(200, Seen::Order(Order { version: Some(version), ..order(status) }));
    let (newer, older) = (view(shown(Status::Confirmed, 2)), view(shown(Status::Created, 1)));
    breaks("an order's version goes forward", vec![newer, at(100, older)], books());
    let (one, other) = (view(shown(Status::Confirmed, 2)), view(shown(Status::Canceled, 2)));
    breaks("each version of an order has one state", vec![one, other], books());
    breaks("an order that was acknowledged can be fetched", vec![view(refused(404, "order_not_found"))], books());
    let find = Request::FindOrder { order: 7, reference: "r".to_owned() };
    let missing = record(None, find, vec![told(200, Seen::List(false))]);
    breaks("what was acknowledged is found in the list", vec![missing], books());
}

#[test]
fn a_client_that_was_lost_is_named() {
    let (records, operator, progress) = (Vec::new(), "operator:ann".to_owned(), Progress::default());
    let lost_clients = vec!["panicked".to_owned()];
    let history = History { records, products: vec![], operator, behind_balancer: false, progress, lost_clients };
    assert_eq!(check(&history, nothing()), ["every client tells what it was told, but: panicked"]);
}

#[test]
fn an_undo_that_cancels_what_was_confirmed_is_named() {
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
    breaks(
        "a confirmed order ends only by",
        vec![record(Some("k"), saga(), vec![failed(Compensated::Done, false)])],
        snapshot,
    );
}

#[test]
fn an_order_over_which_the_orchestrator_said_nothing_is_named_also_when_it_has_expired() {
    let mut snapshot = with_order("x", Status::Canceled);
    snapshot.orders.get_mut(&7).unwrap().events[1].principal = "system:expiry".to_owned();
    let told = vec![record(Some("k"), saga(), vec![failed(Compensated::NotNeeded, false)])];
    breaks("where the orchestrator only ever did nothing", told, snapshot);
}
