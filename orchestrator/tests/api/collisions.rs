//! Many callers with the same keys at once, before the real services.

use std::sync::Arc;
use std::time::Duration;

use client_common::Retry;
use orchestrator::Policy;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::services::System;
use crate::world::Reply;

const CALLERS: usize = 32;
const KEYS: usize = 50;
const UNDOING: [&str; 2] = ["POST /orders/{id}/cancel", "POST /internal/orders/abandon"];
const CONFIRMATIONS: &str = "SELECT COUNT(*) AS n FROM order_events WHERE to_status = 'CONFIRMED'";
const CANCELATIONS: &str = "SELECT COUNT(*) AS n FROM order_events WHERE to_status = 'CANCELED'";
const ORDERS: &str = "SELECT COUNT(*) AS n FROM orders";

/// What is counted is what is done, not how fast: a busy machine makes none of our attempts end early.
const PATIENT: Policy = Policy {
    retry: Retry {
        attempts: 4,
        base_delay: Duration::from_millis(50),
        max_delay: Duration::from_secs(1),
        attempt: Duration::from_secs(30),
        total: Duration::from_secs(120),
    },
    compensation: Duration::from_secs(10),
    connect: Duration::from_secs(10),
};

/// Sends an order as a good client does: where somebody else is at work with the key, or the orders service is too busy for
/// another service, again after the time it is told.
async fn persistently(system: &System, key: &str) -> Reply {
    loop {
        let reply = system.order(key).await;
        if reply.status == 201 {
            return reply;
        }
        let code = &reply.json()["error"]["code"];
        assert!(
            ["idempotency_in_progress", "upstream_unavailable"].contains(&code.as_str().unwrap()),
            "{}",
            reply.text
        );
        let seconds = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

/// Sends every key once, each at the same time as all other callers, and gives what came back.
async fn caller(system: Arc<System>, together: Arc<Barrier>) -> Vec<String> {
    let mut answers = Vec::new();
    for key in 0..KEYS {
        together.wait().await;
        answers.push(persistently(&system, &format!("key-{key}")).await.text);
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_keys_from_32_callers_at_once_are_fifty_orders() {
    let system = Arc::new(System::with_policy(PATIENT).await);
    let before = [system.number(ORDERS).await, system.number(CONFIRMATIONS).await, system.number(CANCELATIONS).await];
    let together = Arc::new(Barrier::new(CALLERS));
    let callers = (0..CALLERS).map(|_| caller(Arc::clone(&system), Arc::clone(&together)));
    let answers = JoinSet::from_iter(callers).join_all().await;
    for (number, other) in answers.iter().enumerate() {
        assert_eq!(*other, answers[0], "caller {number} was told otherwise");
    }
    let after = [system.number(ORDERS).await, system.number(CONFIRMATIONS).await, system.number(CANCELATIONS).await];
    let keys = i64::try_from(KEYS).unwrap();
    assert_eq!(after, [before[0] + keys, before[1] + keys, before[2]]);
    assert_eq!(system.taken().await, 3 * keys);
    let undoing = |request: &&String| UNDOING.contains(&request.as_str());
    assert_eq!(system.orders.seen().iter().filter(undoing).count(), 0);
}
