//! Order status transitions that are applied at most once per idempotency key.
//!
//! The key, the transition and the response are committed in one transaction. After a success, retries receive a
//! response with the same bytes until the key expires. A rejected or failed request stores nothing, so a retry is
//! processed like a new request.

use common_contract::{IdempotencyKey, OrderId};
use db::idempotency::{self, Acquisition, Nonce, RequestKey, ResponseToStore, StoredOutcome};
use db::insert::run_all;
use db::{Connection, DbError};
use orders_api::Order;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Orders, OrdersError};
use crate::metrics;
use crate::store::orders;

/// Target type that is stored with a key.
const TARGET: &str = "order";
/// HTTP status of the response to a successful transition.
const OK: u16 = 200;
/// Maximum number of retries after an ambiguous COMMIT that is then found to have had no effect.
const MAX_RETRIES: u32 = 2;

/// An order status transition.
pub(super) trait Transition: Sync {
    /// Applies the transition within a transaction. If the transaction is retried, this method is called again.
    fn apply(&self, connection: &mut Connection) -> impl Future<Output = Result<OrderUpdate, OrdersError>> + Send;
}

/// An order after a transition.
pub(super) struct OrderUpdate {
    pub(super) order: Order,
    /// Remaining statements of the transaction. Their results are not needed, so all of them are sent in one round
    /// trip.
    pub(super) statements: Vec<String>,
}

impl OrderUpdate {
    /// Creates an update without statements, for an order that already has the requested status.
    pub(super) fn unchanged(order: Order) -> Self {
        Self { order, statements: Vec::new() }
    }
}

/// A request with an idempotency key.
pub(super) struct KeyedRequest<'k> {
    pub(super) key: RequestKey<'k>,
    /// Distinguishes this request from other requests with the same key.
    pub(super) nonce: Nonce,
}

impl<'k> KeyedRequest<'k> {
    /// Hashes the parsed request, so that its formatting does not matter.
    ///
    /// Hashes are stored, those of orders without a time limit. So the JSON of `request` is version 1 as long as it has
    /// the fields of the first release only; with later fields it is an object with a `version`.
    pub(super) fn new(
        scope: &'static str,
        principal: &'k str,
        key: &'k IdempotencyKey,
        request: &impl Serialize,
    ) -> Result<Self, serde_json::Error> {
        let request_hash = Sha256::digest(serde_json::to_vec(request)?).into();
        let key = RequestKey { scope, principal, key: key.as_str(), request_hash };
        Ok(Self { key, nonce: rand::random() })
    }
}

/// Response that contains an order. The order is serialized once, so that the sent and stored bytes are identical.
#[derive(Debug)]
pub(crate) struct OrderResponse {
    pub(crate) id: OrderId,
    pub(crate) version: i64,
    pub(crate) json: Vec<u8>,
    /// Whether this is the response to an earlier request with the same key, which was executed instead of this
    /// request.
    pub(crate) replayed: bool,
}

/// Fields of a stored order that are needed for the response headers.
#[derive(Deserialize)]
struct StoredOrder {
    id: OrderId,
    version: i64,
}

impl OrderResponse {
    pub(super) fn new(order: &Order) -> Result<Self, serde_json::Error> {
        Ok(Self { id: order.id, version: order.version, json: serde_json::to_vec(order)?, replayed: false })
    }

    /// Builds the response to a retry from the order's current state, for use after the stored response has expired.
    pub(super) fn rebuild(order: &Order) -> Result<Self, serde_json::Error> {
        Ok(Self { replayed: true, ..Self::new(order)? })
    }

    /// Returns a copy that is marked as replayed, for another request with the same key.
    pub(super) fn replay(&self) -> Self {
        Self { json: self.json.clone(), replayed: true, ..*self }
    }

    pub(super) fn to_stored(&self, status: u16) -> ResponseToStore<'_> {
        ResponseToStore { status, body: &self.json, target_type: TARGET, target_id: self.id.get() }
    }

    pub(super) fn from_stored(outcome: StoredOutcome) -> Result<Self, OrdersError> {
        match outcome {
            StoredOutcome::Response { body: json, by_this_request, .. } => {
                let StoredOrder { id, version } = serde_json::from_slice(&json)?;
                Ok(Self { id, version, json, replayed: !by_this_request })
            }
            StoredOutcome::Reused => Err(OrdersError::KeyReused),
            StoredOutcome::Abandoned => Err(OrdersError::KeyAbandoned),
        }
    }
}

impl Orders {
    /// Returns the stored response for the request's key. Does not wait for in-flight requests with the same key.
    pub(super) async fn find_stored(&self, request: &KeyedRequest<'_>) -> Result<Option<OrderResponse>, OrdersError> {
        let outcome = self.stored_responses.find(&request.key, &request.nonce).await?;
        outcome.map(OrderResponse::from_stored).transpose()
    }

    /// Applies the transition. If the request has a key, the transition is applied at most once, and later requests
    /// with the key receive the stored response.
    pub(super) async fn apply<T: Transition>(
        &self,
        request: Option<&KeyedRequest<'_>>,
        transition: &T,
    ) -> Result<OrderResponse, OrdersError> {
        let attempt = || async move {
            self.db.transaction(async |connection| self.execute(connection, request, transition).await).await
        };
        let Some(keyed) = request else { return attempt().await };
        let outcome = match self.find_stored(keyed).await {
            Ok(Some(response)) => Ok(response),
            Ok(None) => self.resolve_ambiguous(request, attempt).await,
            Err(error) => Err(error),
        };
        metrics::count_keyed_request(keyed.key.scope, &outcome);
        outcome
    }

    /// Runs the attempt. After an ambiguous COMMIT, reads the key's row to determine whether the transaction was
    /// committed, and retries if it was not. The outcome remains unknown if the request has no key, if the row cannot
    /// be read, or after `MAX_RETRIES` retries.
    pub(super) async fn resolve_ambiguous<F>(
        &self,
        request: Option<&KeyedRequest<'_>>,
        attempt: impl Fn() -> F + Send + Sync,
    ) -> Result<OrderResponse, OrdersError>
    where
        F: Future<Output = Result<OrderResponse, OrdersError>> + Send,
    {
        let mut retries = 0;
        loop {
            let outcome = attempt().await;
            let outcome = if retries > 0 { outcome.map_err(keep_ambiguous) } else { outcome };
            let Some(request) = request.filter(|_| is_ambiguous(&outcome) && retries < MAX_RETRIES) else {
                return outcome;
            };
            // The key's row is committed in the same transaction as the change.
            match self.find_stored(request).await {
                Ok(Some(response)) => return Ok(response),
                Ok(None) => retries += 1,
                Err(OrdersError::Database(error)) => {
                    tracing::warn!(%error, "commit outcome unknown: cannot read the idempotency key");
                    return outcome;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn execute<T: Transition>(
        &self,
        connection: &mut Connection,
        request: Option<&KeyedRequest<'_>>,
        transition: &T,
    ) -> Result<OrderResponse, OrdersError> {
        if let Some(KeyedRequest { key, nonce }) = request
            && let Acquisition::Found(outcome) =
                idempotency::acquire(connection, key, nonce, self.key_retention).await?
        {
            return OrderResponse::from_stored(outcome);
        }
        let OrderUpdate { order, mut statements } = transition.apply(connection).await?;
        let response = OrderResponse::new(&order)?;
        if let Some(KeyedRequest { key, .. }) = request {
            statements.push(idempotency::completion([(*key, response.to_stored(OK))]).to_string());
        }
        run_all(connection, &statements).await?;
        Ok(response)
    }
}

fn is_ambiguous(outcome: &Result<OrderResponse, OrdersError>) -> bool {
    matches!(outcome, Err(OrdersError::Database(DbError::OutcomeUnknown)))
}

/// Converts a database error of a retry to an unknown outcome, because the first COMMIT may still be in flight and hold
/// the lock on the key's row. A rejection is definite, because the retry had acquired the key. A violation of the
/// unique create key is also definite, because the order exists.
fn keep_ambiguous(error: OrdersError) -> OrdersError {
    match error {
        OrdersError::Database(error) if !error.is_unique(orders::UNIQUE_CREATE_KEY) => DbError::OutcomeUnknown.into(),
        error => error,
    }
}
