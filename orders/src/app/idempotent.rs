//! Transitions of orders that are applied at most once per idempotency key.
//!
//! The key, the transition and its response commit together. A refusal or failure leaves nothing behind, so that a retry is
//! evaluated anew; a success is answered from then on with the bytes of the first response.

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

/// Kind of the target that is stored with a key.
const TARGET: &str = "order";
/// HTTP status of a response with a changed order.
const OK: u16 = 200;
/// Retries after a COMMIT that was not answered and did not happen.
const MAX_RETRIES: u32 = 2;

/// A transition of an order from one status to the next.
pub(super) trait Transition: Sync {
    /// Applies it within a transaction, which may be run again from its start.
    fn apply(&self, connection: &mut Connection) -> impl Future<Output = Result<OrderUpdate, OrdersError>> + Send;
}

/// An order after a transition.
pub(super) struct OrderUpdate {
    pub(super) order: Order,
    /// The rest of the transaction. No result of it is needed, so it is sent with the next statements.
    pub(super) statements: Vec<String>,
}

impl OrderUpdate {
    /// The order had the status already.
    pub(super) fn unchanged(order: Order) -> Self {
        Self { order, statements: Vec::new() }
    }
}

/// A request under an idempotency key.
pub(super) struct KeyedRequest<'k> {
    pub(super) key: RequestKey<'k>,
    /// Distinguishes this request from others under the same key.
    pub(super) nonce: Nonce,
}

impl<'k> KeyedRequest<'k> {
    /// The request is hashed as it was parsed, not as it was written.
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

/// A response with an order, as the bytes that are sent and stored.
#[derive(Debug)]
pub(crate) struct OrderResponse {
    pub(crate) id: OrderId,
    pub(crate) version: i64,
    pub(crate) json: Vec<u8>,
    /// Whether an earlier request with the same key got this response.
    pub(crate) replayed: bool,
}

/// The part of a stored order that the response's headers need.
#[derive(Deserialize)]
struct StoredOrder {
    id: OrderId,
    version: i64,
}

impl OrderResponse {
    pub(super) fn new(order: &Order) -> Result<Self, serde_json::Error> {
        Ok(Self { id: order.id, version: order.version, json: serde_json::to_vec(order)?, replayed: false })
    }

    /// The response for a key whose stored response has expired.
    pub(super) fn rebuild(order: &Order) -> Result<Self, serde_json::Error> {
        Ok(Self { replayed: true, ..Self::new(order)? })
    }

    /// The same response for another request with the same key.
    pub(super) fn replay(&self) -> Self {
        Self { json: self.json.clone(), replayed: true, ..*self }
    }

    pub(super) fn to_stored(&self, status: u16) -> ResponseToStore<'_> {
        ResponseToStore { status, body: &self.json, target_type: TARGET, target_id: self.id.get() }
    }

    pub(super) fn from_found(found: StoredOutcome) -> Result<Self, OrdersError> {
        match found {
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
    /// Returns the stored response for a key, without waiting for a request in flight.
    pub(super) async fn find_stored(&self, request: &KeyedRequest<'_>) -> Result<Option<OrderResponse>, OrdersError> {
        let found = self.answers.find(&request.key, &request.nonce).await?;
        found.map(OrderResponse::from_found).transpose()
    }

    /// Applies the transition. With a key it is applied once, and later requests get the stored response.
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
        metrics::keyed(keyed.key.scope, &outcome);
        outcome
    }

    /// Runs the attempt, and after an ambiguous COMMIT finds out by the key's row whether it happened. Without a key, and where
    /// the row cannot be read, the outcome stays unknown.
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
            // The key's row commits with everything else.
            match self.find_stored(request).await {
                Ok(Some(response)) => return Ok(response),
                Ok(None) => retries += 1,
                Err(OrdersError::Database(error)) => {
                    tracing::warn!(%error, "cannot find out whether a change was committed");
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
            && let Acquisition::Found(found) = idempotency::acquire(connection, key, nonce, self.key_retention).await?
        {
            return OrderResponse::from_found(found);
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

/// Keeps the outcome unknown after a retry that failed: the first COMMIT may still be on its way, holding the key's row. A
/// refusal is definite, as the retry had the key; so is the order that exists already.
fn keep_ambiguous(error: OrdersError) -> OrdersError {
    match error {
        OrdersError::Database(error) if !error.is_unique(orders::UNIQUE_CREATE_KEY) => DbError::OutcomeUnknown.into(),
        error => error,
    }
}
