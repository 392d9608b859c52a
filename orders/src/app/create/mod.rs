//! Making an order: it takes its stock and fixes its prices, all or nothing.

mod batch;
mod dispatch;
pub(in crate::app) mod draft;
mod queue;

use std::sync::Arc;

use common_contract::IdempotencyKey;
use common_server::Call;
use common_server::auth::{Caller, Operator};
use db::idempotency::KeyClaim;
use orders_api::NewOrder;

use super::idempotent::{Answered, Attempt, Keyed, keyed};
use super::{Orders, OrdersError};
use crate::metrics;
use crate::store::orders;

pub(crate) use dispatch::GroupCommit;
use draft::{Draft, DraftKey, Lines, SCOPE, merged};

impl Orders {
    /// Makes an order, or answers with the one that this request has made before.
    pub(crate) async fn create(
        &self,
        call: &Call,
        caller: &Caller<Operator>,
        key: Option<&IdempotencyKey>,
        new: &NewOrder,
    ) -> Result<Answered, OrdersError> {
        let principal = caller.principal();
        let lines = merged(new.items.as_slice())?;
        let Some(key) = key else {
            let draft = self.draft(call, caller, None, new, lines);
            return match caller {
                Caller::Person(_) => self.check_and_make(call, caller, None, draft).await,
                Caller::Service(_) => Err(OrdersError::key_required()),
            };
        };
        let keyed = keyed_create(&principal, key, new, &lines)?;
        let draft = self.draft(call, caller, Some(DraftKey::of(&keyed)), new, lines);
        let outcome = self.create_once(call, caller, &keyed, draft).await;
        metrics::keyed(SCOPE, &outcome);
        outcome
    }

    fn draft(
        &self,
        call: &Call,
        caller: &Caller<Operator>,
        key: Option<DraftKey>,
        new: &NewOrder,
        lines: Lines,
    ) -> Draft {
        let reservation = match caller {
            Caller::Service(_) => Some(self.reservation),
            Caller::Person(_) => None,
        };
        Draft {
            customer_id: new.customer_id,
            lines,
            expected_total_cents: new.expected_total_cents,
            external_reference: new.external_reference.as_ref().map(|reference| reference.as_str().to_owned()),
            reservation,
            principal: caller.principal(),
            correlation_id: call.correlation_id().to_owned(),
            key,
        }
    }

    async fn create_once(
        &self,
        call: &Call,
        caller: &Caller<Operator>,
        keyed: &Keyed<'_>,
        draft: Draft,
    ) -> Result<Answered, OrdersError> {
        if let Some(answer) = self.replay(keyed).await? {
            return Ok(answer);
        }
        match self.check_and_make(call, caller, Some(keyed), draft).await {
            // Whatever stands in the way of a second order: the key's row may have expired.
            Err(refused) if !is_failure(&refused) => self.made_before(keyed).await?.ok_or(refused),
            outcome => outcome,
        }
    }

    async fn check_and_make(
        &self,
        call: &Call,
        caller: &Caller<Operator>,
        keyed: Option<&Keyed<'_>>,
        draft: Draft,
    ) -> Result<Answered, OrdersError> {
        self.customers.check(call, draft.customer_id, Self::check_limit(caller)).await?;
        self.until_known(keyed, &Create { orders: self, draft: Arc::new(draft) }).await
    }

    /// The answer that this request got before. Where its bytes have expired, the order itself tells that it was made;
    /// it is shown as it stands now.
    async fn made_before(&self, keyed: &Keyed<'_>) -> Result<Option<Answered>, OrdersError> {
        if let Some(answer) = self.replay(keyed).await? {
            return Ok(Some(answer));
        }
        let KeyClaim { principal, key, request_hash, .. } = keyed.claim;
        let made = self.db.run(async |connection| orders::find_created_under(connection, principal, key).await);
        match made.await? {
            None => Ok(None),
            Some((order, hash)) if hash.as_deref() == Some(&request_hash) => Ok(Some(Answered::rebuilt(&order)?)),
            Some(_) => Err(OrdersError::KeyReused),
        }
    }
}

/// Whether nobody knows what would have come of it. An order that has this key already is known.
fn is_failure(error: &OrdersError) -> bool {
    matches!(error, OrdersError::Database(error) if !error.is_unique(orders::UNIQUE_CREATE_KEY))
}

/// This caller's request to make this order under a key.
pub(super) fn keyed_create<'k>(
    principal: &'k str,
    key: &'k IdempotencyKey,
    new: &NewOrder,
    lines: &Lines,
) -> Result<Keyed<'k>, serde_json::Error> {
    keyed(SCOPE, principal, key, &(new.customer_id, lines, new.expected_total_cents, &new.external_reference))
}

/// Making an order in a group.
struct Create<'o> {
    orders: &'o Orders,
    draft: Arc<Draft>,
}

impl Attempt for Create<'_> {
    async fn attempt(&self) -> Result<Answered, OrdersError> {
        let Orders { db, groups, .. } = self.orders;
        groups.make(Arc::clone(&self.draft), db.run_deadline()).await
    }
}
