//! Idempotency keys: a request sent twice has one effect and one response.
//!
//! The key's row commits in the same transaction as the work and its response, so a row that another connection can see
//! is finished, and a process that dies leaves nothing behind. A caller with work to do calls [`StoredResponses::find`]
//! without a transaction (the cheap replay), and where nothing is stored [`acquire`], the work and [`completion`] in one
//! transaction. Locks are taken in the order key, order, products. The services decide what is hashed and stored.

use std::time::{Duration, Instant};

use diesel::dsl::{AsSelect, SqlTypeOf};
use diesel::mysql::Mysql;
use diesel::prelude::*;
use diesel_async::{AsyncMysqlConnection, RunQueryDsl};
use futures::FutureExt;

use crate::batch_loader::BatchLoader;
use crate::cached::{CachedStatement, padded};
use crate::clock::utc_now;
use crate::error::DbError;
use crate::insert::{Insert, Value};
use crate::pool::Db;
use crate::schema::idempotency_keys as keys;

/// Rows that [`reap`] deletes in one transaction.
const REAP_BATCH: usize = 1000;

/// A key and the request that came with it.
#[derive(Clone, Copy, Debug)]
pub struct RequestKey<'a> {
    /// The operation. The same key under another operation is another key. At most 64 ASCII characters.
    pub scope: &'static str,
    /// The caller. The same key of another caller is another key. At most 100 characters.
    pub principal: &'a str,
    /// The key as the caller sent it: 1 to 255 visible ASCII characters, upper and lower case distinct.
    pub key: &'a str,
    /// Hash of the parsed request. The same key with another hash is refused.
    pub request_hash: [u8; 32],
}

/// Identifies one request among all under the same key. The same for all attempts to execute it.
pub type Nonce = [u8; 16];

/// What an earlier request left under the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredOutcome {
    /// It succeeded, with this response.
    Response {
        /// HTTP status.
        status: u16,
        /// The body, byte for byte.
        body: Vec<u8>,
        /// Id of what it created or changed.
        target_id: Option<i64>,
        /// Whether this very request stored it, at an attempt whose COMMIT happened and was not acknowledged.
        by_this_request: bool,
    },
    /// The key was used for another request.
    Reused,
    /// Its caller abandoned it: a request under it comes too late.
    Abandoned,
}

/// The outcome of [`acquire`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquisition {
    /// The key belongs to this transaction: do the work, then [`completion`].
    Acquired,
    /// An earlier request has used the key.
    Found(StoredOutcome),
}

/// The outcome of [`abandon`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// Nothing had happened under the key, and nothing will.
    Tombstone,
    /// The key was used or abandoned by another request: this one will never be executed.
    Reused,
    /// The work is done and its response stays; the caller decides about compensating it.
    Completed {
        /// Id of what was created or changed.
        target_id: Option<i64>,
    },
}

/// Stored responses by key. A clone shares the statements that read them.
#[derive(Clone)]
pub struct StoredResponses(BatchLoader<Name, Row>);

impl StoredResponses {
    /// The responses in this database.
    pub fn new(db: Db) -> Self {
        Self(BatchLoader::new(db, |connection, names| live(connection, names).boxed()))
    }

    /// The same for a caller with this deadline, as [`Db::until`].
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self(self.0.until(deadline))
    }

    /// Reads a key without locking anything, for the request with this nonce. An expired row counts as absent.
    ///
    /// # Errors
    ///
    /// As [`Db::run`].
    pub async fn find(&self, request: &RequestKey<'_>, nonce: &Nonce) -> Result<Option<StoredOutcome>, DbError> {
        let row = self.0.load_one(Name::of(request)).await?;
        row.map(|row| row.outcome(request, nonce)).transpose()
    }
}

/// Acquires the key for the transaction on `connection`, as part of the request with this nonce, or returns what an earlier
/// request left. The row stays locked until the transaction ends; an expired one is replaced. The response is stored for
/// `retention`, counted from now.
///
/// # Errors
///
/// `KeyInProgress` if another transaction held the key for a second; any other [`DbError`].
pub async fn acquire(
    connection: &mut AsyncMysqlConnection,
    request: &RequestKey<'_>,
    nonce: &Nonce,
    retention: Duration,
) -> Result<Acquisition, DbError> {
    let acquired = acquire_all(connection, &[(*request, *nonce)], retention).await?;
    acquired.into_iter().next().ok_or_else(not_found)
}

/// Acquires the keys of several requests, no two of which have one key, and returns the outcomes in their order.
///
/// # Errors
///
/// As for [`acquire`]. A key that another transaction holds fails all of them.
pub async fn acquire_all(
    connection: &mut AsyncMysqlConnection,
    requests: &[(RequestKey<'_>, Nonce)],
    retention: Duration,
) -> Result<Vec<Acquisition>, DbError> {
    let rows = insert_if_free(connection, requests, IN_PROGRESS, retention).await?;
    let acquisition = |((request, nonce), row): (&(RequestKey<'_>, Nonce), Row)| {
        // An earlier attempt of this request may have been committed since, whatever was seen of it.
        let is_acquired = row.nonce == nonce && row.status == IN_PROGRESS;
        if is_acquired { Ok(Acquisition::Acquired) } else { row.outcome(request, nonce).map(Acquisition::Found) }
    };
    requests.iter().zip(rows).map(acquisition).collect()
}

/// Releases keys that this transaction acquired, as if they had never been used.
///
/// # Errors
///
/// Any [`DbError`] of a write.
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

/// A response, to be stored under its key.
#[derive(Clone, Copy, Debug)]
pub struct ResponseToStore<'a> {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
    /// Kind of what was created or changed. At most 20 characters.
    pub target_type: &'static str,
    /// Its id.
    pub target_id: i64,
}

/// Returns the statement that stores responses under keys that this transaction acquired. Their rows exist and are locked,
/// so each of these inserts is an update. Under any other key nothing is stored: its row would expire at once.
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
    insert.ending_with(ANSWERED)
}

/// Abandons a request, so that it is refused when it comes late. Call it in a transaction. A completed key, and one that
/// belongs to another request, stays as it is.
///
/// # Errors
///
/// `KeyInProgress` if a request under the key is running and does not end within a second; any other [`DbError`].
pub async fn abandon(
    connection: &mut AsyncMysqlConnection,
    request: &RequestKey<'_>,
    retention: Duration,
) -> Result<Abandoned, DbError> {
    let rows = insert_if_free(connection, &[(*request, rand::random())], ABANDONED, retention).await?;
    let row = rows.into_iter().next().ok_or_else(not_found)?;
    match row.status.as_str() {
        _ if row.request_hash != request.request_hash => Ok(Abandoned::Reused),
        COMPLETED => Ok(Abandoned::Completed { target_id: row.target_id }),
        ABANDONED => Ok(Abandoned::Tombstone),
        _ => Err(DbError::KeyInProgress),
    }
}

/// Deletes expired rows, 1000 at a time, and returns how many. Expired rows are ignored anyway: this only frees space.
///
/// # Errors
///
/// Any [`DbError`]; what was deleted until then stays deleted.
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

const ACQUIRED: &str =
    "idempotency_keys (scope, principal, `key`, nonce, request_hash, status, created_at, expires_at)";

/// Inserts the row, or replaces an expired one, or leaves a live one alone. `expires_at` is assigned last: the
/// assignments run from left to right, and all of them have to see its old value.
///
/// The number of affected rows cannot tell which of the three it was. The nonce can.
const IF_FREE: &str = " \
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

/// Adds the response to a row that is in progress. `status` is assigned last, as the others have to see its old value.
const ANSWERED: &str = " \
ON DUPLICATE KEY UPDATE \
target_type = IF(status = 'in_progress', VALUES(target_type), target_type), \
target_id = IF(status = 'in_progress', VALUES(target_id), target_id), \
response_status = IF(status = 'in_progress', VALUES(response_status), response_status), \
response_body = IF(status = 'in_progress', VALUES(response_body), response_body), \
status = IF(status = 'in_progress', VALUES(status), status)";

/// Inserts the rows of these keys where they are free, and returns all of them in the order of `requests`. Inserts by
/// ascending key, so that no two transactions wait for each other.
async fn insert_if_free(
    connection: &mut AsyncMysqlConnection,
    requests: &[(RequestKey<'_>, Nonce)],
    status: &str,
    retention: Duration,
) -> Result<Vec<Row>, DbError> {
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let mut ascending = Vec::from_iter(requests);
    ascending.sort_by_key(|(request, _)| (request.scope, request.principal, request.key));
    let mut insert = Insert::into(ACQUIRED).ending_with(IF_FREE);
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
    insert.run(connection).await.map_err(in_progress)?;
    let names = Vec::from_iter(requests.iter().map(|(request, _)| Name::of(request)));
    let mut rows: Vec<Row> = of(&padded(names.clone())).cached().load(connection).await?;
    let of_name = |name: &Name| {
        let found = rows.iter().position(|row| row.name == *name).ok_or_else(not_found)?;
        Ok(rows.swap_remove(found))
    };
    names.iter().map(of_name).collect()
}

/// The rows of these keys that have not expired.
async fn live(connection: &mut AsyncMysqlConnection, names: Vec<Name>) -> Result<Vec<(Name, Row)>, DbError> {
    let rows: Vec<Row> = of(&names).filter(keys::expires_at.gt(utc_now())).cached().load(connection).await?;
    Ok(rows.into_iter().map(|row| (row.name.clone(), row)).collect())
}

/// Selects the rows of these keys.
fn of(names: &[Name]) -> keys::BoxedQuery<'_, Mysql, SqlTypeOf<AsSelect<Row, Mysql>>> {
    let mut rows = keys::table.select(Row::as_select()).into_boxed();
    for Name { scope, principal, key } in names {
        rows = rows.or_filter(keys::scope.eq(scope).and(keys::principal.eq(principal)).and(keys::key.eq(key)));
    }
    rows
}

fn not_found() -> DbError {
    diesel::result::Error::NotFound.into()
}

/// The row is locked only by a request that is still running. Waiting another five times would not help its caller.
fn in_progress(error: DbError) -> DbError {
    match error {
        DbError::LockTimeout => DbError::KeyInProgress,
        other => other,
    }
}

/// Primary key of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Queryable, Selectable)]
#[diesel(table_name = keys)]
struct Name {
    scope: String,
    principal: String,
    key: String,
}

impl Name {
    fn of(request: &RequestKey<'_>) -> Self {
        let RequestKey { scope, principal, key, .. } = *request;
        Self { scope: scope.to_owned(), principal: principal.to_owned(), key: key.to_owned() }
    }
}

#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = keys)]
struct Row {
    #[diesel(embed)]
    name: Name,
    nonce: Vec<u8>,
    request_hash: Vec<u8>,
    status: String,
    target_id: Option<i64>,
    response_status: Option<i16>,
    response_body: Option<Vec<u8>>,
}

impl Row {
    fn outcome(self, request: &RequestKey<'_>, nonce: &Nonce) -> Result<StoredOutcome, DbError> {
        match self.status.as_str() {
            _ if self.request_hash != request.request_hash => Ok(StoredOutcome::Reused),
            ABANDONED => Ok(StoredOutcome::Abandoned),
            COMPLETED => Ok(StoredOutcome::Response {
                status: self.response_status.and_then(|status| u16::try_from(status).ok()).unwrap_or(200),
                body: self.response_body.unwrap_or_default(),
                target_id: self.target_id,
                by_this_request: self.nonce == nonce,
            }),
            // Only the transaction that acquired the row sees it in progress.
            _ => Err(DbError::KeyInProgress),
        }
    }
}
