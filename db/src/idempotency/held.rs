//! Keys that other transactions hold.

use diesel_async::{AsyncMysqlConnection, SimpleAsyncConnection};

use super::rows::{PrimaryKey, Row, load_existing};
use super::{Nonce, RequestKey};
use crate::error::DbError;
use crate::insert::Value;

/// Builds the statement that locks the rows of these keys and fails at once if another transaction holds one of them.
/// A free key has no row.
///
/// The join reads each row by its whole primary key. For a list of conditions, the servers may scan, and then fail on,
/// the rows of other keys.
pub(super) fn lock_without_waiting(requests: &[(RequestKey<'_>, Nonce)]) -> String {
    let names = requests.iter().map(|(request, _)| {
        let [scope, principal, key] = [request.scope, request.principal, request.key].map(Value::from);
        format!("SELECT _ascii{scope} AS s, {principal} AS p, _ascii{key} AS k")
    });
    format!(
        "SELECT STRAIGHT_JOIN 1 FROM ({}) wanted JOIN idempotency_keys FORCE INDEX (PRIMARY) ON scope = s COLLATE \
         ascii_bin AND principal = p COLLATE utf8mb4_bin AND `key` = k COLLATE ascii_bin FOR UPDATE NOWAIT",
        Vec::from_iter(names).join(" UNION ALL ")
    )
}

/// Returns principal and key of those of these requests whose keys other transactions hold. Their rows differ between
/// a read of uncommitted rows and one of committed rows. Call it outside a transaction.
///
/// # Errors
///
/// Any [`DbError`] of a plain read.
pub async fn held_by_others(
    connection: &mut AsyncMysqlConnection,
    requests: &[RequestKey<'_>],
) -> Result<Vec<(String, String)>, DbError> {
    let names = Vec::from_iter(requests.iter().map(PrimaryKey::of));
    let uncommitted = load_uncommitted(connection, names.clone()).await?;
    let committed = load_existing(connection, names.clone()).await?;
    let version = |rows: &[Row], name: &PrimaryKey| {
        let row = rows.iter().find(|row| row.name == *name)?;
        Some((row.nonce.clone(), row.status.clone()))
    };
    let is_held = |name: &PrimaryKey| version(&uncommitted, name) != version(&committed, name);
    Ok(names.into_iter().filter(is_held).map(|PrimaryKey { principal, key, .. }| (principal, key)).collect())
}

/// Returns the rows of these keys that exist, as other transactions have written them.
async fn load_uncommitted(connection: &mut AsyncMysqlConnection, names: Vec<PrimaryKey>) -> Result<Vec<Row>, DbError> {
    let begin = "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED; START TRANSACTION READ ONLY";
    connection.batch_execute(begin).await?;
    let rows = load_existing(connection, names).await;
    connection.batch_execute("ROLLBACK").await?;
    rows
}
