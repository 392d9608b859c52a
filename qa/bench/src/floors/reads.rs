//! One row by its id: the statement of the service, in a bare loop of diesel-async.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::Result;
use chrono::NaiveDateTime;
use db::connect::open_unpooled;
use db::schema::{customers, products};
use db::{Connection, DatabaseSettings};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Worker;

/// Whose rows are read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Table {
    /// As GET /customers/{id}.
    Customers,
    /// As GET /products/{id}.
    Products,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = customers)]
#[expect(dead_code, reason = "rows are read, not used")]
struct CustomerRow {
    id: i64,
    name: String,
    email: String,
    phone: Option<String>,
    version: i64,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = products)]
#[expect(dead_code, reason = "rows are read, not used")]
struct ProductRow {
    id: i64,
    sku: String,
    name: String,
    price_cents: i64,
    stock: i64,
    version: i64,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

struct Reader {
    connection: Connection,
    table: Table,
    ids: RangeInclusive<i64>,
}

impl Worker for Reader {
    async fn step(&mut self) -> Result<()> {
        let id = rand::random_range(self.ids.clone());
        let connection = &mut self.connection;
        match self.table {
            Table::Customers => {
                let live = customers::table.filter(customers::id.eq(id)).filter(customers::deleted_at.is_null());
                let _: CustomerRow = live.select(CustomerRow::as_select()).first(connection).await?;
            }
            Table::Products => {
                let _: ProductRow = products::table.find(id).select(ProductRow::as_select()).first(connection).await?;
            }
        }
        Ok(())
    }
}

/// Rows per second over so many connections.
///
/// # Errors
///
/// Where the database refuses.
pub(crate) async fn rate(
    url: &str,
    table: Table,
    ids: &RangeInclusive<i64>,
    connections: u16,
    length: Duration,
) -> Result<f64> {
    let settings = DatabaseSettings::from_url(url)?;
    let mut readers = Vec::new();
    for _ in 0..connections {
        readers.push(Reader { connection: open_unpooled(&settings).await?, table, ids: ids.clone() });
    }
    super::rate(readers, length).await
}
