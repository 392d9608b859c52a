//! Transaction that creates the orders of a batch. A rejected order changes nothing; the others commit.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDateTime;
use common_contract::{OrderId, ProductId};
use db::clock::inserted_ids;
use db::idempotency::{self, Acquisition};
use db::insert::run_all;
use db::{Connection, DbError, TransactionError};
use orders_api::{Order, OrderItem, OrderStatus};

use super::draft::{Allocation, Draft, Inventory};
use super::queue::Blocker;
use crate::app::idempotent::OrderResponse;
use crate::app::{OrdersError, reason};
use crate::store::events::{self, Event};
use crate::store::ledger::{self, Entry};
use crate::store::orders;
use crate::store::products::{self, LockMode};

/// HTTP status of a response with a new order.
const CREATED: u16 = 201;

/// Outcomes, in the order of the drafts.
pub(super) type Outcomes = Vec<Outcome>;

/// Outcome of a draft.
pub(super) enum Outcome {
    Settled(Result<OrderResponse, OrdersError>),
    /// It needs rows that other transactions have locked.
    Blocked(Blocker),
}

/// Reason why a batch commits nothing.
pub(super) enum Rollback {
    /// No draft became an order.
    Empty(Outcomes),
    /// The transaction failed. A draft may be the cause, but which one is unknown.
    Failed(OrdersError),
    /// Other transactions hold some of the keys.
    KeysHeld,
    /// The rows of these products stayed locked by other transactions.
    ProductsLocked(BTreeSet<ProductId>),
}

impl<E: Into<OrdersError>> From<E> for Rollback {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl TransactionError for Rollback {
    /// Hides a lock timeout, because [`db::Db::transaction`] would retry it while the products stay claimed.
    fn as_db(&self) -> Option<&DbError> {
        match self {
            Self::Empty(_) | Self::KeysHeld | Self::ProductsLocked(_) => None,
            Self::Failed(error) => error.as_db().filter(|error| !matches!(error, DbError::LockTimeout)),
        }
    }
}

/// A draft and the state of its creation.
struct Candidate<'d> {
    draft: &'d Draft,
    state: State,
}

enum State {
    /// It has no key, or no response is stored under its key.
    New,
    Stored(Result<OrderResponse, OrdersError>),
    Rejected(OrdersError),
    Locked(BTreeSet<ProductId>),
    Allocated(Allocation),
    Created(Order, OrderResponse),
}

/// Creates orders from drafts. No two of the drafts may have the same key. Waits for the rows of `blocker` only: fails
/// at once if another transaction holds another key, and skips the drafts that need other locked products.
///
/// Locks are taken in the order keys, products, orders. Inserting an item takes a shared lock on its product's row
/// (foreign key); if two transactions held one and then updated the row, they would deadlock.
pub(super) async fn create(
    connection: &mut Connection,
    drafts: &[Arc<Draft>],
    retention: Duration,
    blocker: Option<&Blocker>,
) -> Result<Outcomes, Rollback> {
    let mut candidates = acquire_keys(connection, drafts, retention, blocker).await?;
    let (inventory, now) = allocate(connection, &mut candidates, blocker).await?;
    if !candidates.iter().any(|candidate| matches!(candidate.state, State::Allocated(_))) {
        return Err(Rollback::Empty(outcomes(candidates)));
    }
    insert(connection, &inventory, &mut candidates, now).await?;
    record(connection, &candidates).await?;
    release_keys(connection, &candidates).await?;
    Ok(outcomes(candidates))
}

fn outcomes(candidates: Vec<Candidate<'_>>) -> Outcomes {
    let outcome = |candidate: Candidate<'_>| match candidate.state {
        State::Stored(result) => Outcome::Settled(result),
        State::Rejected(error) => Outcome::Settled(Err(error)),
        State::Locked(products) => Outcome::Blocked(Blocker::Products(products)),
        State::Created(_, response) => Outcome::Settled(Ok(response)),
        // No candidate ends in these states.
        State::New | State::Allocated(_) => Outcome::Settled(Err(DbError::OutcomeUnknown.into())),
    };
    candidates.into_iter().map(outcome).collect()
}

async fn acquire_keys<'d>(
    connection: &mut Connection,
    drafts: &'d [Arc<Draft>],
    retention: Duration,
    blocker: Option<&Blocker>,
) -> Result<Vec<Candidate<'d>>, Rollback> {
    let keys = Vec::from_iter(drafts.iter().filter_map(|draft| draft.request_key()));
    let acquired = match (blocker, keys.as_slice()) {
        (Some(Blocker::Key), [(key, nonce)]) => {
            vec![idempotency::acquire(connection, key, nonce, retention).await?]
        }
        _ => match idempotency::acquire_all(connection, &keys, retention).await {
            Err(DbError::LockTimeout) => return Err(Rollback::KeysHeld),
            acquired => acquired?,
        },
    };
    let mut acquired = acquired.into_iter();
    let candidate = |draft: &'d Arc<Draft>| match draft.request_key().and_then(|_| acquired.next()) {
        Some(Acquisition::Found(outcome)) => {
            Candidate { draft, state: State::Stored(OrderResponse::from_stored(outcome)) }
        }
        Some(Acquisition::Acquired) | None => Candidate { draft, state: State::New },
    };
    Ok(drafts.iter().map(candidate).collect())
}

/// Locks the products of the new candidates, and allocates stock in the order of the candidates.
async fn allocate(
    connection: &mut Connection,
    candidates: &mut [Candidate<'_>],
    blocker: Option<&Blocker>,
) -> Result<(Inventory, NaiveDateTime), Rollback> {
    let new = Vec::from_iter(candidates.iter_mut().filter(|candidate| matches!(candidate.state, State::New)));
    let wanted: BTreeSet<_> = new.iter().flat_map(|candidate| candidate.draft.lines.keys().copied()).collect();
    let (mut products, mut now) = (Vec::new(), NaiveDateTime::default());
    // The awaited rows first, so that the wait holds no other product. Out of order, but the others are not waited for.
    let is_awaited = |id: &ProductId| matches!(blocker, Some(Blocker::Products(awaited)) if awaited.contains(id));
    let (awaited, others): (Vec<_>, Vec<_>) = wanted.into_iter().partition(is_awaited);
    for (ids, lock_mode) in [(awaited, LockMode::Wait), (others, LockMode::SkipLocked)] {
        if !ids.is_empty() {
            let (locked, at) = match products::lock_all(connection, &ids, lock_mode).await {
                Err(DbError::LockTimeout) if lock_mode == LockMode::Wait => {
                    return Err(Rollback::ProductsLocked(ids.into_iter().collect()));
                }
                locked => locked?,
            };
            products.extend(locked);
            now = now.max(at);
        }
    }
    let mut inventory = Inventory::new(products);
    for candidate in new {
        candidate.state = match inventory.allocate(candidate.draft) {
            Ok(allocation) => State::Allocated(allocation),
            Err(OrdersError::ProductsNotFound(skipped)) => locked_or_missing(connection, skipped).await?,
            Err(error) => State::Rejected(error),
        };
    }
    Ok((inventory, now))
}

/// Distinguishes locked rows from missing ones. SKIP LOCKED omits both, so this reads the rows without a lock.
async fn locked_or_missing(connection: &mut Connection, skipped: Vec<ProductId>) -> Result<State, DbError> {
    let ids = skipped.iter().copied().map(ProductId::get).collect();
    let found: BTreeSet<_> = products::find_all(connection, ids).await?.into_iter().map(|(id, _)| id).collect();
    let missing = Vec::from_iter(skipped.iter().copied().filter(|id| !found.contains(&id.get())));
    Ok(if missing.is_empty() {
        State::Locked(skipped.into_iter().collect())
    } else {
        State::Rejected(OrdersError::ProductsNotFound(missing))
    })
}

/// Deducts the allocated stock and stores the orders.
async fn insert(
    connection: &mut Connection,
    inventory: &Inventory,
    candidates: &mut [Candidate<'_>],
    now: NaiveDateTime,
) -> Result<(), Rollback> {
    let mut rows = Vec::new();
    for Candidate { draft, state } in &*candidates {
        if let State::Allocated(allocation) = state {
            rows.push(draft.row(allocation, now));
        }
    }
    let count = rows.len();
    let deductions = inventory.deductions().iter();
    let deductions = deductions.map(|(id, deduction)| products::change_stock(*id, -deduction.qty, deduction.orders));
    let statements = Vec::from_iter(deductions.chain([orders::insert(rows).to_string()]));
    run_all(connection, &statements).await?;
    let mut ids = inserted_ids(connection, count).await?.map(OrderId::stored);
    for candidate in candidates {
        if let State::Allocated(allocation) = &candidate.state
            && let Some(id) = ids.next()
        {
            let order = candidate.draft.order(id, allocation, now);
            let response = OrderResponse::new(&order)?;
            candidate.state = State::Created(order, response);
        }
    }
    Ok(())
}

fn created<'c>(candidates: &'c [Candidate<'_>]) -> impl Iterator<Item = (&'c Draft, &'c Order, &'c OrderResponse)> {
    candidates.iter().filter_map(|Candidate { draft, state }| match state {
        State::Created(order, response) => Some((*draft, order, response)),
        _ => None,
    })
}

/// Stores the items, the ledger entries, the events, and the responses under their keys.
async fn record(connection: &mut Connection, candidates: &[Candidate<'_>]) -> Result<(), DbError> {
    let items = created(candidates).flat_map(|(_, order, _)| order.items.iter().map(|item| (order.id, item)));
    let entries = created(candidates)
        .flat_map(|(draft, order, _)| order.items.iter().map(|item| ledger_entry(draft, order, item)));
    let events = created(candidates).map(|(draft, order, _)| Event {
        order_id: order.id,
        from: None,
        to: OrderStatus::Created,
        principal: &draft.principal,
        correlation_id: &draft.correlation_id,
        at: order.terms.created_at.naive_utc(),
    });
    let responses = created(candidates)
        .filter_map(|(draft, _, response)| Some((draft.request_key()?.0, response.to_stored(CREATED))));
    let statements = [
        orders::insert_items(items),
        ledger::append(entries),
        events::append(events),
        idempotency::completion(responses),
    ];
    run_all(connection, &statements).await
}

fn ledger_entry<'d>(draft: &'d Draft, order: &Order, item: &OrderItem) -> Entry<'d> {
    Entry {
        product_id: item.product_id,
        delta: -item.qty,
        reason: reason::ORDER,
        reference: None,
        order_id: Some(order.id),
        principal: &draft.principal,
    }
}

/// Releases the keys of rejected orders and of those with locked products, so that a retry is evaluated anew.
async fn release_keys(connection: &mut Connection, candidates: &[Candidate<'_>]) -> Result<(), DbError> {
    let has_no_order = |candidate: &&Candidate<'_>| matches!(candidate.state, State::Rejected(_) | State::Locked(_));
    let keys = candidates.iter().filter(has_no_order).filter_map(|candidate| Some(candidate.draft.request_key()?.0));
    idempotency::release(connection, &Vec::from_iter(keys)).await
}
