//! Orders that list the same products in opposite order: no caller receives a deadlock error, and few transactions are
//! retried. Retries are counted from the log messages of the database layer, only on the threads of one test.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use orders_client::Client;
use tokio::runtime::{Builder, Runtime};
use tracing::{Dispatch, Event, Level, Subscriber, dispatcher};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::harness::{Harness, new_order};
use crate::invariants;

const ORDERS: usize = 2000;
const WORKERS: usize = 32;

/// Counter of retried transactions.
#[derive(Clone, Default)]
struct RetryCounter(Arc<AtomicUsize>);

impl RetryCounter {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns a tokio runtime on whose threads retries are counted.
    fn runtime(&self) -> Runtime {
        let transactions = Targets::new().with_target("db::transaction", Level::DEBUG);
        let counting = Dispatch::new(tracing_subscriber::registry().with(self.clone().with_filter(transactions)));
        // The subscriber stays active for the lifetime of the thread.
        let count = move || mem::forget(dispatcher::set_default(&counting));
        Builder::new_multi_thread().enable_all().on_thread_start(count).build().unwrap()
    }
}

impl<S: Subscriber> Layer<S> for RetryCounter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.fields().any(|field| field.name() == "retries") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn orders_of_products_in_opposite_order_succeed_with_few_retries() {
    let counter = RetryCounter::default();
    counter.runtime().block_on(async {
        let harness = Harness::start().await;
        let (a, b) = (harness.product("A", 10_000).await, harness.product("B", 10_000).await);
        let another = harness.start_server();
        let clients = [harness.operator().clone(), harness.operator_of(&another)];
        let next = AtomicUsize::new(0);
        let worker = async |client: &Client| {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= ORDERS {
                    return;
                }
                let lines = if n.is_multiple_of(2) { [(a, 1), (b, 2)] } else { [(b, 2), (a, 1)] };
                let order = client.order_create().body(new_order(&lines)).send().await.unwrap().into_inner();
                if n.is_multiple_of(8) {
                    client.order_cancel().id(order.id).send().await.unwrap();
                }
            }
        };
        join_all(clients.iter().cycle().take(WORKERS).map(worker)).await;
        assert_eq!(harness.number("SELECT COUNT(*) AS n FROM orders").await, 2000);
        let canceled = 2000 / 8;
        let kept = 2000 - canceled;
        assert_eq!((harness.stock(a).await, harness.stock(b).await), (10_000 - kept, 10_000 - 2 * kept));
        assert!(counter.count() * 100 < ORDERS, "{} transactions were retried", counter.count());
        invariants::check(&harness).await;
    });
}

#[test]
fn retried_transaction_is_counted() {
    let counter = RetryCounter::default();
    counter.runtime().block_on(async {
        let harness = Harness::start().await;
        let a = harness.product("A", 10).await;
        harness.order(&[(a, 1)]).await;
        assert_eq!(counter.count(), 0);
        // The trigger fails once per connection: a session variable survives the rollback.
        let deadlocks = "CREATE TRIGGER deadlocks BEFORE INSERT ON order_events FOR EACH ROW BEGIN \
                         SET @failed = COALESCE(@failed, 0) + 1; \
                         IF @failed = 1 THEN SIGNAL SQLSTATE '40001' SET MESSAGE_TEXT = \
                         'Deadlock found when trying to get lock; try restarting transaction'; END IF; END";
        harness.sql(deadlocks).await;
        harness.order(&[(a, 1)]).await;
        assert_eq!((counter.count(), harness.stock(a).await), (1, 8));
        invariants::check(&harness).await;
    });
}
