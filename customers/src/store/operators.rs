//! All SQL on the operators' table. A password's hash leaves it only to be compared with.

use chrono::NaiveDateTime;
use common_contract::{OperatorId, Username};
use customers_api::OperatorAccount;
use db::clock::{last_insert_id, utc_now};
use db::schema::operators;
use db::{CachedStatement, Connection, DbError};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::mysql::{Mysql, MysqlValue};
use diesel::prelude::*;
use diesel::serialize::{self, Output, ToSql};
use diesel_async::RunQueryDsl;

/// The key that keeps two operators from having one name.
pub(crate) const UNIQUE_USERNAME: &str = "uq_operators_username_key";

/// A role as its ENUM column holds it.
#[derive(Debug, Clone, Copy, FromSqlRow, AsExpression)]
#[diesel(sql_type = diesel::sql_types::Text)]
struct Role(common_contract::Role);

impl FromSql<diesel::sql_types::Text, Mysql> for Role {
    fn from_sql(value: MysqlValue<'_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<diesel::sql_types::Text, Mysql>>::from_sql(value)?;
        let known = common_contract::Role::ALL.into_iter().find(|role| role.as_str() == text);
        known.map(Self).ok_or_else(|| format!("unknown role {text}").into())
    }
}

impl ToSql<diesel::sql_types::Text, Mysql> for Role {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Mysql>) -> serialize::Result {
        <str as ToSql<diesel::sql_types::Text, Mysql>>::to_sql(self.0.as_str(), out)
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = operators)]
struct Row {
    id: i64,
    username: String,
    role: Role,
    active: bool,
    version: i64,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

impl From<Row> for OperatorAccount {
    fn from(row: Row) -> Self {
        let Row { id, username, role, active, version, created_at, updated_at } = row;
        Self {
            id: OperatorId::stored(id),
            username,
            role: role.0,
            active,
            created_at: created_at.and_utc(),
            updated_at: updated_at.and_utc(),
            version,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = operators)]
struct LoginRow {
    id: i64,
    username: String,
    password_hash: String,
    role: Role,
    active: bool,
}

/// An operator, as logging in needs to know them.
pub(crate) struct Known {
    pub(crate) id: OperatorId,
    pub(crate) username: String,
    pub(crate) password_hash: String,
    pub(crate) role: common_contract::Role,
    pub(crate) active: bool,
}

impl From<LoginRow> for Known {
    fn from(row: LoginRow) -> Self {
        let LoginRow { id, username, password_hash, role, active } = row;
        Self { id: OperatorId::stored(id), username, password_hash, role: role.0, active }
    }
}

/// What is changed of an operator; what is none stays.
#[derive(Default)]
pub(crate) struct Changes<'c> {
    pub(crate) password_hash: Option<&'c str>,
    pub(crate) role: Option<common_contract::Role>,
    pub(crate) active: Option<bool>,
}

#[derive(AsChangeset)]
#[diesel(table_name = operators)]
struct ChangedColumns<'c> {
    password_hash: Option<&'c str>,
    role: Option<Role>,
    active: Option<bool>,
}

/// The key of the operator's name, and an empty one, which is nobody's, of a text that no operator can have as a name. The
/// column itself would take a name with spaces at its end for the name.
pub(crate) fn key(username: &str) -> String {
    Username::try_from(username.to_owned()).map(|username| username.key()).unwrap_or_default()
}

pub(crate) async fn insert(
    connection: &mut Connection,
    username: &Username,
    password_hash: &str,
    role: common_contract::Role,
) -> Result<OperatorId, DbError> {
    let row = (
        operators::username.eq(username.as_str()),
        operators::username_key.eq(username.key()),
        operators::password_hash.eq(password_hash),
        operators::role.eq(Role(role)),
    );
    diesel::insert_into(operators::table).values(row).execute(connection).await?;
    Ok(OperatorId::stored(last_insert_id(connection).await?))
}

pub(crate) async fn find(connection: &mut Connection, id: OperatorId) -> Result<Option<OperatorAccount>, DbError> {
    let row = operators::table.find(id.get()).select(Row::as_select()).first(connection).await.optional()?;
    Ok(row.map(OperatorAccount::from))
}

/// The operator whose name has this [`key`].
pub(crate) async fn find_known(connection: &mut Connection, username_key: &str) -> Result<Option<Known>, DbError> {
    let named = operators::table.filter(operators::username_key.eq(username_key));
    Ok(named.select(LoginRow::as_select()).first(connection).await.optional()?.map(Known::from))
}

/// At most `limit` operators with an id below `before`, newest first.
pub(crate) async fn page(
    connection: &mut Connection,
    before: i64,
    limit: usize,
) -> Result<Vec<OperatorAccount>, DbError> {
    let newest_first = operators::table.filter(operators::id.lt(before)).order(operators::id.desc());
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows: Vec<Row> = newest_first.limit(limit).select(Row::as_select()).load(connection).await?;
    Ok(rows.into_iter().map(OperatorAccount::from).collect())
}

pub(crate) async fn has_active_admin(connection: &mut Connection) -> Result<bool, DbError> {
    let admins = operators::table.filter(operators::active.eq(true)).filter(operators::role.eq(ADMIN));
    Ok(diesel::select(diesel::dsl::exists(admins)).get_result(connection).await?)
}

pub(crate) async fn is_active_admin(connection: &mut Connection, username_key: &str) -> Result<bool, DbError> {
    let known = find_known(connection, username_key).await?;
    Ok(known.is_some_and(|known| known.active && known.role == common_contract::Role::Admin))
}

/// Locks all active admins, always in the same order, and gives their ids and the keys of their names.
pub(crate) async fn lock_active_admins(connection: &mut Connection) -> Result<Vec<(OperatorId, String)>, DbError> {
    let admins = operators::table.filter(operators::active.eq(true)).filter(operators::role.eq(ADMIN));
    let by_id = admins.order(operators::id).select((operators::id, operators::username_key)).for_update();
    let rows: Vec<(i64, String)> = by_id.load(connection).await?;
    Ok(rows.into_iter().map(|(id, key)| (OperatorId::stored(id), key)).collect())
}

/// Locks the operator's row.
pub(crate) async fn lock(connection: &mut Connection, id: OperatorId) -> Result<Option<OperatorAccount>, DbError> {
    let row = operators::table.find(id.get()).select(Row::as_select()).for_update().first(connection).await;
    Ok(row.optional()?.map(OperatorAccount::from))
}

pub(crate) async fn update(connection: &mut Connection, id: OperatorId, changes: Changes<'_>) -> Result<(), DbError> {
    let Changes { password_hash, role, active } = changes;
    let changes = (
        ChangedColumns { password_hash, role: role.map(Role), active },
        operators::version.eq(operators::version + 1),
        operators::updated_at.eq(utc_now()),
    );
    diesel::update(operators::table.find(id.get())).set(changes).cached().execute(connection).await?;
    Ok(())
}

/// Keeps the same password under another hash, unless another was set meanwhile. Nobody sees a change, so none is counted.
pub(crate) async fn renew_hash(connection: &mut Connection, seen: &Known, hash: &str) -> Result<(), DbError> {
    let as_seen = operators::table.find(seen.id.get()).filter(operators::password_hash.eq(&seen.password_hash));
    diesel::update(as_seen).set(operators::password_hash.eq(hash)).cached().execute(connection).await?;
    Ok(())
}

/// Sets another password for an operator who is active, unless one was set since `seen`. Says whether it did.
pub(crate) async fn change_password(connection: &mut Connection, seen: &Known, hash: &str) -> Result<bool, DbError> {
    let as_seen = operators::table.find(seen.id.get()).filter(operators::password_hash.eq(&seen.password_hash));
    let changes = (
        operators::password_hash.eq(hash),
        operators::version.eq(operators::version + 1),
        operators::updated_at.eq(utc_now()),
    );
    Ok(diesel::update(as_seen.filter(operators::active.eq(true))).set(changes).cached().execute(connection).await? == 1)
}

const ADMIN: Role = Role(common_contract::Role::Admin);
