//! Orders and their items.

use chrono::{DateTime, NaiveDateTime};
use common_contract::{CustomerId, OrderId, ProductId, Text, Timestamp};
use common_server::Position;
use db::clock::{time_of_row, utc_now};
use db::insert::Insert;
use db::schema::{order_items, orders};
use db::{CachedStatement, Connection, DbError};
use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Datetime};
use diesel_async::RunQueryDsl;
use orders_api::{Order, OrderInput, OrderItem, OrderListQuery, OrderStatus, OrderSummary, OrderTerms};

use super::limit;
use super::status::Status;

/// Name of the unique key on the creating principal and its idempotency key.
pub(crate) const UNIQUE_CREATE_KEY: &str = "uq_orders_create_key";
/// Name of the foreign key that references the customer.
pub(crate) const CUSTOMER_FOREIGN_KEY: &str = "fk_orders_customer";

/// A new order, excluding its items.
pub(crate) struct NewRow<'o> {
    pub(crate) new: &'o OrderInput,
    pub(crate) total_cents: i64,
    pub(crate) created_at: NaiveDateTime,
    pub(crate) reserved_until: Option<NaiveDateTime>,
    pub(crate) create_principal: &'o str,
    pub(crate) create_key: Option<&'o str>,
    pub(crate) create_hash: Option<&'o [u8]>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = orders)]
struct Row {
    id: i64,
    customer_id: i64,
    status: Status,
    total_cents: i64,
    external_reference: Option<String>,
    created_at: NaiveDateTime,
    confirmed_at: Option<NaiveDateTime>,
    canceled_at: Option<NaiveDateTime>,
    version: i64,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = order_items)]
struct ItemRow {
    product_id: i64,
    sku: String,
    name: String,
    qty: i64,
    unit_price_cents: i64,
    subtotal_cents: i64,
}

impl From<Row> for OrderSummary {
    fn from(row: Row) -> Self {
        Self {
            id: OrderId::stored(row.id),
            customer_id: CustomerId::stored(row.customer_id),
            status: row.status.0,
            terms: OrderTerms {
                total_cents: row.total_cents,
                external_reference: row.external_reference,
                created_at: row.created_at.and_utc(),
            },
            confirmed_at: row.confirmed_at.map(|at| at.and_utc()),
            canceled_at: row.canceled_at.map(|at| at.and_utc()),
            version: row.version,
        }
    }
}

impl From<ItemRow> for OrderItem {
    fn from(row: ItemRow) -> Self {
        let ItemRow { product_id, sku, name, qty, unit_price_cents, subtotal_cents } = row;
        Self { product_id: ProductId::stored(product_id), sku, name, qty, unit_price_cents, subtotal_cents }
    }
}

/// Builds the statement that inserts orders. [`db::clock::inserted_ids`] returns their IDs.
pub(crate) fn insert<'o>(orders: impl IntoIterator<Item = NewRow<'o>>) -> Insert {
    let mut insert = Insert::into("orders");
    for order in orders {
        insert.record(&[
            ("customer_id", order.new.customer_id.get().into()),
            ("total_cents", order.total_cents.into()),
            ("external_reference", order.new.external_reference.as_ref().map(Text::as_str).into()),
            ("created_at", order.created_at.into()),
            ("reserved_until", order.reserved_until.into()),
            ("create_principal", order.create_principal.into()),
            ("create_key", order.create_key.into()),
            ("create_hash", order.create_hash.into()),
        ]);
    }
    insert
}

/// Builds the statement that inserts the items of new orders.
pub(crate) fn insert_items<'o>(items: impl IntoIterator<Item = (OrderId, &'o OrderItem)>) -> Insert {
    let mut insert =
        Insert::into("order_items (order_id, product_id, sku, name, qty, unit_price_cents, subtotal_cents)");
    for (order, item) in items {
        insert.row(&[
            order.get().into(),
            item.product_id.get().into(),
            item.sku.as_str().into(),
            item.name.as_str().into(),
            item.qty.into(),
            item.unit_price_cents.into(),
            item.subtotal_cents.into(),
        ]);
    }
    insert
}

pub(crate) async fn find(connection: &mut Connection, id: OrderId) -> Result<Option<Order>, DbError> {
    let row: Option<Row> = orders::table.find(id.get()).select(Row::as_select()).first(connection).await.optional()?;
    let Some(row) = row else { return Ok(None) };
    let items = items(connection, id).await?;
    Ok(Some(with_items(row.into(), items)))
}

/// Finds the order that a principal created with an idempotency key. Returns the order, and the hash of its create
/// request.
pub(crate) async fn find_by_create_key(
    connection: &mut Connection,
    principal: &str,
    key: &str,
) -> Result<Option<(Order, Option<Vec<u8>>)>, DbError> {
    let created = orders::table.filter(orders::create_principal.eq(principal)).filter(orders::create_key.eq(key));
    let found = created.select((orders::id, orders::create_hash)).first(connection).await.optional()?;
    let Some((id, hash)) = found else { return Ok(None) };
    Ok(find(connection, OrderId::stored(id)).await?.map(|order| (order, hash)))
}

/// Returns the principals and idempotency keys, out of `keys`, with which an order was created.
pub(crate) async fn used_create_keys(
    connection: &mut Connection,
    keys: &[(&str, &str)],
) -> Result<Vec<(String, String)>, DbError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let columns = (orders::create_principal, orders::create_key.assume_not_null());
    let mut created = orders::table.select(columns).into_boxed();
    for (principal, key) in keys {
        created = created.or_filter(orders::create_principal.eq(*principal).and(orders::create_key.eq(*key)));
    }
    Ok(created.load(connection).await?)
}

/// Lists the items of an order, in ascending order of product ID.
pub(crate) async fn items(connection: &mut Connection, id: OrderId) -> Result<Vec<OrderItem>, DbError> {
    let of_order = order_items::table.filter(order_items::order_id.eq(id.get()));
    let rows: Vec<ItemRow> =
        of_order.order(order_items::product_id.asc()).select(ItemRow::as_select()).load(connection).await?;
    Ok(rows.into_iter().map(OrderItem::from).collect())
}

/// Combines an order with its items.
pub(crate) fn with_items(order: OrderSummary, items: Vec<OrderItem>) -> Order {
    let OrderSummary { id, customer_id, status, terms, confirmed_at, canceled_at, version } = order;
    Order { id, customer_id, status, terms, confirmed_at, canceled_at, version, items }
}

/// Locks an order's row. Returns the order, and the database time after the lock was granted.
pub(crate) async fn lock(
    connection: &mut Connection,
    id: OrderId,
) -> Result<Option<(OrderSummary, NaiveDateTime)>, DbError> {
    let locked = orders::table.find(id.get()).select((Row::as_select(), time_of_row())).for_update();
    let row: Option<(Row, NaiveDateTime)> = locked.cached().get_result(connection).await.optional()?;
    Ok(row.map(|(row, now)| (row.into(), now)))
}

/// Lists up to `rows` CREATED orders whose reservations have expired, oldest reservation first, starting after `after`.
/// Takes no locks: locking rows through this index would acquire locks in the opposite order to a confirmation.
pub(crate) async fn expired(
    connection: &mut Connection,
    after: Option<(NaiveDateTime, OrderId)>,
    rows: usize,
) -> Result<Vec<(NaiveDateTime, OrderId)>, DbError> {
    let until = orders::reserved_until.assume_not_null();
    let mut expired = orders::table.filter(is_expired()).select((until, orders::id)).into_boxed();
    if let Some((at, id)) = after {
        // The first condition is redundant, but lets an index scan start at it; the OR does not.
        expired = expired.filter(until.ge(at)).filter(until.gt(at).or(orders::id.gt(id.get())));
    }
    let oldest_first = expired.order((orders::reserved_until.asc(), orders::id.asc()));
    let rows: Vec<(NaiveDateTime, i64)> = oldest_first.limit(limit(rows)).cached().load(connection).await?;
    Ok(rows.into_iter().map(|(until, id)| (until, OrderId::stored(id))).collect())
}

/// Locks the row of a CREATED order whose reservation has expired. Returns `None` if there is no such order, or if
/// another transaction has locked its row.
pub(crate) async fn lock_expired(connection: &mut Connection, id: OrderId) -> Result<Option<OrderSummary>, DbError> {
    let expired = orders::table.find(id.get()).filter(is_expired()).select(Row::as_select());
    let row: Option<Row> = expired.for_update().skip_locked().cached().get_result(connection).await.optional()?;
    Ok(row.map(OrderSummary::from))
}

/// Filter for CREATED orders whose reservations have expired. An order without a reservation never expires.
#[diesel::dsl::auto_type(no_type_alias)]
fn is_expired() -> _ {
    let (created, now): (Status, SqlLiteral<Datetime>) = (Status(OrderStatus::Created), utc_now());
    orders::status.eq(created).and(orders::reserved_until.assume_not_null().le(now))
}

/// Builds the statement that changes the status of an order from CREATED to CONFIRMED. The caller must have locked the
/// row and found that its status is CREATED.
pub(crate) fn set_confirmed(id: OrderId, at: NaiveDateTime) -> String {
    format!(
        "UPDATE orders SET status = 'CONFIRMED', confirmed_at = '{at}', reserved_until = NULL, version = version + 1 \
         WHERE id = {id} AND status = 'CREATED'"
    )
}

/// Builds the statement that changes the status to CANCELED. The row must be locked and have been read with status
/// `from`.
pub(crate) fn set_canceled(id: OrderId, from: OrderStatus, at: NaiveDateTime) -> String {
    let from = Status(from).text();
    format!(
        "UPDATE orders SET status = 'CANCELED', canceled_at = '{at}', reserved_until = NULL, version = version + 1 \
         WHERE id = {id} AND status = '{from}'"
    )
}

/// Lists up to `rows` orders that match the query, newest first, starting after the position `after`.
pub(crate) async fn page(
    connection: &mut Connection,
    query: &OrderListQuery,
    after: Option<Position>,
    rows: usize,
) -> Result<Vec<OrderSummary>, DbError> {
    let mut orders = orders::table.select(Row::as_select()).into_boxed();
    if let Some(status) = query.status {
        orders = orders.filter(orders::status.eq(Status(status)));
    }
    if let Some(from) = query.from {
        orders = orders.filter(orders::created_at.ge(storable(from)));
    }
    if let Some(to) = query.to {
        orders = orders.filter(orders::created_at.lt(storable(to)));
    }
    if let Some(customer) = query.customer_id {
        orders = orders.filter(orders::customer_id.eq(customer.get()));
    }
    if let Some(reference) = &query.external_reference {
        let length = i64::try_from(reference.as_str().chars().count()).unwrap_or(i64::MAX);
        // Equality ignores trailing spaces, so the length is compared too.
        let has_length = sql::<Bool>("CHAR_LENGTH(external_reference) = ").bind::<BigInt, _>(length);
        orders = orders.filter(orders::external_reference.eq(reference.as_str())).filter(has_length);
    }
    if let Some(Position { sort, id }) = after {
        let at = storable(DateTime::from_timestamp_micros(sort).unwrap_or_default());
        // The first condition is redundant, but lets an index scan start at it; the OR does not.
        orders = orders.filter(orders::created_at.le(at)).filter(orders::created_at.lt(at).or(orders::id.lt(id)));
    }
    let newest_first = orders.order((orders::created_at.desc(), orders::id.desc()));
    let rows: Vec<Row> = newest_first.limit(limit(rows)).load(connection).await?;
    Ok(rows.into_iter().map(OrderSummary::from).collect())
}

/// Clamps a time to a range that DATETIME(6) can store. No order was created outside this range, so clamping does not
/// change the result of a comparison.
fn storable(time: Timestamp) -> NaiveDateTime {
    const YEAR_1000: i64 = -30_610_224_000_000_000;
    const YEAR_9999: i64 = 253_370_764_800_000_000;
    let micros = time.timestamp_micros().clamp(YEAR_1000, YEAR_9999);
    DateTime::from_timestamp_micros(micros).unwrap_or_default().naive_utc()
}
