//! What is counted of orders. Nothing is where nobody serves the numbers.

use db::DbError;
use metrics::{counter, describe_counter};

use crate::app::{OrderResponse, OrdersError};

const KEYED: &str = "idempotency_requests_total";
const EXPIRED: &str = "reservations_expired_total";

/// The operations that take a key, and what can come of it.
const OPERATIONS: [&str; 3] = ["order.create", "order.confirm", "order.cancel"];
const OUTCOMES: [&str; 6] = ["run", "replayed", "reused", "in_progress", "abandoned", "not_done"];

/// Says what is counted, and begins with zero where nothing has happened yet.
pub(crate) fn describe() {
    describe_counter!(
        KEYED,
        "Requests under an idempotency key by operation and outcome: run or replayed; refused, as the key was reused for \
         other content, is in progress or was abandoned; not_done, where the key was good and the request failed or was \
         refused"
    );
    describe_counter!(EXPIRED, "Orders that were canceled because their reservation had passed");
    counter!(EXPIRED).increment(0);
    for operation in OPERATIONS {
        for outcome in OUTCOMES {
            counter!(KEYED, "operation" => operation, "outcome" => outcome).increment(0);
        }
    }
}

/// A request under a key of this operation was answered.
pub(crate) fn keyed(operation: &'static str, outcome: &Result<OrderResponse, OrdersError>) {
    let outcome = match outcome {
        Ok(OrderResponse { replayed: false, .. }) => "run",
        Ok(OrderResponse { replayed: true, .. }) => "replayed",
        Err(OrdersError::KeyReused) => "reused",
        Err(OrdersError::KeyAbandoned) => "abandoned",
        Err(OrdersError::Database(DbError::KeyInProgress)) => "in_progress",
        Err(_) => "not_done",
    };
    counter!(KEYED, "operation" => operation, "outcome" => outcome).increment(1);
}

/// A reservation has passed, and its order was canceled.
pub(crate) fn expired() {
    counter!(EXPIRED).increment(1);
}
