//! Creation of orders. An order allocates all of its stock at the current prices, or it is not created.
//!
//! Each request becomes a `draft`. The dispatcher queues the drafts (`queue`) and creates the orders of a `batch` in
//! one transaction.

mod batch;
mod dispatch;
mod draft;
mod queue;

use std::collections::BTreeMap;
use std::sync::Arc;

use common_contract::{CustomerId, IdempotencyKey, Text};
use common_server::Call;
use common_server::auth::{Caller, Operator};
use db::idempotency::RequestKey;
use orders_api::OrderInput;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::idempotent::{KeyedRequest, OrderResponse};
use super::{Orders, OrdersError};
use crate::metrics;
use crate::store::orders;

pub(crate) use dispatch::Dispatcher;
use draft::{Draft, DraftKey, Lines, SCOPE, merge_lines};

impl Orders {
    /// Creates an order. With a key, a retry gets the stored response.
    pub(crate) async fn create(
        &self,
        call: &Call,
        caller: &Caller<Operator>,
        key: Option<&IdempotencyKey>,
        new: &OrderInput,
    ) -> Result<OrderResponse, OrdersError> {
        let principal = caller.principal();
        let mut draft = self.draft(call, caller, new)?;
        let Some(key) = key else {
            return match caller {
                Caller::User(_) => self.check_and_create(call, caller, None, draft).await,
                Caller::Service(_) => Err(OrdersError::key_required()),
            };
        };
        let request = keyed_request(&principal, key, new)?;
        draft.key = Some(DraftKey::new(&request));
        let outcome = self.create_once(call, caller, &request, draft).await;
        metrics::count_keyed_request(SCOPE, &outcome);
        outcome
    }

    fn draft(&self, call: &Call, caller: &Caller<Operator>, new: &OrderInput) -> Result<Draft, OrdersError> {
        let reservation = match caller {
            Caller::Service(_) => Some(self.reservation),
            Caller::User(_) => None,
        };
        Ok(Draft {
            lines: merge_lines(new.items.as_slice())?,
            new: new.clone(),
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
            // The key's row may have expired although its order exists. Then that order is the response, regardless of
            // the refusal.
            Err(refused) if !is_undecided(&refused) => self.find_created(request).await?.ok_or(refused),
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
        self.customers.check(call, draft.new.customer_id, Self::customer_check_limit(caller)).await?;
        let draft = Arc::new(draft);
        let attempt = || self.dispatcher.create(Arc::clone(&draft), self.db.run_deadline());
        self.resolve_ambiguous(request, attempt).await
    }

    /// Returns the response to an earlier request with this key. If the stored one has expired, rebuilds it from the
    /// order's current state.
    async fn find_created(&self, request: &KeyedRequest<'_>) -> Result<Option<OrderResponse>, OrdersError> {
        if let Some(response) = self.find_stored(request).await? {
            return Ok(Some(response));
        }
        let RequestKey { principal, key, request_hash, .. } = request.key;
        let found = self.db.run(async |connection| orders::find_by_create_key(connection, principal, key).await);
        match found.await? {
            None => Ok(None),
            Some((order, hash)) if hash.as_deref() == Some(&request_hash) => Ok(Some(OrderResponse::rebuild(&order)?)),
            Some(_) => Err(OrdersError::KeyReused),
        }
    }
}

/// Returns whether a database error leaves the request undecided. A violation of the create key is a decision: the
/// order exists.
fn is_undecided(error: &OrdersError) -> bool {
    matches!(error, OrdersError::Database(error) if !error.is_unique(orders::UNIQUE_CREATE_KEY))
}

/// Builds the keyed request of a principal to create an order.
pub(super) fn keyed_request<'k>(
    principal: &'k str,
    key: &'k IdempotencyKey,
    new: &OrderInput,
) -> Result<KeyedRequest<'k>, OrdersError> {
    Ok(KeyedRequest::new(SCOPE, principal, key, &HashedContent::new(new)?)?)
}

/// Hashed content of a create, in the lowest version that can express the request. The layout of a version never
/// changes, so that the keys of earlier releases stay valid.
#[derive(Serialize)]
#[serde(untagged)]
enum HashedContent<'c> {
    V1(ContentV1<'c>),
    V2 { version: u8, v1: ContentV1<'c>, later: LaterFields },
}

/// Content of version 1. An optional field that the request omits is null.
#[derive(Serialize)]
struct ContentV1<'c>(CustomerId, Lines, Option<i64>, Option<&'c str>);

/// Fields that version 1 does not cover, where the request contains any.
#[derive(Serialize, Deserialize)]
struct LaterFields {
    /// All items with all their fields, if an item has a later field.
    items: Vec<BTreeMap<String, Value>>,
    #[serde(flatten)]
    order: BTreeMap<String, Value>,
}

impl<'c> HashedContent<'c> {
    fn new(new: &'c OrderInput) -> Result<Self, OrdersError> {
        let reference = new.external_reference.as_ref().map(Text::as_str);
        let lines = merge_lines(new.items.as_slice())?;
        let v1 = ContentV1(new.customer_id, lines, new.expected_total_cents, reference);
        Ok(Self::of(v1, LaterFields::of(serde_json::to_value(new)?)?))
    }

    fn of(v1: ContentV1<'c>, later: LaterFields) -> Self {
        let LaterFields { items, order } = &later;
        if items.is_empty() && order.is_empty() { Self::V1(v1) } else { Self::V2 { version: 2, v1, later } }
    }
}

impl LaterFields {
    fn of(order: Value) -> serde_json::Result<Self> {
        const ORDER_V1: [&str; 3] = ["customer_id", "expected_total_cents", "external_reference"];
        const ITEM_V1: [&str; 2] = ["product_id", "qty"];
        let mut fields: Self = serde_json::from_value(order)?;
        fields.order.retain(|name, _| !ORDER_V1.contains(&name.as_str()));
        if fields.items.iter().flat_map(BTreeMap::keys).all(|name| ITEM_V1.contains(&name.as_str())) {
            fields.items.clear();
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn content(new: Value) -> String {
        let new: OrderInput = serde_json::from_value(new).unwrap();
        serde_json::to_string(&HashedContent::new(&new).unwrap()).unwrap()
    }

    #[test]
    fn a_request_of_the_first_release_is_hashed_in_version_1() {
        let item = json!({ "product_id": 2, "qty": 3 });
        assert_eq!(content(json!({ "customer_id": 1, "items": [item, item] })), r#"[1,{"2":6},null,null]"#);
        let full = json!({
            "customer_id": 1, "items": [item], "expected_total_cents": 7, "external_reference": "PO-1"
        });
        assert_eq!(content(full), r#"[1,{"2":3},7,"PO-1"]"#);
    }

    #[test]
    fn later_fields_of_the_order_and_its_items_are_hashed_in_version_2() {
        let content = |order: Value| {
            let v1 = ContentV1(CustomerId::stored(1), Lines::new(), None, None);
            serde_json::to_string(&HashedContent::of(v1, LaterFields::of(order).unwrap())).unwrap()
        };
        let item = json!({ "product_id": 2, "qty": 3 });
        assert_eq!(content(json!({ "customer_id": 1, "items": [item] })), "[1,{},null,null]");
        assert_eq!(
            content(json!({ "customer_id": 1, "items": [item], "note": "n" })),
            r#"{"version":2,"v1":[1,{},null,null],"later":{"items":[],"note":"n"}}"#
        );
        assert_eq!(
            content(json!({ "customer_id": 1, "items": [item, { "product_id": 3, "qty": 1, "note": "n" }] })),
            r#"{"version":2,"v1":[1,{},null,null],"later":{"items":[{"product_id":2,"qty":3},{"note":"n","product_id":3,"qty":1}]}}"#
        );
    }
}
