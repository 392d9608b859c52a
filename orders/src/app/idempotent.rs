//! A change of an order, carried out at most once per idempotency key.
//!
//! The key, the change and its answer commit together. What was refused or failed leaves nothing behind and is looked
//! at anew when the caller comes back; what succeeded is answered from then on with the bytes of the first answer.

use common_contract::{IdempotencyKey, OrderId};
use db::idempotency::{self, Answer, Claim, Found, KeyClaim, Nonce};
use db::insert::run_all;
use db::{Connection, DbError};
use orders_api::Order;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Orders, OrdersError};
use crate::metrics;
use crate::store::orders;

/// What is kept of an order with its key.
const TARGET: &str = "order";
/// Under which HTTP status a changed order is answered.
const CHANGED: u16 = 200;
/// How often a change is carried out again whose COMMIT was not answered and did not happen.
const MAX_REPEATS: u32 = 2;

/// Something that is done at most once, however often it is attempted.
pub(super) trait Attempt: Sync {
    /// Does it, or fails.
    fn attempt(&self) -> impl Future<Output = Result<Answered, OrdersError>> + Send;
}

/// A change that leads an order from one state to the next.
pub(super) trait Change: Sync {
    /// Carries the change out, within a transaction that this one may run again from its start.
    fn apply(&self, connection: &mut Connection) -> impl Future<Output = Result<Changed, OrdersError>> + Send;
}

/// An order as a change has left it.
pub(super) struct Changed {
    pub(super) order: Order,
    /// What is left to be done in the same transaction. Nothing waits for it, so it goes with whatever is sent next.
    pub(super) statements: Vec<String>,
}

impl Changed {
    /// It was there already.
    pub(super) fn nothing(order: Order) -> Self {
        Self { order, statements: Vec::new() }
    }
}

/// A request under an idempotency key.
pub(super) struct Keyed<'k> {
    pub(super) claim: KeyClaim<'k>,
    /// Tells what this request did from what another one did under the same key.
    pub(super) nonce: Nonce,
}

/// The answer to a change: an order, as the bytes that are sent and kept.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) id: OrderId,
    pub(crate) version: i64,
    pub(crate) json: Vec<u8>,
    /// Whether an earlier request with the same key was answered like this.
    pub(crate) replayed: bool,
}

/// What the headers of an answer need of an order that was kept as bytes.
#[derive(Deserialize)]
struct Kept {
    id: OrderId,
    version: i64,
}

impl Answered {
    pub(super) fn first(order: &Order) -> Result<Self, serde_json::Error> {
        Ok(Self { id: order.id, version: order.version, json: serde_json::to_vec(order)?, replayed: false })
    }

    /// The answer that is known by the order alone, because its bytes are kept no longer.
    pub(super) fn rebuilt(order: &Order) -> Result<Self, serde_json::Error> {
        Ok(Self { replayed: true, ..Self::first(order)? })
    }

    fn kept(json: Vec<u8>, replayed: bool) -> Result<Self, serde_json::Error> {
        let Kept { id, version } = serde_json::from_slice(&json)?;
        Ok(Self { id, version, json, replayed })
    }

    /// The same answer for another request with the same key.
    pub(super) fn again(&self) -> Self {
        Self { json: self.json.clone(), replayed: true, ..*self }
    }

    /// What is kept of it with its key.
    pub(super) fn kept_as(&self, status: u16) -> Answer<'_> {
        Answer { status, body: &self.json, target_type: TARGET, target_id: self.id.get() }
    }

    pub(super) fn found(found: Found) -> Result<Self, OrdersError> {
        match found {
            Found::Answer { body, own, .. } => Ok(Self::kept(body, !own)?),
            Found::Reused => Err(OrdersError::KeyReused),
            Found::Abandoned => Err(OrdersError::KeyAbandoned),
        }
    }
}

impl Orders {
    /// The answer that a request with this key got, without waiting for one that still runs.
    pub(super) async fn replay(&self, keyed: &Keyed<'_>) -> Result<Option<Answered>, OrdersError> {
        let Keyed { claim, nonce } = keyed;
        let found = self.answers.find(claim, nonce).await?;
        found.map(Answered::found).transpose()
    }

    /// The answer that a request with this key got, or else that of the change, carried out once.
    pub(super) async fn replay_or_once<C: Change>(
        &self,
        keyed: &Keyed<'_>,
        change: &C,
    ) -> Result<Answered, OrdersError> {
        let outcome = match self.replay(keyed).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => self.once(Some(keyed), change).await,
            Err(error) => Err(error),
        };
        metrics::keyed(keyed.claim.scope, &outcome);
        outcome
    }

    /// Carries the change out, once per key if there is a key.
    pub(super) async fn once<C: Change>(&self, keyed: Option<&Keyed<'_>>, change: &C) -> Result<Answered, OrdersError> {
        self.until_known(keyed, &Transaction { orders: self, keyed, change }).await
    }

    /// Attempts it until its outcome is known. Where that is not to be had, the outcome stays unknown.
    pub(super) async fn until_known(
        &self,
        keyed: Option<&Keyed<'_>>,
        work: &impl Attempt,
    ) -> Result<Answered, OrdersError> {
        let mut repeats = 0;
        loop {
            let outcome = work.attempt().await;
            let outcome = if repeats > 0 { outcome.map_err(still_unknown) } else { outcome };
            let Some(keyed) = keyed.filter(|_| is_unknown(&outcome) && repeats < MAX_REPEATS) else {
                return outcome;
            };
            // Nobody knows whether COMMIT arrived, but the key's row tells: it committed with everything else.
            match self.replay(keyed).await {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => repeats += 1,
                Err(OrdersError::Database(error)) => {
                    tracing::warn!(%error, "cannot find out whether a change was committed");
                    return outcome;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// A change in a transaction of its own.
struct Transaction<'t, C> {
    orders: &'t Orders,
    keyed: Option<&'t Keyed<'t>>,
    change: &'t C,
}

impl<C: Change> Attempt for Transaction<'_, C> {
    async fn attempt(&self) -> Result<Answered, OrdersError> {
        self.orders.db.transaction(async |connection| self.carry_out(connection).await).await
    }
}

impl<C: Change> Transaction<'_, C> {
    async fn carry_out(&self, connection: &mut Connection) -> Result<Answered, OrdersError> {
        let Some(Keyed { claim, nonce }) = self.keyed else {
            let Changed { order, statements } = self.change.apply(connection).await?;
            run_all(connection, &statements).await?;
            return Ok(Answered::first(&order)?);
        };
        match idempotency::claim(connection, claim, nonce, self.orders.key_retention).await? {
            Claim::Found(found) => Answered::found(found),
            Claim::Won => {
                let Changed { order, mut statements } = self.change.apply(connection).await?;
                let answer = Answered::first(&order)?;
                statements.push(idempotency::completion([(*claim, answer.kept_as(CHANGED))]).to_string());
                run_all(connection, &statements).await?;
                Ok(answer)
            }
        }
    }
}

fn is_unknown(outcome: &Result<Answered, OrdersError>) -> bool {
    matches!(outcome, Err(OrdersError::Database(DbError::OutcomeUnknown)))
}

/// Why a repeated change failed. Its first COMMIT may still be on its way, holding the key's row: whatever kept the repeat
/// from the key tells nothing of it. A refusal does, as the repeat had the key; so does the order that is there already.
fn still_unknown(error: OrdersError) -> OrdersError {
    match error {
        OrdersError::Database(error) if !error.is_unique(orders::UNIQUE_CREATE_KEY) => DbError::OutcomeUnknown.into(),
        error => error,
    }
}

/// This caller's request under a key. It is hashed as it was understood, not as it was written.
pub(super) fn keyed<'k>(
    scope: &'static str,
    principal: &'k str,
    key: &'k IdempotencyKey,
    request: &impl Serialize,
) -> Result<Keyed<'k>, serde_json::Error> {
    let request_hash = Sha256::digest(serde_json::to_vec(request)?).into();
    let claim = KeyClaim { scope, principal, key: key.as_str(), request_hash };
    Ok(Keyed { claim, nonce: rand::random() })
}
