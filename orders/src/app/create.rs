//! Making an order: it takes its stock and fixes its prices, all or nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use common_contract::{CustomerId, IdempotencyKey, Text};
use common_server::Call;
use common_server::auth::{Caller, Operator};
use db::idempotency::KeyClaim;
use orders_api::NewOrder;
use serde::Serialize;
use serde_json::Value;

use super::draft::{Draft, DraftKey, Lines, SCOPE, merged};
use super::once::{Answered, Attempt, Keyed, keyed};
use super::{Orders, OrdersError};
use crate::metrics;
use crate::store::orders;

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
            new: new.clone(),
            lines,
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
        self.customers.check(call, draft.new.customer_id, Self::check_limit(caller)).await?;
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
    keyed(SCOPE, principal, key, &Content::of(new, lines)?)
}

/// The content of a create, as its hash is taken: in the form of the first release, so that its keys stay valid. Fields
/// that were added later count only where they are given.
#[derive(Serialize)]
struct Content<'c>(
    CustomerId,
    &'c Lines,
    Option<i64>,
    Option<&'c str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")] BTreeMap<String, Value>,
);

impl<'c> Content<'c> {
    fn of(new: &'c NewOrder, lines: &'c Lines) -> Result<Self, serde_json::Error> {
        const FIRST: [&str; 4] = ["customer_id", "items", "expected_total_cents", "external_reference"];
        let mut later: BTreeMap<String, Value> = serde_json::from_value(serde_json::to_value(new)?)?;
        later.retain(|name, _| !FIRST.contains(&name.as_str()));
        let reference = new.external_reference.as_ref().map(Text::as_str);
        Ok(Self(new.customer_id, lines, new.expected_total_cents, reference, later))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn content(new: &str) -> String {
        let new: NewOrder = serde_json::from_str(new).unwrap();
        let lines = merged(new.items.as_slice()).unwrap();
        serde_json::to_string(&Content::of(&new, &lines).unwrap()).unwrap()
    }

    #[test]
    fn a_key_of_an_earlier_release_stays_valid() {
        let item = r#"{"product_id":2,"qty":3}"#;
        let least = content(&format!(r#"{{"customer_id":1,"items":[{item},{item}]}}"#));
        assert_eq!(least, r#"[1,{"2":6},null,null]"#);
        let most =
            format!(r#"{{"customer_id":1,"items":[{item}],"expected_total_cents":7,"external_reference":"PO-1"}}"#);
        assert_eq!(content(&most), r#"[1,{"2":3},7,"PO-1"]"#);
    }
}
