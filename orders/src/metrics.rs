//! Orders service metrics. Recording is a no-op unless a metrics exporter is installed.

use db::DbError;
use metrics::{counter, describe_counter};

use crate::app::{OrderResponse, OrdersError};

const KEYED: &str = "idempotency_requests_total";
const EXPIRED: &str = "reservations_expired_total";

/// Label values: operations that accept an idempotency key, and outcomes of requests with a key.
const OPERATIONS: [&str; 3] = ["order.create", "order.confirm", "order.cancel"];
const OUTCOMES: [&str; 6] = ["run", "replayed", "reused", "in_progress", "abandoned", "not_done"];

/// Describes the metrics and initializes every series to zero.
pub(crate) fn describe() {
    describe_counter!(
        KEYED,
        "Requests with an idempotency key, by operation and outcome: run (executed), replayed (stored response \
         returned), reused (key of a different request), in_progress (another request with the key is in flight), \
         abandoned (key of an abandoned create request), not_done (the request failed or was rejected)"
    );
    describe_counter!(EXPIRED, "Orders canceled because their reservations expired");
    counter!(EXPIRED).increment(0);
    for operation in OPERATIONS {
        for outcome in OUTCOMES {
            counter!(KEYED, "operation" => operation, "outcome" => outcome).increment(0);
        }
    }
}

/// Counts a request with an idempotency key.
pub(crate) fn count_keyed_request(operation: &'static str, outcome: &Result<OrderResponse, OrdersError>) {
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

/// Counts an order that was canceled because its reservation expired.
pub(crate) fn count_expired_reservation() {
    counter!(EXPIRED).increment(1);
}
