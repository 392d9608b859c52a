//! Concurrent callers with the same keys, with the real services.

use std::sync::Arc;
use std::time::Duration;

use client_common::Retry;
use orchestrator::Policy;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::harness::Reply;
use crate::services::System;

const CALLERS: usize = 32;
const KEYS: usize = 50;
const COMPENSATIONS: [&str; 2] = ["POST /orders/{id}/cancel", "POST /internal/orders/abandon"];
const CONFIRMATIONS: &str = "SELECT COUNT(*) AS n FROM order_events WHERE to_status = 'CONFIRMED'";
const CANCELLATIONS: &str = "SELECT COUNT(*) AS n FROM order_events WHERE to_status = 'CANCELED'";
const ORDERS: &str = "SELECT COUNT(*) AS n FROM orders";

/// Time limits that are long enough that no attempt times out on a busy machine: the tests verify effects, not response
/// times.
const LENIENT_POLICY: Policy = Policy {
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

/// Requests an order like a correct client: retries after the `Retry-After` delay while another request with the key is
/// in flight or an upstream service is busy.
async fn order_with_retries(system: &System, key: &str) -> Reply {
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

/// Sends one request per key. For each key, all callers send their requests at the same time. Returns the response
/// bodies.
async fn run_caller(system: Arc<System>, barrier: Arc<Barrier>) -> Vec<String> {
    let mut answers = Vec::new();
    for key in 0..KEYS {
        barrier.wait().await;
        answers.push(order_with_retries(&system, &format!("key-{key}")).await.text);
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_keys_from_32_concurrent_callers_create_fifty_orders() {
    let system = Arc::new(System::with_policy(LENIENT_POLICY).await);
    let before = [
        system.query_number(ORDERS).await,
        system.query_number(CONFIRMATIONS).await,
        system.query_number(CANCELLATIONS).await,
    ];
    let barrier = Arc::new(Barrier::new(CALLERS));
    let callers = (0..CALLERS).map(|_| run_caller(Arc::clone(&system), Arc::clone(&barrier)));
    let answers = JoinSet::from_iter(callers).join_all().await;
    for (index, other) in answers.iter().enumerate() {
        assert_eq!(*other, answers[0], "caller {index} got a different response");
    }
    let after = [
        system.query_number(ORDERS).await,
        system.query_number(CONFIRMATIONS).await,
        system.query_number(CANCELLATIONS).await,
    ];
    let keys = i64::try_from(KEYS).unwrap();
    assert_eq!(after, [before[0] + keys, before[1] + keys, before[2]]);
    assert_eq!(system.allocated().await, 3 * keys);
    let is_compensation = |request: &&String| COMPENSATIONS.contains(&request.as_str());
    assert_eq!(system.orders.requests().iter().filter(is_compensation).count(), 0);
}
