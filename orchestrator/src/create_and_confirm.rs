//! The saga: validate the customer, create the order, confirm it. What it takes to take each step back.
//!
//! The order is the saga's log, and keys derived from the caller's make every step repeatable: whoever sends the same
//! request again goes on where the last run stopped. A run that found the order made by another leaves it to that one, to
//! the reservation's expiry, or to the next run with the same key. But a run whose create stays in doubt to the end gives
//! it up, whoever made the order: another run that is about to confirm then finds it canceled.

use std::collections::BTreeMap;

use client_common::{Fault, Tried};
use common_server::Call;
use orchestrator_api::{Customer, Order, Outcome};
use orders_client::codes;
use orders_client::types::{self, AbandonOutcome, OrderStatus};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::cause::Cause;
use crate::saga::{Halt, Saga, Then, Undo, Undone};
use crate::upstreams::Upstreams;
use crate::{metrics, wire};

type OrdersFault = Fault<orders_client::types::Error>;

/// The version of an order that was only made, as If-Match takes it.
const AS_MADE: &str = "\"v1\"";

/// What can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Validate,
    Create,
    Confirm,
}

/// One run of the saga.
pub(crate) struct CreateAndConfirm<'a> {
    upstreams: &'a Upstreams,
    customers: customers_client::Client,
    orders: orders_client::Client,
    keys: Keys,
    request: &'a orchestrator_api::CreateAndConfirm,
    customer: Option<Customer>,
    made: Option<Made>,
    confirmed: Option<Order>,
    /// Whether the create was given up, so that nothing can be made under the key any more.
    gave_up: bool,
}

/// The order under the create key.
#[derive(Clone, Copy)]
struct Made {
    id: i64,
    by: MadeBy,
}

/// Which run of the saga made the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MadeBy {
    /// This one.
    ThisRun,
    /// One with the same key, before this one or beside it.
    AnotherRun,
    /// This one, by an attempt whose answer was lost, or another.
    Unclear,
}

/// The keys under which the steps are carried out. Nobody can use one of them without the caller's own credentials.
struct Keys {
    create: String,
    confirm: String,
    cancel: String,
}

impl Keys {
    fn derive(principal: &str, idempotency_key: &str) -> Self {
        let mut hash = Sha256::new();
        // The length keeps a caller's name and key apart, whatever is in them.
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
        request: &'a orchestrator_api::CreateAndConfirm,
    ) -> Self {
        Self {
            upstreams,
            customers: upstreams.customers(call),
            orders: upstreams.orders(call),
            keys: Keys::derive(principal, request.idempotency_key.as_str()),
            request,
            customer: None,
            made: None,
            confirmed: None,
            gave_up: false,
        }
    }

    /// What the caller gets; none before all steps are done.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        let (customer, order) = (self.customer.clone()?, self.confirmed.clone()?);
        Some(Outcome { customer, order })
    }

    /// The order, where it is known.
    pub(crate) fn order_id(&self) -> Option<i64> {
        self.made.map(|made| made.id)
    }

    /// Whether the key is good for nothing any more.
    pub(crate) fn gave_up(&self) -> bool {
        self.gave_up
    }

    async fn validate(&mut self, until: Instant) -> Result<(), Halt<Cause>> {
        let id = self.request.customer_id.get();
        let tried = self
            .upstreams
            .ask_customers(until, async || {
                let answer = client_common::send(self.customers.internal_customer_view().id(id).send()).await?;
                wire::customer(answer.into_inner()).ok_or(Fault::Broken)
            })
            .await;
        let Tried { result, attempts, .. } = tried;
        metrics::tried(Step::Validate, attempts);
        self.customer = Some(result.map_err(|fault| Halt {
            attempts,
            cause: Cause::of_validate(&fault),
            then: Then::UndoThisToo,
        })?);
        Ok(())
    }

    async fn create(&mut self, until: Instant) -> Result<(), Halt<Cause>> {
        let new_order = wire::new_order(self.request);
        let tried = self
            .upstreams
            .ask_orders(until, async || {
                let create =
                    self.orders.order_create().x_idempotency_key(self.keys.create.as_str()).body(new_order.clone());
                let answer = client_common::send(create.send()).await?;
                let replayed = answer.headers().contains_key("idempotent-replayed");
                Ok((answer.into_inner(), replayed))
            })
            .await;
        let Tried { result, attempts, unsure } = tried;
        metrics::tried(Step::Create, attempts);
        let (order, replayed) = result.map_err(|fault| create_failed(&fault, attempts, unsure))?;
        let by = match (replayed, unsure) {
            (false, _) => MadeBy::ThisRun,
            (true, false) => MadeBy::AnotherRun,
            (true, true) => MadeBy::Unclear,
        };
        self.made = Some(Made { id: order.id, by });
        if order.status == OrderStatus::Canceled {
            return Err(Halt { attempts, cause: Cause::KeySpent, then: Then::Leave(Undone::Nothing) });
        }
        Ok(())
    }

    async fn confirm(&mut self, until: Instant) -> Result<(), Halt<Cause>> {
        let Some(made) = self.made else { unreachable!("an order is created before it is confirmed") };
        let tried = self
            .upstreams
            .ask_orders(until, async || {
                let confirm = self.orders.order_confirm().id(made.id).x_idempotency_key(self.keys.confirm.as_str());
                let order = client_common::send(confirm.send()).await?.into_inner();
                wire::confirmed(order).ok_or(Fault::Broken)
            })
            .await;
        let Tried { result, attempts, unsure } = tried;
        metrics::tried(Step::Confirm, attempts);
        self.confirmed = Some(result.map_err(|fault| confirm_failed(&fault, attempts, unsure, made.by))?);
        Ok(())
    }

    /// Asking did nothing, but an earlier run with the key may have left an order: then this one must not say that there
    /// is none.
    async fn look_up(&mut self, until: Instant) -> Undo<Cause> {
        let lookup = async || {
            let key = self.keys.create.as_str();
            client_common::send(self.orders.internal_order_lookup().create_key(key).send()).await
        };
        let tried = self.upstreams.undo_orders(until, lookup).await;
        let order = match tried.result {
            Ok(order) => order.into_inner(),
            Err(fault) if fault.has_code(codes::ORDER_NOT_FOUND) => return Undo::Nothing,
            Err(fault) => return Undo::Explained(Cause::of_lookup(&fault)),
        };
        if !is_asked_for(&order, self.request) {
            return Undo::Explained(Cause::KeyReused);
        }
        self.made = Some(Made { id: order.id, by: MadeBy::AnotherRun });
        match order.status {
            OrderStatus::Created => Undo::Failed,
            OrderStatus::Confirmed => Undo::Nothing,
            OrderStatus::Canceled => Undo::Explained(Cause::KeySpent),
        }
    }

    /// Takes the create back, whether or not it is known what came of it.
    async fn undo_create(&mut self, until: Instant) -> Undo<Cause> {
        match self.made {
            None => self.abandon(until).await,
            Some(Made { id, by: MadeBy::ThisRun }) => self.cancel(id, until).await,
            Some(Made { id, .. }) => self.look(id, until).await,
        }
    }

    /// Gives the create up: an order that it made is canceled, and it will make none any more.
    async fn abandon(&mut self, until: Instant) -> Undo<Cause> {
        let order = wire::new_order(self.request);
        let tried = self
            .upstreams
            .undo_orders(until, async || {
                let body = types::AbandonRequest::builder().create_key(self.keys.create.as_str()).order(order.clone());
                client_common::send(self.orders.internal_order_abandon().body(body).send()).await
            })
            .await;
        let types::Abandoned { outcome, order, .. } = match tried.result {
            Ok(abandoned) => abandoned.into_inner(),
            Err(fault) if fault.has_code(codes::IDEMPOTENCY_KEY_REUSED) => return Undo::Explained(Cause::KeyReused),
            Err(_) => return Undo::Failed,
        };
        self.made = order.as_ref().map(|order| Made { id: order.id, by: MadeBy::Unclear });
        self.gave_up = outcome != AbandonOutcome::Confirmed;
        match outcome {
            AbandonOutcome::NeverCreated => Undo::Nothing,
            AbandonOutcome::Canceled => Undo::Done,
            AbandonOutcome::Confirmed => self.completed_with(order),
        }
    }

    /// Cancels the order as it was made. If it was changed since, that change decides.
    async fn cancel(&mut self, id: i64, until: Instant) -> Undo<Cause> {
        let tried = self
            .upstreams
            .undo_orders(until, async || {
                let cancel = self.orders.order_cancel().id(id);
                let cancel = cancel.if_match(AS_MADE).x_idempotency_key(self.keys.cancel.as_str());
                client_common::send(cancel.send()).await
            })
            .await;
        match tried.result {
            Ok(_) => Undo::Done,
            Err(Fault::Answered { status: 409 | 412, .. }) => self.look(id, until).await,
            Err(_) => Undo::Failed,
        }
    }

    /// Changes nothing: finds out how the order ended, if it did.
    async fn look(&mut self, id: i64, until: Instant) -> Undo<Cause> {
        let view = async || client_common::send(self.orders.order_view().id(id).send()).await;
        let tried = self.upstreams.undo_orders(until, view).await;
        let Ok(order) = tried.result else { return Undo::Failed };
        match order.status {
            OrderStatus::Created => Undo::Failed,
            OrderStatus::Canceled => Undo::Done,
            OrderStatus::Confirmed => self.completed_with(Some(order.into_inner())),
        }
    }

    fn completed_with(&mut self, order: Option<types::Order>) -> Undo<Cause> {
        self.confirmed = order.and_then(wire::confirmed);
        if self.confirmed.is_some() { Undo::Completed } else { Undo::Failed }
    }
}

impl Saga for CreateAndConfirm<'_> {
    type Step = Step;
    type Cause = Cause;

    const STEPS: &'static [Step] = &[Step::Validate, Step::Create, Step::Confirm];

    async fn run(&mut self, step: Step, until: Instant) -> Result<(), Halt<Cause>> {
        match step {
            Step::Validate => self.validate(until).await,
            Step::Create => self.create(until).await,
            Step::Confirm => self.confirm(until).await,
        }
    }

    async fn undo(&mut self, step: Step, until: Instant) -> Undo<Cause> {
        match step {
            Step::Validate if self.customer.is_none() => self.look_up(until).await,
            Step::Create => self.undo_create(until).await,
            // Nothing to take back after asking; and whether the confirmation came through is found out with the order.
            Step::Validate | Step::Confirm => Undo::Nothing,
        }
    }
}

/// Whether this is the order that the request describes; lines of one product count together.
fn is_asked_for(order: &types::Order, request: &orchestrator_api::CreateAndConfirm) -> bool {
    let mut wanted = BTreeMap::<_, i64>::new();
    for item in request.items.as_slice() {
        *wanted.entry(item.product_id.get()).or_default() += item.qty.get();
    }
    let made: BTreeMap<_, _> = order.items.iter().map(|item| (item.product_id, item.qty)).collect();
    order.customer_id == request.customer_id.get() && made == wanted
}

/// A refusal is about the attempt that it answers. An earlier one without an answer may still be on its way, and may
/// find later what this one missed: it is given up. Only what is said of the key itself is about every attempt.
fn create_failed(fault: &OrdersFault, attempts: u32, unsure: bool) -> Halt<Cause> {
    let cause = Cause::of_create(fault);
    let (cause, then) = match cause {
        Cause::InProgress if unsure => (cause, Then::Leave(Undone::Pending)),
        Cause::InProgress => (cause, Then::Leave(Undone::Nothing)),
        Cause::CustomerNotFound | Cause::ProductNotFound(_) | Cause::InsufficientStock(_) if unsure => {
            (cause, Then::UndoThisToo)
        }
        Cause::Unavailable | Cause::TimedOut | Cause::UpstreamAuth | Cause::UpstreamInvalid if unsure => {
            (Cause::CreateUnknown, Then::UndoThisToo)
        }
        _ => (cause, Then::UndoEarlier),
    };
    Halt { attempts, cause, then }
}

/// While somebody else confirms the order under the same key, or after somebody canceled it, there is nothing to take
/// back.
fn confirm_failed(fault: &OrdersFault, attempts: u32, unsure: bool, made_by: MadeBy) -> Halt<Cause> {
    let cause = Cause::of_confirm(fault);
    let (cause, then) = match cause {
        Cause::OrderCanceled if made_by == MadeBy::AnotherRun => (Cause::KeySpent, Then::Leave(Undone::Nothing)),
        Cause::OrderCanceled => (cause, Then::Leave(Undone::Done)),
        Cause::InProgress if !unsure => (cause, Then::Leave(Undone::Nothing)),
        Cause::InProgress => (Cause::NotConfirmed, Then::UndoThisToo),
        _ => (cause, Then::UndoThisToo),
    };
    Halt { attempts, cause, then }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_and_keys_are_told_apart_wherever_one_ends_and_the_other_begins() {
        let keys = |principal, key| Keys::derive(principal, key).create;
        assert_eq!(keys("operator:ann", "1"), keys("operator:ann", "1"));
        assert_ne!(keys("operator:ann", "1"), keys("operator:ann1", ""));
        assert_ne!(keys("operator:ann", "1"), keys("service", "1"));
    }

    #[test]
    fn a_derived_key_fits_the_header() {
        let Keys { create, confirm, cancel } = Keys::derive(&"é".repeat(80), &"\u{1f980}".repeat(255));
        for key in [create, confirm, cancel] {
            assert!(key.len() < 255 && key.is_ascii(), "{key}");
        }
    }
}
