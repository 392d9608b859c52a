//! Which orders are made together, and when.
//!
//! A row that everybody wants is locked from the UPDATE of one order to its COMMIT, and the trips between the two are what
//! its orders wait for. So orders that would only wait for each other do so here: those that come while their product is in
//! work are carried out together afterwards, with one COMMIT (`together`). Nobody waits for a row that others have locked but
//! those who want it, and what goes wrong with one of a group is its own affair.

mod queue;

use std::collections::HashSet;
use std::iter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common_contract::{CustomerId, ProductId};
use db::{Connection, Db, DbError};
use futures::StreamExt;
use futures::stream;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::OrdersError;
use super::draft::Draft;
use super::once::Answered;
use super::together::{self, Outcome, Outcomes, Undone};
use crate::store::orders;
use crate::store::products::IfLocked;

use queue::{Hold, Queue, Wants};

type Made = Result<Answered, OrdersError>;

/// Whoever has less time left than this is not begun with: it would end the transaction of all others of its group.
const LEAST: Duration = Duration::from_millis(100);
/// How many orders of a group that failed are tried again at a time. The other connections are for others.
const MAX_ALONE: usize = 4;

/// Makes orders of drafts. A clone has the same queue.
#[derive(Clone)]
pub(crate) struct GroupCommit {
    db: Db,
    /// How long the answer to an idempotency key is kept.
    key_retention: Duration,
    queue: Arc<Mutex<Queue<Waiting>>>,
}

/// A draft, and who waits for what comes of it.
struct Waiting {
    draft: Arc<Draft>,
    /// When they go away.
    until: Instant,
    outcome: oneshot::Sender<Made>,
}

/// Those who were put off, and the products that they wait for.
#[derive(Default)]
struct PutOff {
    waiting: Vec<Waiting>,
    products: HashSet<ProductId>,
}

impl Wants for Waiting {
    fn products(&self) -> impl Iterator<Item = ProductId> {
        self.draft.lines.keys().copied()
    }

    fn key(&self) -> Option<(&str, &str)> {
        self.draft.key()
    }

    fn is_given_up(&self) -> bool {
        self.outcome.is_closed()
    }
}

impl GroupCommit {
    pub(crate) fn new(db: Db, key_retention: Duration) -> Self {
        Self { db, key_retention, queue: Arc::default() }
    }

    /// Makes an order of the draft, together with others that wait by then, and answers once that is committed. Whether it
    /// is made does not depend on the others. Once it has begun it is carried out, also if this future is dropped.
    pub(super) async fn make(&self, draft: Arc<Draft>, until: Instant) -> Made {
        let (outcome, mut told) = oneshot::channel();
        let ticket = self.queue().join(Waiting { draft, until, outcome });
        self.begin();
        let latest = until.checked_sub(LEAST).unwrap_or(until);
        match timeout_at(latest.into(), &mut told).await {
            Ok(outcome) => outcome.unwrap_or(Err(DbError::OutcomeUnknown.into())),
            Err(_) if self.queue().leave(ticket) => {
                // Others may have waited for this one alone.
                self.begin();
                Err(DbError::Timeout.into())
            }
            // It has begun with a limit that is no later: it ends now, or as soon as COMMIT is answered.
            Err(_) => told.await.unwrap_or(Err(DbError::OutcomeUnknown.into())),
        }
    }

    /// Begins every group that can.
    fn begin(&self) {
        while let Some((hold, group)) = self.next_group() {
            let in_work = InWork { groups: self.clone(), hold };
            tokio::spawn(self.clone().carry_out(group, in_work));
        }
    }

    fn next_group(&self) -> Option<(Hold, Vec<Waiting>)> {
        self.queue().next_group()
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Waiting>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes these orders, and tells everybody what came of theirs.
    async fn carry_out(self, group: Vec<Waiting>, mut in_work: InWork) {
        let made = match self.make_together(group, IfLocked::Skip).await {
            Ok(PutOff { waiting, products }) if !waiting.is_empty() => {
                in_work.wait(&waiting, products);
                self.make_together(waiting, IfLocked::Wait).await
            }
            made => made,
        };
        drop(in_work);
        if let Err(each) = made {
            let alone = async |waiting| drop(self.make_together(vec![waiting], IfLocked::Wait).await);
            stream::iter(each).for_each_concurrent(MAX_ALONE, alone).await;
        }
    }

    /// Makes these orders in one transaction. Gives back whoever was put off; or all of them where it failed, as one of them may
    /// be to blame.
    async fn make_together(&self, group: Vec<Waiting>, if_locked: IfLocked) -> Result<PutOff, Vec<Waiting>> {
        match self.create(&group, if_locked).await {
            Ok(outcomes) => Ok(self.tell(group, outcomes)),
            Err(error) if group.len() == 1 => Ok(self.tell(group, [Outcome::Known(Err(error))])),
            Err(error) => match about_all(&error) {
                Some(error) => Ok(self.tell(group, iter::repeat_with(|| Outcome::Known(Err(error()))))),
                None => Err(group),
            },
        }
    }

    async fn create(&self, group: &[Waiting], if_locked: IfLocked) -> Result<Outcomes, OrdersError> {
        let drafts = Vec::from_iter(group.iter().map(|waiting| Arc::clone(&waiting.draft)));
        let until = group.iter().map(|waiting| waiting.until).min();
        let db = until.map_or_else(|| self.db.clone(), |until| self.db.until(until));
        let work = async |connection: &mut Connection| {
            let made = together::create(connection, &drafts, self.key_retention, if_locked).await;
            made.map_err(|undone| if drafts.len() > 1 { undone.at_the_first_lock() } else { undone })
        };
        match (db.transaction(work).await, drafts.as_slice()) {
            (Ok(outcomes) | Err(Undone::Nothing(outcomes)), _) => Ok(outcomes),
            (Err(Undone::Failed(error)), [alone]) => Err(customer_gone(error, alone.new.customer_id)),
            (Err(Undone::Failed(error) | Undone::Blocked(error)), _) => Err(error),
        }
    }

    /// Tells those whose outcome is known, and gives the others back.
    fn tell(&self, group: Vec<Waiting>, outcomes: impl IntoIterator<Item = Outcome>) -> PutOff {
        let mut put_off = PutOff::default();
        for (waiting, outcome) in group.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Known(made) => {
                    if let Ok(answer) = &made {
                        self.tell_followers(&waiting.draft, answer);
                    }
                    waiting.tell(made);
                }
                Outcome::PutOff(products) => {
                    put_off.waiting.push(waiting);
                    put_off.products.extend(products);
                }
            }
        }
        put_off
    }

    /// Tells those who wait with the same key what they would find under it.
    fn tell_followers(&self, draft: &Draft, answer: &Answered) {
        let followers = draft.key().map(|key| self.queue().leave_with(key)).unwrap_or_default();
        for follower in followers {
            let same_request = follower.draft.request_hash() == draft.request_hash();
            follower.tell(if same_request { Ok(answer.again()) } else { Err(OrdersError::KeyReused) });
        }
    }
}

impl Waiting {
    /// They may not be there any more.
    fn tell(self, outcome: Made) {
        let _ = self.outcome.send(outcome);
    }
}

/// The error for each of a group, where it is about no order in particular.
fn about_all(error: &OrdersError) -> Option<impl Fn() -> OrdersError> {
    let reason = match error {
        OrdersError::Database(DbError::OutcomeUnknown) => None,
        OrdersError::Database(DbError::Unavailable { reason }) => Some(reason.clone()),
        _ => return None,
    };
    Some(move || match &reason {
        None => DbError::OutcomeUnknown.into(),
        Some(reason) => DbError::Unavailable { reason: reason.clone() }.into(),
    })
}

/// The customers service knew the customer, but this database does not.
fn customer_gone(error: OrdersError, id: CustomerId) -> OrdersError {
    match error {
        OrdersError::Database(DbError::ForeignKey { constraint }) if constraint == orders::CUSTOMER_EXISTS => {
            OrdersError::CustomerNotFound(id)
        }
        error => error,
    }
}

/// A group that is in work, until it is dropped: then others may begin.
struct InWork {
    groups: GroupCommit,
    hold: Hold,
}

impl InWork {
    /// The rest of the group waits for these products from now on. Others may begin.
    fn wait(&mut self, rest: &[Waiting], products: HashSet<ProductId>) {
        self.groups.queue().wait(&mut self.hold, rest, products);
        self.groups.begin();
    }
}

impl Drop for InWork {
    fn drop(&mut self) {
        self.groups.queue().release(&self.hold);
        self.groups.begin();
    }
}
