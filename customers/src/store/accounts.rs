//! SQL statements for the user account table, `operators`. Only [`LoginRecord`] contains a password hash.

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

/// Unique index that prevents two accounts from having the same username, ignoring case.
pub(crate) const UNIQUE_USERNAME: &str = "uq_operators_username_key";

/// Role as stored in the ENUM column.
#[derive(Debug, Clone, Copy, FromSqlRow, AsExpression)]
#[diesel(sql_type = diesel::sql_types::Text)]
struct Role(common_contract::Role);

impl FromSql<diesel::sql_types::Text, Mysql> for Role {
    fn from_sql(value: MysqlValue<'_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<diesel::sql_types::Text, Mysql>>::from_sql(value)?;
        let role = common_contract::Role::ALL.into_iter().find(|role| role.as_str() == text);
        role.map(Self).ok_or_else(|| format!("unknown role {text}").into())
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

/// User account with its password hash, for password verification.
pub(crate) struct LoginRecord {
    pub(crate) id: OperatorId,
    pub(crate) username: String,
    pub(crate) password_hash: String,
    pub(crate) role: common_contract::Role,
    pub(crate) active: bool,
}

impl From<LoginRow> for LoginRecord {
    fn from(row: LoginRow) -> Self {
        let LoginRow { id, username, password_hash, role, active } = row;
        Self { id: OperatorId::stored(id), username, password_hash, role: role.0, active }
    }
}

/// Changes to a user account. Fields that are `None` keep their value.
#[derive(Default)]
pub(crate) struct AccountChanges<'c> {
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

/// Returns the lookup key of a username. For an invalid username, returns an empty key, which no account has.
///
/// The validation is necessary because the column's collation ignores trailing spaces.
pub(crate) fn username_key(username: &str) -> String {
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

/// Returns the account with this [`username_key`].
pub(crate) async fn find_login(
    connection: &mut Connection,
    username_key: &str,
) -> Result<Option<LoginRecord>, DbError> {
    let by_key = operators::table.filter(operators::username_key.eq(username_key));
    Ok(by_key.select(LoginRow::as_select()).first(connection).await.optional()?.map(LoginRecord::from))
}

/// Returns at most `limit` accounts with an id below `before`, newest first.
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
    let account = find_login(connection, username_key).await?;
    Ok(account.is_some_and(|account| account.active && account.role == common_contract::Role::Admin))
}

/// Locks all active admins and returns their ids and username keys. Locks them in a fixed order, which prevents
/// deadlocks.
pub(crate) async fn lock_active_admins(connection: &mut Connection) -> Result<Vec<(OperatorId, String)>, DbError> {
    let admins = operators::table.filter(operators::active.eq(true)).filter(operators::role.eq(ADMIN));
    let by_id = admins.order(operators::id).select((operators::id, operators::username_key)).for_update();
    let rows: Vec<(i64, String)> = by_id.load(connection).await?;
    Ok(rows.into_iter().map(|(id, key)| (OperatorId::stored(id), key)).collect())
}

/// Locks the account's row and returns the account.
pub(crate) async fn lock(connection: &mut Connection, id: OperatorId) -> Result<Option<OperatorAccount>, DbError> {
    let row = operators::table.find(id.get()).select(Row::as_select()).for_update().first(connection).await;
    Ok(row.optional()?.map(OperatorAccount::from))
}

pub(crate) async fn update(
    connection: &mut Connection,
    id: OperatorId,
    changes: AccountChanges<'_>,
) -> Result<(), DbError> {
    let AccountChanges { password_hash, role, active } = changes;
    let changes = (
        ChangedColumns { password_hash, role: role.map(Role), active },
        operators::version.eq(operators::version + 1),
        operators::updated_at.eq(utc_now()),
    );
    diesel::update(operators::table.find(id.get())).set(changes).cached().execute(connection).await?;
    Ok(())
}

/// Replaces the password hash with a new hash of the same password, unless the password was changed after `seen` was
/// read.
///
/// Does not change the version, because the account data returned to clients does not change.
pub(crate) async fn replace_hash(connection: &mut Connection, seen: &LoginRecord, hash: &str) -> Result<(), DbError> {
    let unchanged = operators::table.find(seen.id.get()).filter(operators::password_hash.eq(&seen.password_hash));
    diesel::update(unchanged).set(operators::password_hash.eq(hash)).cached().execute(connection).await?;
    Ok(())
}

/// Sets the password hash of an active account. Returns `false` without a change if the account is inactive or its hash
/// was changed after `seen` was read.
pub(crate) async fn change_password(
    connection: &mut Connection,
    seen: &LoginRecord,
    hash: &str,
) -> Result<bool, DbError> {
    let unchanged = operators::table.find(seen.id.get()).filter(operators::password_hash.eq(&seen.password_hash));
    let changes = (
        operators::password_hash.eq(hash),
        operators::version.eq(operators::version + 1),
        operators::updated_at.eq(utc_now()),
    );
    Ok(diesel::update(unchanged.filter(operators::active.eq(true))).set(changes).cached().execute(connection).await?
        == 1)
}

const ADMIN: Role = Role(common_contract::Role::Admin);
