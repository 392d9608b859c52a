//! Idempotency keys: a request sent twice has one effect and one answer.
//!
//! The key's row commits in the same transaction as the work and its answer, so a row that another connection can see
//! is finished, and a process that dies leaves nothing behind. A caller with work to do goes: [`find`] without a
//! transaction (the cheap replay), and on nothing found [`claim`], the work, [`complete`] in one transaction. Locks are
//! taken in the order key, order, products. What is hashed and what an answer looks like is the services' business.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Text};
use diesel_async::{AsyncMysqlConnection, RunQueryDsl};

use crate::clock::utc_now;
use crate::error::DbError;
use crate::pool::Db;
use crate::schema::idempotency_keys as keys;

/// Rows that [`reap`] deletes in one transaction.
const REAP_BATCH: usize = 1000;

/// Which key, and for which request.
#[derive(Clone, Copy, Debug)]
pub struct KeyClaim<'a> {
    /// The operation. The same key under another operation is another key. At most 64 ASCII characters.
    pub scope: &'static str,
    /// The caller. The same key of another caller is another key. At most 100 characters.
    pub principal: &'a str,
    /// The key as the caller sent it: 1 to 255 visible ASCII characters, upper and lower case distinct.
    pub key: &'a str,
    /// Hash of the parsed request. The same key with another hash is refused.
    pub request_hash: [u8; 32],
}

/// Tells one request from every other under the same key. The same for all attempts to carry it out.
pub type Nonce = [u8; 16];

/// What an earlier request left under the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It succeeded: this is its answer.
    Answer {
        /// HTTP status.
        status: u16,
        /// The body, byte for byte.
        body: Vec<u8>,
        /// Id of what it made or changed.
        target_id: Option<i64>,
        /// Whether it was this very request, at an attempt whose COMMIT was carried out and not answered.
        own: bool,
    },
    /// The key was used for another request.
    Reused,
    /// Its caller gave it up: whatever arrives under it now comes too late.
    Abandoned,
}

/// The outcome of [`claim`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The key is this transaction's: do the work, then [`complete`].
    Won,
    /// Someone was here before.
    Found(Found),
}

/// The outcome of [`abandon`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// Nothing had happened under the key, and nothing will.
    Tombstone,
    /// The key was used for another request, or given up by one: this one will never be carried out.
    Reused,
    /// The work is done and its answer stays; the caller decides about undoing its target.
    Completed {
        /// Id of what was made or changed.
        target_id: Option<i64>,
    },
}

/// Looks a key up without locking anything, for the request that this nonce names. An expired row counts as absent.
///
/// # Errors
///
/// Any [`DbError`] of a plain read.
pub async fn find(
    connection: &mut AsyncMysqlConnection,
    claim: &KeyClaim<'_>,
    nonce: &Nonce,
) -> Result<Option<Found>, DbError> {
    let row = keys::table
        .find((claim.scope, claim.principal, claim.key))
        .filter(keys::expires_at.gt(utc_now()))
        .select(Row::as_select())
        .first(connection)
        .await
        .optional()?;
    row.map(|row| row.found(claim, nonce)).transpose()
}

/// Takes the key for the transaction that runs on `connection`, as part of the request that `nonce` names, or says who
/// had it before. The row stays locked until the transaction ends; an expired one is taken over. The answer is kept for
/// `retention`, counted from now.
///
/// # Errors
///
/// `KeyInProgress` if another transaction held the key for a second; any other [`DbError`].
pub async fn claim(
    connection: &mut AsyncMysqlConnection,
    claim: &KeyClaim<'_>,
    nonce: &Nonce,
    retention: Duration,
) -> Result<Claim, DbError> {
    let row = take(connection, claim, IN_PROGRESS, nonce, retention).await?;
    // An earlier attempt of this request may have been committed since, whatever was seen of it.
    let won = row.nonce == nonce && row.status == IN_PROGRESS;
    if won { Ok(Claim::Won) } else { row.found(claim, nonce).map(Claim::Found) }
}

/// Stores the answer under a key that [`claim`] won in this transaction.
///
/// # Errors
///
/// `Other(NotFound)` if there is no such claim; any other [`DbError`].
pub async fn complete(
    connection: &mut AsyncMysqlConnection,
    claim: &KeyClaim<'_>,
    target_type: &str,
    target_id: i64,
    status: u16,
    body: &[u8],
) -> Result<(), DbError> {
    let status = i16::try_from(status).map_err(|error| diesel::result::Error::SerializationError(error.into()))?;
    let row = keys::table.find((claim.scope, claim.principal, claim.key)).filter(keys::status.eq(IN_PROGRESS));
    let updated = diesel::update(row)
        .set((
            keys::status.eq(COMPLETED),
            keys::target_type.eq(target_type),
            keys::target_id.eq(target_id),
            keys::response_status.eq(status),
            keys::response_body.eq(body),
        ))
        .execute(connection)
        .await?;
    if updated == 1 { Ok(()) } else { Err(diesel::result::Error::NotFound.into()) }
}

/// Gives a request up, so that it is refused when it comes late. Call it in a transaction. A completed key, and one that
/// belongs to another request, is left as it is.
///
/// # Errors
///
/// `KeyInProgress` if a request under the key is running and does not end within a second; any other [`DbError`].
pub async fn abandon(
    connection: &mut AsyncMysqlConnection,
    claim: &KeyClaim<'_>,
    retention: Duration,
) -> Result<Abandoned, DbError> {
    let row = take(connection, claim, ABANDONED, &rand::random(), retention).await?;
    match row.status.as_str() {
        _ if row.request_hash != claim.request_hash => Ok(Abandoned::Reused),
        COMPLETED => Ok(Abandoned::Completed { target_id: row.target_id }),
        ABANDONED => Ok(Abandoned::Tombstone),
        _ => Err(DbError::KeyInProgress),
    }
}

/// Deletes expired rows, 1000 at a time, and says how many. Expired rows are ignored anyway: this only frees space.
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

/// Inserts the row, or takes over an expired one, or leaves a live one alone. `expires_at` is assigned last: the
/// assignments run from left to right, and all of them have to see its old value.
///
/// The number of affected rows cannot tell which of the three it was. The nonce can.
const TAKE: &str = "\
INSERT INTO idempotency_keys (scope, principal, `key`, nonce, request_hash, status, created_at, expires_at) \
VALUES (?, ?, ?, ?, ?, ?, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND) \
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

async fn take(
    connection: &mut AsyncMysqlConnection,
    claim: &KeyClaim<'_>,
    status: &str,
    nonce: &Nonce,
    retention: Duration,
) -> Result<Row, DbError> {
    let microseconds = i64::try_from(retention.as_micros()).unwrap_or(i64::MAX);
    diesel::sql_query(TAKE)
        .bind::<Text, _>(claim.scope)
        .bind::<Text, _>(claim.principal)
        .bind::<Text, _>(claim.key)
        .bind::<Binary, _>(nonce)
        .bind::<Binary, _>(claim.request_hash)
        .bind::<Text, _>(status)
        .bind::<BigInt, _>(microseconds)
        .execute(connection)
        .await
        .map_err(in_progress)?;
    let row = keys::table.find((claim.scope, claim.principal, claim.key)).select(Row::as_select());
    Ok(row.first(connection).await?)
}

/// The row is locked only by a request that is still running. Waiting another five times would not help its caller.
fn in_progress(error: diesel::result::Error) -> DbError {
    match DbError::from(error) {
        DbError::LockTimeout => DbError::KeyInProgress,
        other => other,
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = keys)]
struct Row {
    nonce: Vec<u8>,
    request_hash: Vec<u8>,
    status: String,
    target_id: Option<i64>,
    response_status: Option<i16>,
    response_body: Option<Vec<u8>>,
}

impl Row {
    fn found(self, claim: &KeyClaim<'_>, nonce: &Nonce) -> Result<Found, DbError> {
        match self.status.as_str() {
            _ if self.request_hash != claim.request_hash => Ok(Found::Reused),
            ABANDONED => Ok(Found::Abandoned),
            COMPLETED => Ok(Found::Answer {
                status: self.response_status.and_then(|status| u16::try_from(status).ok()).unwrap_or(200),
                body: self.response_body.unwrap_or_default(),
                target_id: self.target_id,
                own: self.nonce == nonce,
            }),
            // Only the transaction that claimed the row sees it in progress.
            _ => Err(DbError::KeyInProgress),
        }
    }
}
