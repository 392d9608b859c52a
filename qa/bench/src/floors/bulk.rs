//! The bare bulk insert: rows as statements that are ready in memory, sent by as many connections as a seed uses.
//!
//! The rows are read back from a database that was seeded, and each table's are sorted by its primary key, so nothing here
//! knows how a seed makes them.

use std::collections::VecDeque;
use std::fmt::Write;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::task::JoinSet;

/// As many as the batches that a seed inserts at the same time.
const CONNECTIONS: usize = 4;

/// Of one statement, which is a transaction: as many as a seed inserts with a batch of orders.
const ROWS: usize = 8_000;

/// The tables that a seed fills, by the column that a page is sorted by. Those of a later stage refer to rows of an earlier.
const STAGES: [&[(&str, &str)]; 3] = [
    &[("customers", "id"), ("products", "id")],
    &[("orders", "id"), ("customer_prefixes", "prefix, customer_id"), ("product_prefixes", "prefix, product_id")],
    &[("order_items", "order_id, product_id"), ("order_events", "id"), ("stock_movements", "id")],
];

/// The rows of a database as statements.
pub(crate) struct Bulk {
    stages: Vec<Vec<Arc<str>>>,
    rows: usize,
}

impl Bulk {
    /// Writes out what the database has.
    ///
    /// # Errors
    ///
    /// Where it cannot be read.
    pub(crate) async fn read(url: &str) -> Result<Self> {
        let mut connection = Conn::from_url(url).await?;
        let mut bulk = Self { stages: Vec::new(), rows: 0 };
        for tables in STAGES {
            let mut of_tables = Vec::new();
            for (table, order) in tables {
                let (statements, rows) = statements(&mut connection, table, order).await?;
                bulk.rows += rows;
                of_tables.push(statements);
            }
            bulk.stages.push(in_turn(&of_tables));
        }
        connection.disconnect().await?;
        Ok(bulk)
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Inserts all of them into a database that has the tables and no rows.
    ///
    /// # Errors
    ///
    /// The first that a statement gives.
    pub(crate) async fn insert(&self, url: &str) -> Result<usize> {
        for statements in &self.stages {
            let queue = Arc::new(Mutex::new(VecDeque::from(statements.clone())));
            let mut workers = JoinSet::new();
            for _ in 0..CONNECTIONS {
                workers.spawn(work(Conn::from_url(url).await?, Arc::clone(&queue)));
            }
            while let Some(worked) = workers.join_next().await {
                worked??;
            }
        }
        Ok(self.rows)
    }
}

/// Sends statements until none is left.
async fn work(mut connection: Conn, queue: Arc<Mutex<VecDeque<Arc<str>>>>) -> Result<()> {
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    while let Some(statement) = next() {
        connection.query_drop(&*statement).await.context("a bare insert failed")?;
    }
    Ok(connection.disconnect().await?)
}

/// The rows of a table in this order, and how many there are.
async fn statements(connection: &mut Conn, table: &str, order: &str) -> Result<(Vec<Arc<str>>, usize)> {
    let select = format!("SELECT * FROM {table} ORDER BY {order}");
    let mut found = connection.exec_iter(select, ()).await?;
    let mut statements: Vec<Arc<str>> = Vec::new();
    let (mut statement, mut rows) = (String::new(), 0);
    while let Some(row) = found.next().await? {
        if rows % ROWS == 0 {
            statements.push(Arc::from(mem::take(&mut statement)));
        }
        statement.push_str(&if statement.is_empty() { format!("INSERT INTO {table} VALUES ") } else { ",".to_owned() });
        let values: Vec<_> = row.unwrap().iter().map(|value| value.as_sql(false)).collect();
        // Writing to a string does not fail.
        let _ = write!(statement, "({})", values.join(","));
        rows += 1;
    }
    statements.push(Arc::from(statement));
    statements.retain(|statement| !statement.is_empty());
    Ok((statements, rows))
}

/// One of each in turn, so that the connections seldom work on the same table.
fn in_turn(lists: &[Vec<Arc<str>>]) -> Vec<Arc<str>> {
    let longest = lists.iter().map(Vec::len).max().unwrap_or_default();
    (0..longest).flat_map(|index| lists.iter().filter_map(move |list| list.get(index).cloned())).collect()
}
