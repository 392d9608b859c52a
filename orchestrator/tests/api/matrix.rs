//! Every request that the saga sends, in every way in which it can go wrong: once, always, and delivered twice. What is
//! compared is what the caller is told, and what the shop is left with.

use std::time::Duration;

use client_common::Retry;
use orchestrator::Policy;
use tokio::task::JoinSet;

use crate::fake_orders::FIRST_STOCK;
use crate::line::{ALWAYS, Line, Mishap};
use crate::world::{POLICY, Reply, World};

const ASK: &str = "GET /internal/customers/{id}";
const CREATE: &str = "POST /orders";
const CONFIRM: &str = "POST /orders/{id}/confirm";
const CANCEL: &str = "POST /orders/{id}/cancel";
const ABANDON: &str = "POST /internal/orders/abandon";
const LOOK: &str = "GET /orders/{id}";
const LOOKUP: &str = "GET /internal/orders/lookup";

const OUTAGE: Duration = Duration::from_millis(20);
/// More attempts than an outage has room for, and on a busy machine time for all of them.
const PATIENT: Policy = Policy {
    retry: Retry { attempts: 60, total: Duration::from_secs(120), ..POLICY.retry },
    compensation: Duration::from_secs(60),
    ..POLICY
};
/// How many sagas run side by side: few enough that none has to wait for a processor until its attempts are over.
const AT_ONCE: usize = 8;

/// A request that the saga sends: by itself, or after this has happened to others. With it, the saga ends like this.
#[derive(Clone, Copy)]
struct Sent {
    request: &'static str,
    after: Option<(&'static str, Mishap)>,
    end: &'static str,
}

const SENT: [Sent; 7] = [
    Sent { request: ASK, after: None, end: "201, Confirmed" },
    Sent { request: CREATE, after: None, end: "201, Confirmed" },
    Sent { request: CONFIRM, after: None, end: "201, Confirmed" },
    Sent { request: CANCEL, after: Some((CONFIRM, Mishap::Gateway(503))), end: "503 confirm_failed done, Canceled" },
    Sent {
        request: ABANDON,
        after: Some((CREATE, Mishap::AnswerLost)),
        end: "504 create_outcome_unknown done, Canceled",
    },
    Sent { request: LOOK, after: Some((CONFIRM, Mishap::AnswerLost)), end: "201, Confirmed" },
    Sent {
        request: LOOKUP,
        after: Some((ASK, Mishap::Gateway(503))),
        end: "503 upstream_unavailable not_needed, no order",
    },
];

/// A success that nobody understands.
const NONSENSE: Mishap = Mishap::Gateway(200);

/// Every way to fail that passes.
const PASSING: [Mishap; 11] = [
    Mishap::RequestLost,
    Mishap::AnswerLost,
    Mishap::RequestStuck,
    Mishap::AnswerStuck,
    Mishap::AnswerCut,
    NONSENSE,
    Mishap::Gateway(502),
    Mishap::Error(500, "internal"),
    Mishap::Error(503, "unavailable"),
    Mishap::Error(409, "idempotency_in_progress"),
    Mishap::PortClosesFor(OUTAGE),
];

/// How the saga ends if a request always fails like this, and how the same key ends when nothing fails any more.
struct Failing {
    request: &'static str,
    mishaps: &'static [Mishap],
    end: &'static str,
    later: &'static str,
}

const BEFORE: &[Mishap] =
    &[Mishap::RequestLost, Mishap::RequestStuck, NONSENSE, Mishap::Gateway(502), Mishap::Error(500, "internal")];
const AFTER: &[Mishap] = &[Mishap::AnswerLost, Mishap::AnswerStuck, Mishap::AnswerCut];
const STUCK: &[Mishap] = &[Mishap::RequestStuck, Mishap::AnswerStuck];
const NOT_STUCK: &[Mishap] = &[
    Mishap::RequestLost,
    Mishap::AnswerLost,
    Mishap::AnswerCut,
    NONSENSE,
    Mishap::Gateway(502),
    Mishap::Error(503, "unavailable"),
    Mishap::PortCloses,
];
const REFUSED: &[Mishap] = &[Mishap::PortCloses];
const UNAVAILABLE: &[Mishap] = &[Mishap::Error(503, "unavailable")];

const SPENT: &str = "409 idempotency_key_spent not_needed, Canceled";

#[rustfmt::skip]
const FAILING: &[Failing] = &[
    Failing { request: ASK, mishaps: NOT_STUCK, end: "503 upstream_unavailable not_needed, no order", later: "201, Confirmed" },
    Failing { request: ASK, mishaps: STUCK, end: "504 upstream_timeout not_needed, no order", later: "201, Confirmed" },
    Failing {
        request: CREATE, mishaps: BEFORE,
        end: "504 create_outcome_unknown not_needed, no order", later: "409 idempotency_key_spent not_needed, no order",
    },
    Failing { request: CREATE, mishaps: AFTER, end: "504 create_outcome_unknown done, Canceled", later: SPENT },
    Failing { request: CREATE, mishaps: UNAVAILABLE, end: "503 upstream_unavailable not_needed, no order", later: "201, Confirmed" },
    Failing { request: CREATE, mishaps: REFUSED, end: "504 compensation_pending pending, no order", later: "201, Confirmed" },
    Failing {
        request: CONFIRM,
        mishaps: &[
            Mishap::RequestLost, NONSENSE, Mishap::Gateway(502), Mishap::Error(500, "internal"), Mishap::Error(503, "unavailable"),
        ],
        end: "503 confirm_failed done, Canceled", later: SPENT,
    },
    Failing { request: CONFIRM, mishaps: &[Mishap::RequestStuck], end: "504 confirm_failed done, Canceled", later: SPENT },
    Failing { request: CONFIRM, mishaps: AFTER, end: "201, Confirmed", later: "201, Confirmed" },
    Failing { request: CONFIRM, mishaps: REFUSED, end: "504 compensation_pending pending, Created", later: "201, Confirmed" },
    Failing { request: CANCEL, mishaps: BEFORE, end: "504 compensation_pending pending, Created", later: "201, Confirmed" },
    Failing { request: CANCEL, mishaps: UNAVAILABLE, end: "504 compensation_pending pending, Created", later: "201, Confirmed" },
    Failing { request: CANCEL, mishaps: REFUSED, end: "504 compensation_pending pending, Created", later: "201, Confirmed" },
    Failing { request: CANCEL, mishaps: AFTER, end: "504 compensation_pending pending, Canceled", later: SPENT },
    Failing { request: ABANDON, mishaps: BEFORE, end: "504 compensation_pending pending, Created", later: "201, Confirmed" },
    Failing { request: ABANDON, mishaps: UNAVAILABLE, end: "504 compensation_pending pending, Created", later: "201, Confirmed" },
    Failing { request: ABANDON, mishaps: REFUSED, end: "504 compensation_pending pending, Created", later: "201, Confirmed" },
    Failing { request: ABANDON, mishaps: AFTER, end: "504 compensation_pending pending, Canceled", later: SPENT },
    Failing { request: LOOK, mishaps: NOT_STUCK, end: "504 compensation_pending pending, Confirmed", later: "201, Confirmed" },
    Failing { request: LOOK, mishaps: STUCK, end: "504 compensation_pending pending, Confirmed", later: "201, Confirmed" },
    Failing { request: LOOKUP, mishaps: NOT_STUCK, end: "503 upstream_unavailable not_needed, no order", later: "201, Confirmed" },
    Failing { request: LOOKUP, mishaps: STUCK, end: "504 upstream_timeout not_needed, no order", later: "201, Confirmed" },
];

/// A world in which this request is sent and something happens to it.
async fn world_with(sent: Sent, times: usize, mishap: Mishap) -> World {
    let policy = if let Mishap::PortClosesFor(_) = mishap { PATIENT } else { POLICY };
    let world = World::with_policy(policy).await;
    line(&world, sent.request).on(sent.request, times, mishap);
    if let Some((other, mishap)) = sent.after {
        line(&world, other).on(other, ALWAYS, mishap);
    }
    world
}

fn line<'a>(world: &'a World, request: &str) -> &'a Line {
    if request == ASK { &world.customers } else { &world.orders }
}

/// What the caller is told and what there is: `503 confirm_failed done, Canceled`. Says more where it does not add up.
fn end(world: &World, reply: &Reply) -> String {
    let error = &reply.json()["error"];
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    let told = match reply.status {
        201 => "201".to_owned(),
        status => format!("{status} {} {}", text("code"), text("compensated")),
    };
    format!("{told}, {}", left(world))
}

/// What the shop is left with.
fn left(world: &World) -> String {
    let shop = world.shop();
    let (made, changes) = (shop.orders.len(), (shop.confirmations, shop.cancelations));
    let (state, pieces, expected) = match shop.orders.values().next().map(|order| format!("{:?}", order.status)) {
        None => ("no order".to_owned(), 0, (0, 0)),
        Some(state) if state == "Created" => (state, 3, (0, 0)),
        Some(state) if state == "Confirmed" => (state, 3, (1, 0)),
        Some(state) => (state, 0, (0, 1)),
    };
    let taken = FIRST_STOCK - shop.stock();
    if made <= 1 && taken == pieces && changes == expected {
        state
    } else {
        format!("{state}: {made} made, {taken} taken, (confirmed, canceled) {changes:?} times")
    }
}

/// Says what was expected, unless it was found.
fn differing(what: &str, found: &str, expected: &str) -> Option<String> {
    (found != expected).then(|| format!("{what}: {found}; expected {expected}"))
}

/// Runs all of them, a few at a time, and gives what they complain about.
async fn complaints<F>(runs: impl IntoIterator<Item = F>) -> Vec<String>
where
    F: Future<Output = Vec<String>> + Send + 'static,
{
    let (mut running, mut complaints) = (JoinSet::new(), Vec::new());
    for run in runs {
        if running.len() == AT_ONCE {
            complaints.extend(running.join_next().await.unwrap().unwrap());
        }
        running.spawn(run);
    }
    complaints.extend(running.join_all().await.into_iter().flatten());
    complaints
}

async fn fails_once(sent: Sent, mishap: Mishap) -> Vec<String> {
    let world = world_with(sent, 1, mishap).await;
    let reply = world.order("a").await;
    let what = format!("{} {mishap:?} once", sent.request);
    let times = line(&world, sent.request).seen().iter().filter(|seen| *seen == sent.request).count();
    let again = (times < 2).then(|| format!("{what}: not sent again"));
    differing(&what, &end(&world, &reply), sent.end).into_iter().chain(again).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_once_the_saga_ends_as_if_it_had_not() {
    let runs = SENT.into_iter().flat_map(|sent| PASSING.map(|mishap| fails_once(sent, mishap)));
    assert_eq!(complaints(runs).await, [] as [&str; 0]);
}

async fn keeps_failing(failing: &'static Failing, mishap: Mishap) -> Vec<String> {
    let sent = *SENT.iter().find(|sent| sent.request == failing.request).unwrap();
    let world = world_with(sent, ALWAYS, mishap).await;
    let what = format!("{} {mishap:?} always", sent.request);
    let first = world.order("a").await;
    let first = differing(&what, &end(&world, &first), failing.end);
    world.customers.mend();
    world.orders.mend();
    let again = world.order("a").await;
    let again = differing(&format!("{what}, and the same key later"), &end(&world, &again), failing.later);
    first.into_iter().chain(again).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_keeps_failing_the_saga_ends_as_documented_and_the_same_key_resolves_it() {
    let cells = FAILING.iter().flat_map(|failing| failing.mishaps.iter().map(move |mishap| (failing, *mishap)));
    let runs = cells.map(|(failing, mishap)| keeps_failing(failing, mishap));
    assert_eq!(complaints(runs).await, [] as [&str; 0]);
}

async fn comes_twice(sent: Sent) -> Vec<String> {
    let world = world_with(sent, ALWAYS, Mishap::SentTwice).await;
    let reply = world.order("a").await;
    let what = format!("{} delivered twice", sent.request);
    differing(&what, &end(&world, &reply), sent.end).into_iter().collect()
}

async fn comes_again_late(sent: Sent) -> Vec<String> {
    let world = world_with(sent, ALWAYS, Mishap::CopyStuck).await;
    let reply = world.order("a").await;
    let what = format!("{} delivered once more after the end", sent.request);
    let ended = end(&world, &reply);
    line(&world, sent.request).deliver_late().await;
    let expected = sent.end.split_once(", ").unwrap().1;
    let ended = differing(&what, &ended, sent.end);
    ended.into_iter().chain(differing(&what, &left(&world), expected)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_delivered_twice_has_one_effect() {
    assert_eq!(complaints(SENT.map(comes_twice)).await, [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_delivered_once_more_after_the_end_has_no_effect() {
    let undone = Sent { request: CREATE, ..SENT[3] };
    let runs = SENT.into_iter().chain([undone]).map(comes_again_late);
    assert_eq!(complaints(runs).await, [] as [&str; 0]);
}

#[tokio::test]
async fn a_confirmation_that_comes_after_the_undo_is_refused() {
    let world = World::new().await;
    world.orders.on(CONFIRM, 1, Mishap::RequestStuck);
    world.orders.on(CONFIRM, ALWAYS, Mishap::Gateway(503));
    world.order("a").await.failed(503, "confirm_failed", "confirm", "done", false);
    assert_eq!(world.orders.deliver_late().await, 409);
    assert_eq!(left(&world), "Canceled");
}

#[tokio::test]
async fn a_port_that_refuses_for_a_moment_costs_nothing() {
    for request in [ASK, CREATE] {
        let world = World::with_policy(PATIENT).await;
        line(&world, request).close_for(OUTAGE).await;
        world.order("a").await.succeeded();
        assert_eq!(left(&world), "Confirmed");
        assert_eq!(world.orders.seen(), [CREATE, CONFIRM], "what was refused was never sent");
    }
}
