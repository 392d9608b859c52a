//! Idempotency keys: a request that is sent twice has one effect and one response.
//!
//! The row of a key is committed in the same transaction as the work and its response, so other connections never see a
//! row in progress, and a crash leaves no row behind. To execute a request:
//!
//! 1. Call [`StoredResponses::find`] outside a transaction. If a response is stored, replay it.
//! 2. Otherwise, run [`acquire`], the work and [`completion`] in one transaction.
//!
//! Locks are acquired in this order: key, order, products. The services determine which data is hashed and stored.

mod held;
mod rows;

use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel_async::{AsyncMysqlConnection, RunQueryDsl};
use futures::FutureExt;

use crate::batch_loader::BatchLoader;
use crate::error::DbError;
use crate::insert::{Insert, Value, run_all};
use crate::pool::Db;
use crate::schema::idempotency_keys as keys;

pub use held::held_by_others;
use rows::{PrimaryKey, Row, load_all, load_unexpired};

/// Number of rows that [`reap`] deletes per transaction.
const REAP_BATCH: usize = 1000;

/// Idempotency key with the identity of its request.
#[derive(Clone, Copy, Debug)]
pub struct RequestKey<'a> {
    /// Operation. Keys are distinct per operation. At most 64 ASCII characters.
    pub scope: &'static str,
    /// Caller. Keys are distinct per caller. At most 100 characters.
    pub principal: &'a str,
    /// Key as sent by the caller: 1 to 255 visible ASCII characters, case-sensitive.
    pub key: &'a str,
    /// Hash of the parsed request. The same key with a different hash is rejected.
    pub request_hash: [u8; 32],
}

/// Random id that distinguishes a request from others with the same key. Constant across retries of its transaction.
pub type Nonce = [u8; 16];

/// Outcome of an earlier request with the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredOutcome {
    /// The earlier request succeeded with this response.
    Response {
        /// HTTP status.
        status: u16,
        /// Body, byte for byte.
        body: Vec<u8>,
        /// Id of the created or changed object.
        target_id: Option<i64>,
        /// Whether this request itself stored the response, in an attempt whose COMMIT succeeded but was not
        /// acknowledged.
        by_this_request: bool,
    },
    /// The key was used for a different request.
    Reused,
    /// The caller abandoned the request; it is rejected if it arrives late.
    Abandoned,
}

/// Outcome of [`acquire`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquisition {
    /// This transaction holds the key: execute the work, then run [`completion`].
    Acquired,
    /// An earlier request used the key.
    Found(StoredOutcome),
}

/// Outcome of [`abandon`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// No request with the key was executed, and none will be.
    Tombstone,
    /// The key was used or abandoned for a different request, so this request will never be executed.
    Reused,
    /// The request was completed, and its response remains stored. The caller decides whether to compensate.
    Completed {
        /// Id of the created or changed object.
        target_id: Option<i64>,
    },
}

/// Lookup of stored responses by key. Clones share a batch loader.
#[derive(Clone)]
pub struct StoredResponses(BatchLoader<PrimaryKey, Row>);

impl StoredResponses {
    /// Creates a lookup for this database.
    pub fn new(db: Db) -> Self {
        Self(BatchLoader::new(db, |connection, primary_keys| load_unexpired(connection, primary_keys).boxed()))
    }

    /// Returns this lookup with a caller's deadline, like [`Db::until`].
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self(self.0.until(deadline))
    }

    /// Returns the stored outcome for a key, without locking. `nonce` identifies the request. Ignores expired rows.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`Db::run`].
    pub async fn find(&self, request: &RequestKey<'_>, nonce: &Nonce) -> Result<Option<StoredOutcome>, DbError> {
        let row = self.0.load_one(PrimaryKey::of(request)).await?;
        row.map(|row| row.outcome(request, nonce)).transpose()
    }
}

/// Acquires a key in the transaction on `connection`, or returns the outcome of an earlier request. `nonce` identifies
/// this request. The row stays locked until the transaction ends. An expired row is replaced. The response is retained
/// for `retention` from now.
///
/// # Errors
///
/// Returns `KeyInProgress` if another transaction holds the key for more than a second, or any other [`DbError`].
pub async fn acquire(
    connection: &mut AsyncMysqlConnection,
    request: &RequestKey<'_>,
    nonce: &Nonce,
    retention: Duration,
) -> Result<Acquisition, DbError> {
    let requests = [(*request, *nonce)];
    insertion(&requests, IN_PROGRESS, retention).run(connection).await.map_err(lock_timeout_as_in_progress)?;
    acquisitions(connection, &requests).await?.into_iter().next().ok_or_else(not_found)
}

/// Acquires the keys of several requests and returns the outcomes in order. The keys must be distinct. Does not wait
/// for keys that other transactions hold.
///
/// # Errors
///
/// `LockTimeout` if another transaction holds one of the keys: at once, or after a second if both acquire it at the
/// same time. Roll back; [`held_by_others`] then returns these keys. Any other [`DbError`].
pub async fn acquire_all(
    connection: &mut AsyncMysqlConnection,
    requests: &[(RequestKey<'_>, Nonce)],
    retention: Duration,
) -> Result<Vec<Acquisition>, DbError> {
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let statements = [held::lock_without_waiting(requests), insertion(requests, IN_PROGRESS, retention).to_string()];
    run_all(connection, &statements).await?;
    acquisitions(connection, requests).await
}

/// Returns the outcomes for requests whose rows were inserted unless they existed, in order.
async fn acquisitions(
    connection: &mut AsyncMysqlConnection,
    requests: &[(RequestKey<'_>, Nonce)],
) -> Result<Vec<Acquisition>, DbError> {
    let rows = load_all(connection, requests).await?;
    let acquisition = |((request, nonce), row): (&(RequestKey<'_>, Nonce), Row)| {
        // Also check the status, because an earlier attempt of this request may have been committed without
        // acknowledgement.
        let is_acquired = row.nonce == nonce && row.status == IN_PROGRESS;
        if is_acquired { Ok(Acquisition::Acquired) } else { row.outcome(request, nonce).map(Acquisition::Found) }
    };
    requests.iter().zip(rows).map(acquisition).collect()
}

/// Releases keys acquired by this transaction, as if they had never been used.
///
/// # Errors
///
/// Returns any [`DbError`] that a write can cause.
pub async fn release(connection: &mut AsyncMysqlConnection, requests: &[RequestKey<'_>]) -> Result<(), DbError> {
    if requests.is_empty() {
        return Ok(());
    }
    let mut delete = diesel::delete(keys::table).into_boxed();
    for RequestKey { scope, principal, key, .. } in requests {
        delete = delete.or_filter(keys::scope.eq(scope).and(keys::principal.eq(principal)).and(keys::key.eq(key)));
    }
    delete.execute(connection).await?;
    Ok(())
}

/// Response to store for a key.
#[derive(Clone, Copy, Debug)]
pub struct ResponseToStore<'a> {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: &'a [u8],
    /// Type of the created or changed object. At most 20 characters.
    pub target_type: &'static str,
    /// Id of the created or changed object.
    pub target_id: i64,
}

/// Returns the statement that stores responses for keys acquired by this transaction. The rows of these keys exist and
/// are locked, so each insert becomes an update. For any other key, the inserted row expires immediately, so it has no
/// effect.
pub fn completion<'a>(responses: impl IntoIterator<Item = (RequestKey<'a>, ResponseToStore<'a>)>) -> Insert {
    let mut insert = Insert::into(
        "idempotency_keys (scope, principal, `key`, nonce, request_hash, created_at, expires_at, \
         status, target_type, target_id, response_status, response_body)",
    );
    for (request, response) in responses {
        let RequestKey { scope, principal, key, request_hash } = request;
        insert.row(&[
            scope.into(),
            principal.into(),
            key.into(),
            [].as_slice().into(),
            request_hash.as_slice().into(),
            Value::FromNow(Duration::ZERO),
            Value::FromNow(Duration::ZERO),
            COMPLETED.into(),
            response.target_type.into(),
            response.target_id.into(),
            i64::from(response.status).into(),
            response.body.into(),
        ]);
    }
    insert.ending_with(STORE_RESPONSE)
}

/// Abandons a request, so that it is rejected if it arrives later. Call this function in a transaction. Keys that are
/// completed or were used for a different request remain unchanged.
///
/// # Errors
///
/// Returns `KeyInProgress` if a request with the key is in flight and does not end within a second, or any other
/// [`DbError`].
pub async fn abandon(
    connection: &mut AsyncMysqlConnection,
    request: &RequestKey<'_>,
    retention: Duration,
) -> Result<Abandoned, DbError> {
    let requests = [(*request, rand::random())];
    insertion(&requests, ABANDONED, retention).run(connection).await.map_err(lock_timeout_as_in_progress)?;
    let row = load_all(connection, &requests).await?.into_iter().next().ok_or_else(not_found)?;
    match row.status.as_str() {
        _ if row.request_hash != request.request_hash => Ok(Abandoned::Reused),
        COMPLETED => Ok(Abandoned::Completed { target_id: row.target_id }),
        ABANDONED => Ok(Abandoned::Tombstone),
        _ => Err(DbError::KeyInProgress),
    }
}

/// Deletes expired rows in batches of 1000 and returns their number. All reads ignore expired rows, so deleting them
/// only frees space.
///
/// # Errors
///
/// Returns any [`DbError`]. Earlier batches remain deleted.
pub async fn reap(db: &Db) -> Result<usize, DbError> {
    let mut total = 0;
    loop {
        let deleted = db.transaction(async |connection| reap_batch(connection).await).await?;
        total += deleted;
        if deleted < REAP_BATCH {
            return Ok(total);
        }
    }
}

async fn reap_batch(connection: &mut AsyncMysqlConnection) -> Result<usize, DbError> {
    let delete = "DELETE FROM idempotency_keys WHERE expires_at <= UTC_TIMESTAMP(6) ORDER BY expires_at LIMIT";
    Ok(diesel::sql_query(format!("{delete} {REAP_BATCH}")).execute(connection).await?)
}

const IN_PROGRESS: &str = "in_progress";
const COMPLETED: &str = "completed";
const ABANDONED: &str = "abandoned";

const ACQUIRE_COLUMNS: &str =
    "idempotency_keys (scope, principal, `key`, nonce, request_hash, status, created_at, expires_at)";

/// Inserts the row, replaces an expired row, or leaves an unexpired row unchanged. `expires_at` is assigned last,
/// because assignments are evaluated from left to right, and all of them must see its old value.
///
/// The affected-rows count does not distinguish the three cases; the nonce does.
const REPLACE_IF_EXPIRED: &str = " \
ON DUPLICATE KEY UPDATE \
nonce = IF(expires_at <= UTC_TIMESTAMP(6), VALUES(nonce), nonce), \
request_hash = IF(expires_at <= UTC_TIMESTAMP(6), VALUES(request_hash), request_hash), \
status = IF(expires_at <= UTC_TIMESTAMP(6), VALUES(status), status), \
target_type = IF(expires_at <= UTC_TIMESTAMP(6), NULL, target_type), \
target_id = IF(expires_at <= UTC_TIMESTAMP(6), NULL, target_id), \
response_status = IF(expires_at <= UTC_TIMESTAMP(6), NULL, response_status), \
response_body = IF(expires_at <= UTC_TIMESTAMP(6), NULL, response_body), \
created_at = IF(expires_at <= UTC_TIMESTAMP(6), VALUES(created_at), created_at), \
expires_at = IF(expires_at <= UTC_TIMESTAMP(6), VALUES(expires_at), expires_at)";

/// Stores the response in a row that is in progress. `status` is assigned last, because the other assignments must see
/// its old value.
const STORE_RESPONSE: &str = " \
ON DUPLICATE KEY UPDATE \
target_type = IF(status = 'in_progress', VALUES(target_type), target_type), \
target_id = IF(status = 'in_progress', VALUES(target_id), target_id), \
response_status = IF(status = 'in_progress', VALUES(response_status), response_status), \
response_body = IF(status = 'in_progress', VALUES(response_body), response_body), \
status = IF(status = 'in_progress', VALUES(status), status)";

/// Builds the statement that inserts the rows of free keys, in ascending key order, so that transactions cannot
/// deadlock on keys.
fn insertion(requests: &[(RequestKey<'_>, Nonce)], status: &str, retention: Duration) -> Insert {
    let mut ascending = Vec::from_iter(requests);
    ascending.sort_by_key(|(request, _)| (request.scope, request.principal, request.key));
    let mut insert = Insert::into(ACQUIRE_COLUMNS).ending_with(REPLACE_IF_EXPIRED);
    for (request, nonce) in ascending {
        insert.row(&[
            request.scope.into(),
            request.principal.into(),
            request.key.into(),
            nonce.as_slice().into(),
            request.request_hash.as_slice().into(),
            status.into(),
            Value::FromNow(Duration::ZERO),
            Value::FromNow(retention),
        ]);
    }
    insert
}

fn not_found() -> DbError {
    diesel::result::Error::NotFound.into()
}

/// Maps a lock timeout to `KeyInProgress`, which is not retried: a request in flight holds the lock, and up to five
/// more lock waits would not help the caller.
fn lock_timeout_as_in_progress(error: DbError) -> DbError {
    match error {
        DbError::LockTimeout => DbError::KeyInProgress,
        other => other,
    }
}
