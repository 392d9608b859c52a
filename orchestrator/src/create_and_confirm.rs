//! The saga: validates the customer, creates the order, confirms the order, and compensates if a step fails.
//!
//! The order itself serves as the saga log. The create, confirm and cancel requests use idempotency keys derived from
//! the caller's key, so a retry resumes where an earlier run stopped. A run does not cancel an order that another run
//! created: that order is resolved by the other run, by the next request with the key, or by the expiry of its
//! reservation. The exception is a create request whose outcome remains unknown: it is abandoned regardless of which
//! run created the order. If another run then tries to confirm the order, it finds the order canceled.

use client_common::{Attempts, Fault};
use common_contract::codes::IDEMPOTENCY_KEY_REUSED;
use common_server::Call;
use orchestrator_api::Compensated::{Done, NotNeeded, Pending};
use orchestrator_api::{self as api, Customer, Order, Outcome, Step};
use orders_client::codes;
use orders_client::types::{self, AbandonOutcome, OrderStatus};
use sha2::{Digest, Sha256};

use crate::failure::{self, SagaFailure, documented};
use crate::policy::Deadlines;
use crate::upstreams::Upstreams;
use crate::{metrics, wire};

/// Entity tag of an order that has not changed since its creation.
const INITIAL_ETAG: &str = "\"v1\"";

/// One run of the saga.
pub(crate) struct CreateAndConfirm<'a> {
    upstreams: &'a Upstreams,
    customers: customers_client::Client,
    orders: orders_client::Client,
    request: &'a api::CreateAndConfirm,
    keys: Keys,
    deadlines: Deadlines,
}

/// The saga run that created the order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CreatedBy {
    ThisRun,
    /// An earlier or concurrent run with the same key.
    AnotherRun,
    /// Either another run, or an attempt of this run whose response was lost.
    Unknown,
}

/// Idempotency keys for the saga's requests, derived per principal so that callers cannot use each other's keys.
struct Keys {
    create: String,
    confirm: String,
    cancel: String,
}

impl Keys {
    fn derive(principal: &str, idempotency_key: &str) -> Self {
        let mut hash = Sha256::new();
        // Because of the length prefix, different (principal, key) pairs never have the same hash input.
        hash.update(principal.len().to_be_bytes());
        hash.update(principal);
        hash.update(idempotency_key);
        let base = format!("{:x}", hash.finalize());
        Self { create: format!("{base}.create"), confirm: format!("{base}.confirm"), cancel: format!("{base}.cancel") }
    }
}

impl<'a> CreateAndConfirm<'a> {
    pub(crate) fn new(
        upstreams: &'a Upstreams,
        call: &Call,
        principal: &str,
        request: &'a api::CreateAndConfirm,
        deadlines: Deadlines,
    ) -> Self {
        let (customers, orders) = upstreams.clients(call);
        Self {
            upstreams,
            customers,
            orders,
            request,
            keys: Keys::derive(principal, request.idempotency_key.as_str()),
            deadlines,
        }
    }

    /// Runs the saga. Returns the customer and the confirmed order.
    ///
    /// # Errors
    ///
    /// Returns a failure that states whether an order may remain.
    pub(crate) async fn run(&self) -> Result<Outcome, SagaFailure> {
        let customer = match self.validate().await {
            Ok(customer) => customer,
            Err((failure, deleted)) => return self.find_earlier_order(failure, deleted).await,
        };
        let (id, created_by) = match self.create().await {
            Ok(created) => created,
            Err(failure) if failure.needs_compensation() => {
                let order = self.abandon(failure).await?;
                return Ok(Outcome { customer, order });
            }
            Err(failure) => return Err(failure),
        };
        let order = match self.confirm(id, created_by).await {
            Ok(order) => order,
            Err(failure) if !failure.needs_compensation() => return Err(failure),
            Err(failure) if created_by == CreatedBy::ThisRun => self.cancel(id, failure).await?,
            // Another run may be about to confirm the order, so this run does not cancel it.
            Err(failure) => self.read_outcome(id, failure).await?,
        };
        Ok(Outcome { customer, order })
    }

    /// Step 1: reads the customer. A deleted customer is a failure, which includes the customer.
    async fn validate(&self) -> Result<Customer, (SagaFailure, Option<Customer>)> {
        let id = self.request.customer_id.get();
        let view = async || {
            let view = self.customers.internal_customer_view().id(id).include_deleted(true);
            let contact = client_common::send(view.send()).await?.into_inner();
            let is_deleted = contact.deleted_at.is_some();
            wire::customer(contact).map(|customer| (customer, is_deleted)).ok_or(Fault::Broken)
        };
        let retry = self.upstreams.policy.retry_until(self.deadlines.steps);
        let Attempts { result, count, .. } = retry.repeatable_within(&self.upstreams.customers_retries, view).await;
        metrics::record_retries(Step::Validate, count);
        let failed = |code| SagaFailure::new(Step::Validate, count, documented(code));
        match result {
            Ok((customer, false)) => Ok(customer),
            Ok((customer, true)) => Err((failed(api::CUSTOMER_NOT_FOUND), Some(customer))),
            Err(fault) => Err((failed(failure::validate_code(&fault)), None)),
        }
    }

    /// Step 2: creates the order, or returns the order that another run with the key created.
    async fn create(&self) -> Result<(i64, CreatedBy), SagaFailure> {
        let new_order = wire::new_order(self.request);
        let create = async || {
            let create =
                self.orders.order_create().x_idempotency_key(self.keys.create.as_str()).body(new_order.clone());
            client_common::send(create.send()).await
        };
        let retry = self.upstreams.policy.retry_until(self.deadlines.steps);
        let Attempts { result, count, ambiguous } =
            retry.repeatable_within(&self.upstreams.orders_retries, create).await;
        metrics::record_retries(Step::Create, count);
        let response = result.map_err(|fault| {
            let reason = failure::create_failure(&fault);
            // A rejection applies only to one attempt; an ambiguous attempt may still arrive and succeed. Only a
            // rejection of the key itself applies to all attempts.
            let (reason, compensated) = match reason.code {
                _ if !ambiguous => (reason, NotNeeded),
                IDEMPOTENCY_KEY_REUSED | api::IDEMPOTENCY_KEY_SPENT => (reason, NotNeeded),
                code if code.status >= 500 => (documented(api::CREATE_OUTCOME_UNKNOWN), Pending),
                _ => (reason, Pending),
            };
            SagaFailure { compensated, ..SagaFailure::new(Step::Create, count, reason) }
        })?;
        let created_by = match response.headers().contains_key("idempotent-replayed") {
            false => CreatedBy::ThisRun,
            true if ambiguous => CreatedBy::Unknown,
            true => CreatedBy::AnotherRun,
        };
        if response.status == OrderStatus::Canceled {
            let spent = SagaFailure::new(Step::Create, count, documented(api::IDEMPOTENCY_KEY_SPENT));
            return Err(SagaFailure { order_id: Some(response.id), ..spent });
        }
        Ok((response.id, created_by))
    }

    /// Step 3: confirms the order.
    async fn confirm(&self, id: i64, created_by: CreatedBy) -> Result<Order, SagaFailure> {
        let confirm = async || {
            let confirm = self.orders.order_confirm().id(id).x_idempotency_key(self.keys.confirm.as_str());
            let order = client_common::send(confirm.send()).await?.into_inner();
            wire::confirmed(order).ok_or(Fault::Broken)
        };
        let retry = self.upstreams.policy.retry_until(self.deadlines.steps);
        let Attempts { result, count, ambiguous } =
            retry.repeatable_within(&self.upstreams.orders_retries, confirm).await;
        metrics::record_retries(Step::Confirm, count);
        result.map_err(|fault| {
            let (code, compensated) = match failure::confirm_code(&fault) {
                api::ORDER_CANCELED if created_by == CreatedBy::AnotherRun => (api::IDEMPOTENCY_KEY_SPENT, NotNeeded),
                api::ORDER_CANCELED => (api::ORDER_CANCELED, Done),
                api::IDEMPOTENCY_IN_PROGRESS if !ambiguous => (api::IDEMPOTENCY_IN_PROGRESS, NotNeeded),
                api::IDEMPOTENCY_IN_PROGRESS => (api::CONFIRM_FAILED, Pending),
                code => (code, Pending),
            };
            let failed = SagaFailure::new(Step::Confirm, count, documented(code));
            SagaFailure { compensated, order_id: Some(id), ..failed }
        })
    }

    /// Looks for an order of an earlier run with the key after a failed validation. Returns it if it was confirmed and
    /// the customer deleted since. Otherwise adds it to the failure, which must not state that no order exists.
    async fn find_earlier_order(
        &self,
        failure: SagaFailure,
        deleted: Option<Customer>,
    ) -> Result<Outcome, SagaFailure> {
        let key = self.keys.create.as_str();
        let lookup = async || client_common::send(self.orders.internal_order_lookup().create_key(key).send()).await;
        let order = match self.retry_compensation(lookup).await {
            Ok(order) => order.into_inner(),
            Err(fault) if fault.has_code(codes::ORDER_NOT_FOUND) => return Err(failure),
            Err(fault) => return Err(failure.with_code(failure::lookup_code(&fault))),
        };
        if !wire::matches_request(&order, self.request) {
            return Err(failure.with_code(IDEMPOTENCY_KEY_REUSED));
        }
        let failure = SagaFailure { order_id: Some(order.id), ..failure };
        match order.status {
            OrderStatus::Created => Err(SagaFailure { compensated: Pending, ..failure }),
            OrderStatus::Confirmed => {
                let outcome = deleted.zip(wire::confirmed(order));
                outcome.map(|(customer, order)| Outcome { customer, order }).ok_or(failure)
            }
            OrderStatus::Canceled => Err(failure.with_code(api::IDEMPOTENCY_KEY_SPENT)),
        }
    }

    /// Compensates a create request whose outcome is unknown: cancels the order if it was created, and prevents
    /// attempts that arrive later from creating an order.
    async fn abandon(&self, failure: SagaFailure) -> Result<Order, SagaFailure> {
        let order = wire::new_order(self.request);
        let abandon = async || {
            let body = types::AbandonRequest::builder().create_key(self.keys.create.as_str()).order(order.clone());
            client_common::send(self.orders.internal_order_abandon().body(body).send()).await
        };
        let types::Abandoned { outcome, order, .. } = match self.retry_compensation(abandon).await {
            Ok(abandoned) => abandoned.into_inner(),
            Err(fault) if fault.has_code(codes::IDEMPOTENCY_KEY_REUSED) => {
                return Err(SagaFailure { compensated: NotNeeded, ..failure.with_code(IDEMPOTENCY_KEY_REUSED) });
            }
            Err(_) => return Err(failure),
        };
        let failure = SagaFailure { order_id: order.as_ref().map(|order| order.id), ..failure };
        match outcome {
            AbandonOutcome::NeverCreated => Err(SagaFailure { compensated: NotNeeded, key_spent: true, ..failure }),
            AbandonOutcome::Canceled => Err(SagaFailure { compensated: Done, ..failure }),
            AbandonOutcome::Confirmed => order.and_then(wire::confirmed).ok_or(failure),
        }
    }

    /// Compensates a create request by canceling the order. If the order has changed since its creation, does not
    /// cancel it: the status of the order determines the outcome.
    async fn cancel(&self, id: i64, failure: SagaFailure) -> Result<Order, SagaFailure> {
        let cancel = async || {
            let cancel = self.orders.order_cancel().id(id);
            let cancel = cancel.if_match(INITIAL_ETAG).x_idempotency_key(self.keys.cancel.as_str());
            client_common::send(cancel.send()).await
        };
        match self.retry_compensation(cancel).await {
            Ok(_) => Err(SagaFailure { compensated: Done, ..failure }),
            Err(Fault::Answered { status: 409 | 412, .. }) => self.read_outcome(id, failure).await,
            Err(_) => Err(failure),
        }
    }

    /// Determines the outcome from the status of the order, without changing the order.
    async fn read_outcome(&self, id: i64, failure: SagaFailure) -> Result<Order, SagaFailure> {
        let view = async || client_common::send(self.orders.order_view().id(id).send()).await;
        let Ok(order) = self.retry_compensation(view).await else { return Err(failure) };
        match order.status {
            OrderStatus::Created => Err(failure),
            OrderStatus::Canceled => Err(SagaFailure { compensated: Done, ..failure }),
            OrderStatus::Confirmed => wire::confirmed(order.into_inner()).ok_or(failure),
        }
    }

    /// Sends a compensation request. Retries the request according to the policy, until the saga's deadline and within
    /// a separate retry budget.
    async fn retry_compensation<T, F>(&self, call: impl Fn() -> F) -> Result<T, Fault<types::Error>>
    where
        F: Future<Output = Result<T, Fault<types::Error>>>,
    {
        let retry = self.upstreams.policy.retry_until(self.deadlines.compensation);
        retry.repeatable_within(&self.upstreams.compensation_retries, call).await.result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_different_principals_do_not_collide() {
        let keys = |principal, key| Keys::derive(principal, key).create;
        assert_eq!(keys("operator:ann", "1"), keys("operator:ann", "1"));
        assert_ne!(keys("operator:ann", "1"), keys("operator:ann1", ""));
        assert_ne!(keys("operator:ann", "1"), keys("service", "1"));
    }

    /// Orders keep their create key, and a retry after a deployment must derive the same one.
    #[test]
    fn derived_keys_are_those_of_the_first_release() {
        let base = "8d8b5b8c7a85819716af52a9544a5b2a2c79fd67483de0d947fde15f1e7302ae";
        let Keys { create, confirm, cancel } = Keys::derive("service", "abc-123");
        assert_eq!([create, confirm, cancel], ["create", "confirm", "cancel"].map(|step| format!("{base}.{step}")));
    }

    #[test]
    fn derived_keys_fit_the_header() {
        let Keys { create, confirm, cancel } = Keys::derive(&"é".repeat(80), &"\u{1f980}".repeat(255));
        for key in [create, confirm, cancel] {
            assert!(key.len() < 255 && key.is_ascii(), "{key}");
        }
    }
}
