//! Creation of orders: an order takes its stock and fixes its prices, all or nothing.
//!
//! A request becomes a `draft`, which the dispatcher puts into the `queue`; a `batch` creates several orders in one
//! transaction.

mod batch;
mod dispatch;
mod draft;
mod queue;

use std::sync::Arc;

use common_contract::IdempotencyKey;
use common_server::Call;
use common_server::auth::{Caller, Operator};
use db::idempotency::KeyedRequest;
use orders_api::NewOrder;

use super::idempotent::{KeyedRequest, OrderResponse};
use super::{Orders, OrdersError};
use crate::metrics;
use crate::store::orders;

pub(crate) use dispatch::Dispatcher;
use draft::{Draft, DraftKey, SCOPE, merge_lines};

impl Orders {
    /// Creates an order, or returns the stored response of this request.
    pub(crate) async fn create(
        &self,
        call: &Call,
        caller: &Caller<Operator>,
        key: Option<&IdempotencyKey>,
        new: &NewOrder,
    ) -> Result<OrderResponse, OrdersError> {
        let principal = caller.principal();
        let mut draft = self.draft(call, caller, new)?;
        let Some(key) = key else {
            return match caller {
                Caller::Person(_) => self.check_and_create(call, caller, None, draft).await,
                Caller::Service(_) => Err(OrdersError::key_required()),
            };
        };
        let request = keyed_request(&principal, key, new)?;
        draft.key = Some(DraftKey::new(&request));
        let outcome = self.create_once(call, caller, &request, draft).await;
        metrics::keyed(SCOPE, &outcome);
        outcome
    }

    fn draft(&self, call: &Call, caller: &Caller<Operator>, new: &NewOrder) -> Result<Draft, OrdersError> {
        let reservation = match caller {
            Caller::Service(_) => Some(self.reservation),
            Caller::Person(_) => None,
        };
        Ok(Draft {
            customer_id: new.customer_id,
            lines: merge_lines(new.items.as_slice())?,
            expected_total_cents: new.expected_total_cents,
            external_reference: new.external_reference.as_ref().map(|reference| reference.as_str().to_owned()),
            reservation,
            principal: caller.principal(),
            correlation_id: call.correlation_id().to_owned(),
            key: None,
        })
    }

    async fn create_once(
        &self,
        call: &Call,
        caller: &Caller<Operator>,
        request: &KeyedRequest<'_>,
        draft: Draft,
    ) -> Result<OrderResponse, OrdersError> {
        if let Some(response) = self.find_stored(request).await? {
            return Ok(response);
        }
        match self.check_and_create(call, caller, Some(request), draft).await {
            // Whatever stands in the way of a second order: the key's row may have expired.
            Err(refused) if !is_failure(&refused) => self.find_created(request).await?.ok_or(refused),
            outcome => outcome,
        }
    }

    async fn check_and_create(
        &self,
        call: &Call,
        caller: &Caller<Operator>,
        request: Option<&KeyedRequest<'_>>,
        draft: Draft,
    ) -> Result<OrderResponse, OrdersError> {
        self.customers.check(call, draft.customer_id, Self::check_limit(caller)).await?;
        let draft = Arc::new(draft);
        let attempt = || self.dispatcher.create(Arc::clone(&draft), self.db.run_deadline());
        self.resolve_ambiguous(request, attempt).await
    }

    /// Returns the response that this request got before. If it has expired, it is rebuilt from the order's current state.
    async fn find_created(&self, request: &KeyedRequest<'_>) -> Result<Option<OrderResponse>, OrdersError> {
        if let Some(response) = self.find_stored(request).await? {
            return Ok(Some(response));
        }
        let KeyedRequest { principal, key, request_hash, .. } = request.claim;
        let found = self.db.run(async |connection| orders::find_by_create_key(connection, principal, key).await);
        match found.await? {
            None => Ok(None),
            Some((order, hash)) if hash.as_deref() == Some(&request_hash) => Ok(Some(OrderResponse::rebuild(&order)?)),
            Some(_) => Err(OrdersError::KeyReused),
        }
    }
}

/// Whether the request was not decided. An order that has this key already is a decision.
fn is_failure(error: &OrdersError) -> bool {
    matches!(error, OrdersError::Database(error) if !error.is_unique(orders::UNIQUE_CREATE_KEY))
}

/// The request of this principal to create this order under a key.
pub(super) fn keyed_request<'k>(
    principal: &'k str,
    key: &'k IdempotencyKey,
    new: &NewOrder,
) -> Result<KeyedRequest<'k>, OrdersError> {
    let lines = merge_lines(new.items.as_slice())?;
    let request = (new.customer_id, lines, new.expected_total_cents, &new.external_reference);
    Ok(KeyedRequest::new(SCOPE, principal, key, &request)?)
}
