//! Several orders in one transaction, each of which stands or falls alone: what is refused leaves nothing behind, and what
//! is not commits with the others.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDateTime;
use common_contract::{OrderId, ProductId};
use db::clock::inserted_ids;
use db::idempotency::{self, Claim};
use db::insert::run_all;
use db::{Connection, DbError, TransactionError};
use orders_api::{Order, OrderItem, OrderStatus};

use super::draft::{Draft, Sale, Shelf};
use super::once::Answered;
use super::{OrdersError, reason};
use crate::store::events::{self, Event};
use crate::store::ledger::{self, Entry};
use crate::store::orders;
use crate::store::products::{self, IfLocked};

/// Under which HTTP status a new order is answered.
const CREATED: u16 = 201;

/// What came of each draft, in their order.
pub(super) type Outcomes = Vec<Outcome>;

pub(super) enum Outcome {
    Known(Result<Answered, OrdersError>),
    /// These of its products are not there, or somebody else has locked them.
    PutOff(Vec<ProductId>),
}

/// Why nothing was committed.
pub(super) enum Undone {
    /// There was nothing to commit: every draft was refused or put off, or had been carried out before.
    Nothing(Outcomes),
    /// The transaction failed. Which of the drafts is to blame, if any is, nobody knows.
    Failed(OrdersError),
    /// Somebody else has locked a row that one of the drafts needs, and the others do not wait for it a second time.
    Blocked(OrdersError),
}

impl Undone {
    /// Not to be tried again where a lock was not to be had.
    pub(super) fn at_the_first_lock(self) -> Self {
        match self {
            Self::Failed(error) if matches!(error.as_db(), Some(DbError::LockTimeout)) => Self::Blocked(error),
            undone => undone,
        }
    }
}

impl From<DbError> for Undone {
    fn from(error: DbError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<serde_json::Error> for Undone {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl TransactionError for Undone {
    fn as_db(&self) -> Option<&DbError> {
        match self {
            Self::Nothing(_) | Self::Blocked(_) => None,
            Self::Failed(error) => error.as_db(),
        }
    }
}

/// A draft, and how far it has come.
struct Case<'d> {
    draft: &'d Draft,
    state: State,
}

enum State {
    /// Nobody was here before, as far as its key tells.
    Open,
    /// Its key tells the outcome.
    Found(Result<Answered, OrdersError>),
    Refused(OrdersError),
    PutOff(Vec<ProductId>),
    Sold(Sale),
    Made(Order, Answered),
}

/// Makes orders of the drafts, no two of which have one key. Where locked products are skipped, those who want them are put off.
///
/// The keys first, then the stock, then the orders: inserting an item locks its product's row for reading, and two
/// transactions that then both want to write to it would be a deadlock.
pub(super) async fn create(
    connection: &mut Connection,
    drafts: &[Arc<Draft>],
    retention: Duration,
    if_locked: IfLocked,
) -> Result<Outcomes, Undone> {
    let mut cases = claim(connection, drafts, retention).await?;
    let (shelf, now) = sell(connection, &mut cases, if_locked).await?;
    if !cases.iter().any(|case| matches!(case.state, State::Sold(_))) {
        return Err(Undone::Nothing(outcomes(cases)));
    }
    insert(connection, &shelf, &mut cases, now).await?;
    record(connection, &cases).await?;
    give_keys_back(connection, &cases).await?;
    Ok(outcomes(cases))
}

fn outcomes(cases: Vec<Case<'_>>) -> Outcomes {
    let outcome = |case: Case<'_>| match case.state {
        State::Found(outcome) => Outcome::Known(outcome),
        State::Refused(error) => Outcome::Known(Err(error)),
        State::PutOff(products) => Outcome::PutOff(products),
        State::Made(_, answer) => Outcome::Known(Ok(answer)),
        // Nothing is left like this.
        State::Open | State::Sold(_) => Outcome::Known(Err(DbError::OutcomeUnknown.into())),
    };
    cases.into_iter().map(outcome).collect()
}

async fn claim<'d>(
    connection: &mut Connection,
    drafts: &'d [Arc<Draft>],
    retention: Duration,
) -> Result<Vec<Case<'d>>, DbError> {
    let claims = Vec::from_iter(drafts.iter().filter_map(|draft| draft.claim()));
    let mut claimed = idempotency::claim_all(connection, &claims, retention).await?.into_iter();
    let case = |draft: &'d Arc<Draft>| match draft.claim().and_then(|_| claimed.next()) {
        Some(Claim::Found(found)) => Case { draft, state: State::Found(Answered::found(found)) },
        Some(Claim::Won) | None => Case { draft, state: State::Open },
    };
    Ok(drafts.iter().map(case).collect())
}

/// Locks the products that open cases want, and sells what there is, in the order of the cases.
async fn sell(
    connection: &mut Connection,
    cases: &mut [Case<'_>],
    if_locked: IfLocked,
) -> Result<(Shelf, NaiveDateTime), DbError> {
    let open = Vec::from_iter(cases.iter_mut().filter(|case| matches!(case.state, State::Open)));
    let wanted: BTreeSet<_> = open.iter().flat_map(|case| case.draft.lines.keys().copied()).collect();
    let (products, now) = products::lock_all(connection, &Vec::from_iter(wanted), if_locked).await?;
    let mut shelf = Shelf::of(products);
    for case in open {
        case.state = match shelf.sell(case.draft) {
            Ok(sale) => State::Sold(sale),
            Err(OrdersError::ProductsNotFound(missing)) if if_locked == IfLocked::Skip => State::PutOff(missing),
            Err(error) => State::Refused(error),
        };
    }
    Ok((shelf, now))
}

/// Takes what was sold off the shelf, and stores the orders.
async fn insert(
    connection: &mut Connection,
    shelf: &Shelf,
    cases: &mut [Case<'_>],
    now: NaiveDateTime,
) -> Result<(), Undone> {
    let mut rows = Vec::new();
    for Case { draft, state } in &*cases {
        if let State::Sold(sale) = state {
            rows.push(draft.row(sale, now));
        }
    }
    let count = rows.len();
    let taken = shelf.taken().iter().map(|(id, taken)| products::stock_taken(*id, taken.qty, taken.orders));
    let statements = Vec::from_iter(taken.chain([orders::inserted(rows).to_string()]));
    run_all(connection, &statements).await?;
    let mut ids = inserted_ids(connection, count).await?.map(OrderId::stored);
    for case in cases {
        if let State::Sold(sale) = &case.state
            && let Some(id) = ids.next()
        {
            let order = case.draft.order(id, sale, now);
            let answer = Answered::first(&order)?;
            case.state = State::Made(order, answer);
        }
    }
    Ok(())
}

fn made<'c>(cases: &'c [Case<'_>]) -> impl Iterator<Item = (&'c Draft, &'c Order, &'c Answered)> {
    cases.iter().filter_map(|Case { draft, state }| match state {
        State::Made(order, answer) => Some((*draft, order, answer)),
        _ => None,
    })
}

/// Stores what the orders consist of, what was taken in the ledger, the creations in the orders' events, and the answers
/// with their keys.
async fn record(connection: &mut Connection, cases: &[Case<'_>]) -> Result<(), DbError> {
    let items = made(cases).flat_map(|(_, order, _)| order.items.iter().map(|item| (order.id, item)));
    let taken = made(cases).flat_map(|(draft, order, _)| order.items.iter().map(|item| taken(draft, order, item)));
    let created = made(cases).map(|(draft, order, _)| Event {
        order_id: order.id,
        from: None,
        to: OrderStatus::Created,
        principal: &draft.principal,
        correlation_id: &draft.correlation_id,
        at: order.terms.created_at.naive_utc(),
    });
    let kept = made(cases).filter_map(|(draft, _, answer)| Some((draft.claim()?.0, answer.kept_as(CREATED))));
    let statements = [
        orders::inserted_items(items),
        ledger::appended(taken),
        events::appended(created),
        idempotency::completion(kept),
    ];
    run_all(connection, &statements).await
}

fn taken<'d>(draft: &'d Draft, order: &Order, item: &OrderItem) -> Entry<'d> {
    Entry {
        product_id: item.product_id,
        delta: -item.qty,
        reason: reason::ORDER,
        reference: None,
        order_id: Some(order.id),
        principal: &draft.principal,
    }
}

/// What was not made is judged anew when it comes back.
async fn give_keys_back(connection: &mut Connection, cases: &[Case<'_>]) -> Result<(), DbError> {
    let unmade = cases.iter().filter(|case| matches!(case.state, State::Refused(_) | State::PutOff(_)));
    let unmade = Vec::from_iter(unmade.filter_map(|case| Some(case.draft.claim()?.0)));
    idempotency::give_back(connection, &unmade).await
}
