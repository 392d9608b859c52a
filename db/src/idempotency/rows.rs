//! Reads of the keys' rows.

use diesel::dsl::{AsSelect, SqlTypeOf};
use diesel::mysql::Mysql;
use diesel::prelude::*;
use diesel_async::{AsyncMysqlConnection, RunQueryDsl};

use super::{ABANDONED, COMPLETED, Nonce, RequestKey, StoredOutcome, not_found};
use crate::cached::{CachedStatement, padded};
use crate::clock::utc_now;
use crate::error::DbError;
use crate::schema::idempotency_keys as keys;

/// Returns the rows of all these keys, in order. They must exist.
pub(super) async fn load_all(
    connection: &mut AsyncMysqlConnection,
    requests: &[(RequestKey<'_>, Nonce)],
) -> Result<Vec<Row>, DbError> {
    let names = Vec::from_iter(requests.iter().map(|(request, _)| PrimaryKey::of(request)));
    let mut rows = load_existing(connection, names.clone()).await?;
    let take_row = |name: &PrimaryKey| {
        let found = rows.iter().position(|row| row.name == *name).ok_or_else(not_found)?;
        Ok(rows.swap_remove(found))
    };
    names.iter().map(take_row).collect()
}

/// Returns the rows of these keys that exist.
pub(super) async fn load_existing(
    connection: &mut AsyncMysqlConnection,
    names: Vec<PrimaryKey>,
) -> Result<Vec<Row>, DbError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    Ok(select_rows(&padded(names)).cached().load(connection).await?)
}

/// Loads the unexpired rows of these keys.
pub(super) async fn load_unexpired(
    connection: &mut AsyncMysqlConnection,
    names: Vec<PrimaryKey>,
) -> Result<Vec<(PrimaryKey, Row)>, DbError> {
    let rows: Vec<Row> = select_rows(&names).filter(keys::expires_at.gt(utc_now())).cached().load(connection).await?;
    Ok(rows.into_iter().map(|row| (row.name.clone(), row)).collect())
}

/// Returns the query for the rows of these keys.
fn select_rows(names: &[PrimaryKey]) -> keys::BoxedQuery<'_, Mysql, SqlTypeOf<AsSelect<Row, Mysql>>> {
    let mut rows = keys::table.select(Row::as_select()).into_boxed();
    for PrimaryKey { scope, principal, key } in names {
        rows = rows.or_filter(keys::scope.eq(scope).and(keys::principal.eq(principal)).and(keys::key.eq(key)));
    }
    rows
}

/// Primary key of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Queryable, Selectable)]
#[diesel(table_name = keys)]
pub(super) struct PrimaryKey {
    scope: String,
    pub(super) principal: String,
    pub(super) key: String,
}

impl PrimaryKey {
    pub(super) fn of(request: &RequestKey<'_>) -> Self {
        let RequestKey { scope, principal, key, .. } = *request;
        Self { scope: scope.to_owned(), principal: principal.to_owned(), key: key.to_owned() }
    }
}

#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = keys)]
pub(super) struct Row {
    #[diesel(embed)]
    pub(super) name: PrimaryKey,
    pub(super) nonce: Vec<u8>,
    pub(super) request_hash: Vec<u8>,
    pub(super) status: String,
    pub(super) target_id: Option<i64>,
    response_status: Option<i16>,
    response_body: Option<Vec<u8>>,
}

impl Row {
    pub(super) fn outcome(self, request: &RequestKey<'_>, nonce: &Nonce) -> Result<StoredOutcome, DbError> {
        match self.status.as_str() {
            _ if self.request_hash != request.request_hash => Ok(StoredOutcome::Reused),
            ABANDONED => Ok(StoredOutcome::Abandoned),
            COMPLETED => Ok(StoredOutcome::Response {
                status: self.response_status.and_then(|status| u16::try_from(status).ok()).unwrap_or(200),
                body: self.response_body.unwrap_or_default(),
                target_id: self.target_id,
                by_this_request: self.nonce == nonce,
            }),
            // Only the transaction that acquired the key sees its row in progress.
            _ => Err(DbError::KeyInProgress),
        }
    }
}
