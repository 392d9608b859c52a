//! Idempotency keys: a request sent twice has one effect and one answer.
//!
//! The key's row commits in the same transaction as the work and its answer, so a row that another connection can see
//! is finished, and a process that dies leaves nothing behind. A caller with work to do goes: [`Answers::find`] without a
//! transaction (the cheap replay), and on nothing found [`claim`], the work, [`completion`] in one transaction. Locks are
//! taken in the order key, order, products. What is hashed and what an answer looks like is the services' business.

use std::time::{Duration, Instant};

use diesel::dsl::{AsSelect, SqlTypeOf};
use diesel::mysql::Mysql;
use diesel::prelude::*;
use diesel_async::{AsyncMysqlConnection, RunQueryDsl};
use futures::FutureExt;

use crate::cached::{CachedStatement, padded};
use crate::clock::utc_now;
use crate::error::DbError;
use crate::insert::{Insert, Value};
use crate::batch_loader::Lookup;
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
    /// The key is this transaction's: do the work, then [`completion`].
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

/// The answers that are kept. A clone shares the statements that look for them.
#[derive(Clone)]
pub struct Answers(Lookup<Name, Row>);

impl Answers {
    /// Those in this database.
    pub fn new(db: Db) -> Self {
        Self(Lookup::new(db, |connection, names| live(connection, names).boxed()))
    }

    /// The same for somebody who goes away at `deadline`, as [`Db::until`].
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self(self.0.until(deadline))
    }

    /// Looks a key up without locking anything, for the request that this nonce names. An expired row counts as absent.
    ///
    /// # Errors
    ///
    /// As [`Db::run`].
    pub async fn find(&self, claim: &KeyClaim<'_>, nonce: &Nonce) -> Result<Option<Found>, DbError> {
        let row = self.0.find(Name::of(claim)).await?;
        row.map(|row| row.found(claim, nonce)).transpose()
    }
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
    let claims = claim_all(connection, &[(*claim, *nonce)], retention).await?;
    claims.into_iter().next().ok_or_else(not_found)
}

/// The same for several requests, in their order, no two of which have one key.
///
/// # Errors
///
/// As for [`claim`]. A key that another transaction holds fails all of them.
pub async fn claim_all(
    connection: &mut AsyncMysqlConnection,
    claims: &[(KeyClaim<'_>, Nonce)],
    retention: Duration,
) -> Result<Vec<Claim>, DbError> {
    let rows = take(connection, claims, IN_PROGRESS, retention).await?;
    let judge = |((claim, nonce), row): (&(KeyClaim<'_>, Nonce), Row)| {
        // An earlier attempt of this request may have been committed since, whatever was seen of it.
        let won = row.nonce == nonce && row.status == IN_PROGRESS;
        if won { Ok(Claim::Won) } else { row.found(claim, nonce).map(Claim::Found) }
    };
    claims.iter().zip(rows).map(judge).collect()
}

/// Gives keys back that were won in this transaction, as if nobody had asked for them.
///
/// # Errors
///
/// Any [`DbError`] of a write.
pub async fn give_back(connection: &mut AsyncMysqlConnection, claims: &[KeyClaim<'_>]) -> Result<(), DbError> {
    if claims.is_empty() {
        return Ok(());
    }
    let mut delete = diesel::delete(keys::table).into_boxed();
    for KeyClaim { scope, principal, key, .. } in claims {
        delete = delete.or_filter(keys::scope.eq(scope).and(keys::principal.eq(principal)).and(keys::key.eq(key)));
    }
    delete.execute(connection).await?;
    Ok(())
}

/// An answer, to be kept.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
    /// What kind of thing was made or changed. At most 20 characters.
    pub target_type: &'static str,
    /// Its id.
    pub target_id: i64,
}

/// The statement that stores answers under keys that this transaction won. Their rows are there and locked, so each of these
/// inserts is an update. Of any other key nothing is kept: its row would expire at once.
pub fn completion<'a>(answers: impl IntoIterator<Item = (KeyClaim<'a>, Answer<'a>)>) -> Insert {
    let mut insert = Insert::into(
        "idempotency_keys (scope, principal, `key`, nonce, request_hash, created_at, expires_at, \
         status, target_type, target_id, response_status, response_body)",
    );
    for (claim, answer) in answers {
        let KeyClaim { scope, principal, key, request_hash } = claim;
        insert.row(&[
            scope.into(),
            principal.into(),
            key.into(),
            [].as_slice().into(),
            request_hash.as_slice().into(),
            Value::FromNow(Duration::ZERO),
            Value::FromNow(Duration::ZERO),
            COMPLETED.into(),
            answer.target_type.into(),
            answer.target_id.into(),
            i64::from(answer.status).into(),
            answer.body.into(),
        ]);
    }
    insert.ending_with(ANSWERED)
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
    let rows = take(connection, &[(*claim, rand::random())], ABANDONED, retention).await?;
    let row = rows.into_iter().next().ok_or_else(not_found)?;
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

const CLAIMS: &str = "idempotency_keys (scope, principal, `key`, nonce, request_hash, status, created_at, expires_at)";

/// Inserts the row, or takes over an expired one, or leaves a live one alone. `expires_at` is assigned last: the
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

/// Adds the answer to a row that is in progress. `status` is assigned last, as the others have to see its old value.
const ANSWERED: &str = " \
ON DUPLICATE KEY UPDATE \
target_type = IF(status = 'in_progress', VALUES(target_type), target_type), \
target_id = IF(status = 'in_progress', VALUES(target_id), target_id), \
response_status = IF(status = 'in_progress', VALUES(response_status), response_status), \
response_body = IF(status = 'in_progress', VALUES(response_body), response_body), \
status = IF(status = 'in_progress', VALUES(status), status)";

/// The rows of these keys, in their order, after all of them were tried for. By ascending key, so that nobody waits for anybody in
/// a circle.
async fn take(
    connection: &mut AsyncMysqlConnection,
    claims: &[(KeyClaim<'_>, Nonce)],
    status: &str,
    retention: Duration,
) -> Result<Vec<Row>, DbError> {
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    let mut ascending = Vec::from_iter(claims);
    ascending.sort_by_key(|(claim, _)| (claim.scope, claim.principal, claim.key));
    let mut insert = Insert::into(CLAIMS).ending_with(IF_FREE);
    for (claim, nonce) in ascending {
        insert.row(&[
            claim.scope.into(),
            claim.principal.into(),
            claim.key.into(),
            nonce.as_slice().into(),
            claim.request_hash.as_slice().into(),
            status.into(),
            Value::FromNow(Duration::ZERO),
            Value::FromNow(retention),
        ]);
    }
    insert.run(connection).await.map_err(in_progress)?;
    let names = Vec::from_iter(claims.iter().map(|(claim, _)| Name::of(claim)));
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

/// Which key of whom, for which operation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Queryable, Selectable)]
#[diesel(table_name = keys)]
struct Name {
    scope: String,
    principal: String,
    key: String,
}

impl Name {
    fn of(claim: &KeyClaim<'_>) -> Self {
        let KeyClaim { scope, principal, key, .. } = *claim;
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
