//! SQL statements for the customer tables.

use chrono::NaiveDateTime;
use common_contract::{CustomerId, Text, Timestamp};
use customers_api::{Customer, CustomerInput};
use db::clock::{last_insert_id, utc_now};
use db::prefix_index::{CUSTOMERS, Hits};
use db::schema::customers;
use db::{CachedStatement, Connection, DbError, email_key};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

/// Unique index that prevents two customers from having the same email address.
pub(crate) const UNIQUE_EMAIL: &str = "uq_customers_email_key";

#[derive(Queryable, Selectable)]
#[diesel(table_name = customers)]
struct Row {
    id: i64,
    name: String,
    email: String,
    phone: Option<String>,
    version: i64,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

impl From<Row> for Customer {
    fn from(row: Row) -> Self {
        let Row { id, name, email, phone, version, created_at, updated_at } = row;
        Self {
            id: CustomerId::stored(id),
            name,
            email,
            phone,
            created_at: created_at.and_utc(),
            updated_at: updated_at.and_utc(),
            version,
        }
    }
}

pub(crate) async fn insert(connection: &mut Connection, input: &CustomerInput) -> Result<CustomerId, DbError> {
    let CustomerInput { name, email, phone } = input;
    let row = (
        customers::name.eq(name.as_str()),
        customers::email.eq(email.as_str()),
        customers::email_key.eq(email_key(email.as_str())),
        customers::phone.eq(phone.as_ref().map(Text::as_str)),
    );
    diesel::insert_into(customers::table).values(row).execute(connection).await?;
    let id = last_insert_id(connection).await?;
    CUSTOMERS.insert(connection, id, &[name.as_str(), email.as_str()]).await?;
    Ok(CustomerId::stored(id))
}

pub(crate) async fn find(connection: &mut Connection, id: CustomerId) -> Result<Option<Customer>, DbError> {
    let live = customers::table.filter(customers::id.eq(id.get())).filter(customers::deleted_at.is_null());
    let row = live.select(Row::as_select()).first(connection).await.optional()?;
    Ok(row.map(Customer::from))
}

/// Returns a deleted customer and the time of its deletion.
pub(crate) async fn find_deleted(
    connection: &mut Connection,
    id: CustomerId,
) -> Result<Option<(Customer, Option<Timestamp>)>, DbError> {
    let deleted = customers::table.find(id.get()).filter(customers::deleted_at.is_not_null());
    let row: Option<(Row, Option<NaiveDateTime>)> =
        deleted.select((Row::as_select(), customers::deleted_at)).first(connection).await.optional()?;
    Ok(row.map(|(row, deleted_at)| (row.into(), deleted_at.map(|at| at.and_utc()))))
}

/// Returns those of the customers that exist, each with its id.
pub(crate) async fn find_all(connection: &mut Connection, ids: Vec<i64>) -> Result<Vec<(i64, Customer)>, DbError> {
    let live = customers::table.filter(customers::id.eq_any(ids)).filter(customers::deleted_at.is_null());
    let rows: Vec<Row> = live.select(Row::as_select()).cached().load(connection).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.into())).collect())
}

/// Returns at most `limit` customers with an id below `before`, newest first.
pub(crate) async fn page(connection: &mut Connection, before: i64, limit: usize) -> Result<Vec<Customer>, DbError> {
    let live = customers::table.filter(customers::id.lt(before)).filter(customers::deleted_at.is_null());
    let newest_first = live.select(Row::as_select()).order(customers::id.desc());
    let rows: Vec<Row> = newest_first.limit(i64::try_from(limit).unwrap_or(i64::MAX)).load(connection).await?;
    Ok(rows.into_iter().map(Customer::from).collect())
}

/// Returns at most `limit` matching customers with an id below `before`, newest first, and the next page's `before`.
///
/// A customer that is deleted between the two statements is missing from the page, but does not end the list.
pub(crate) async fn search(
    connection: &mut Connection,
    search: &str,
    before: i64,
    limit: usize,
) -> Result<(Vec<Customer>, Option<i64>), DbError> {
    let Hits { ids, next } = CUSTOMERS.find(connection, search, before, limit).await?;
    let live = customers::table.filter(customers::id.eq_any(ids)).filter(customers::deleted_at.is_null());
    let rows: Vec<Row> = live.select(Row::as_select()).order(customers::id.desc()).load(connection).await?;
    Ok((rows.into_iter().map(Customer::from).collect(), next))
}

/// Locks the customer's row and returns it, or `None` if the customer does not exist or is deleted.
pub(crate) async fn lock(connection: &mut Connection, id: CustomerId) -> Result<Option<Customer>, DbError> {
    let live = customers::table.filter(customers::id.eq(id.get())).filter(customers::deleted_at.is_null());
    let row = live.select(Row::as_select()).for_update().first(connection).await.optional()?;
    Ok(row.map(Customer::from))
}

/// Replaces the fields of a customer that is locked and was read as `seen`.
pub(crate) async fn update(connection: &mut Connection, seen: &Customer, input: &CustomerInput) -> Result<(), DbError> {
    let CustomerInput { name, email, phone } = input;
    // An unchanged address keeps its key: it may be an older form of key that `db reindex` could not replace.
    let email_key = (email.as_str() != seen.email).then(|| customers::email_key.eq(email_key(email.as_str())));
    let changes = (
        customers::name.eq(name.as_str()),
        customers::email.eq(email.as_str()),
        email_key,
        customers::phone.eq(phone.as_ref().map(Text::as_str)),
        customers::version.eq(customers::version + 1),
        customers::updated_at.eq(utc_now()),
    );
    diesel::update(customers::table.find(seen.id.get())).set(changes).cached().execute(connection).await?;
    CUSTOMERS.replace(connection, seen.id.get(), &[name.as_str(), email.as_str()]).await
}

/// Marks the customer as deleted and frees its email address. The row remains because orders refer to it.
pub(crate) async fn delete(connection: &mut Connection, id: CustomerId) -> Result<(), DbError> {
    let changes = (
        customers::email_key.eq(None::<String>),
        customers::deleted_at.eq(utc_now().nullable()),
        customers::version.eq(customers::version + 1),
        customers::updated_at.eq(utc_now()),
    );
    diesel::update(customers::table.find(id.get())).set(changes).cached().execute(connection).await?;
    CUSTOMERS.replace(connection, id.get(), &[]).await
}
