//! Multi-row INSERTs with literal values.
//!
//! A statement with bound values takes two round trips (prepare and execute) unless it is already prepared, and each
//! number of rows requires a different statement. The server also describes every bound value, which for ten thousand
//! values takes longer than the insert itself. The rows are therefore written into the statement as literals, which the
//! driver quotes.

use std::fmt::{self, Write};
use std::time::Duration;

use chrono::NaiveDateTime;
use diesel_async::{AsyncMysqlConnection, SimpleAsyncConnection};

use crate::connect::NO_BACKSLASH_ESCAPES;
use crate::error::DbError;

/// INSERT statement with any number of rows.
pub struct Insert {
    sql: String,
    rows: usize,
    suffix: &'static str,
}

/// Value in a row.
pub enum Value {
    /// NULL, integer, text, bytes, or time with microsecond precision.
    Literal(mysql_async::Value),
    /// Current server time plus this duration.
    FromNow(Duration),
}

impl Insert {
    /// Creates an INSERT without rows. `target` is the table and its columns, such as `products (id, sku)`, or only the
    /// table if rows are added with [`Self::record`].
    pub fn into(target: &str) -> Self {
        Self { sql: format!("INSERT INTO {target}"), rows: 0, suffix: "" }
    }

    /// Appends `suffix` to the statement, such as `ON DUPLICATE KEY UPDATE`.
    pub fn ending_with(self, suffix: &'static str) -> Self {
        Self { suffix, ..self }
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row of named values. All rows must have the same columns in the same order.
    pub fn record(&mut self, columns: &[(&str, Value)]) {
        if self.rows == 0 {
            let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
            // Writing to a string cannot fail.
            let _ = write!(self.sql, " ({})", names.join(", "));
        }
        self.values(columns.iter().map(|(_, value)| value));
    }

    /// Adds a row.
    pub fn row(&mut self, values: &[Value]) {
        self.values(values);
    }

    fn values<'v>(&mut self, values: impl IntoIterator<Item = &'v Value>) {
        self.sql.push_str(if self.rows == 0 { " VALUES (" } else { ",(" });
        for (position, value) in values.into_iter().enumerate() {
            if position > 0 {
                self.sql.push(',');
            }
            // Writing to a string cannot fail.
            let _ = write!(self.sql, "{value}");
        }
        self.sql.push(')');
        self.rows += 1;
    }

    /// Executes the statement. Does nothing if the statement has no rows.
    ///
    /// # Errors
    ///
    /// Returns any [`DbError`] that a write can cause.
    pub async fn run(&self, connection: &mut AsyncMysqlConnection) -> Result<(), DbError> {
        run_all(connection, [self]).await
    }
}

/// Formats the value as SQL.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(value) => f.write_str(&value.as_sql(NO_BACKSLASH_ESCAPES)),
            Self::FromNow(offset) => write!(f, "UTC_TIMESTAMP(6) + INTERVAL {} MICROSECOND", offset.as_micros()),
        }
    }
}

/// Formats the statement. The result is empty if the statement has no rows.
impl fmt::Display for Insert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows == 0 { Ok(()) } else { write!(f, "{}{}", self.sql, self.suffix) }
    }
}

/// Executes statements in order in one round trip, up to the first one that fails.
///
/// # Errors
///
/// Returns any [`DbError`] that a write can cause.
pub async fn run_all(
    connection: &mut AsyncMysqlConnection,
    statements: impl IntoIterator<Item = impl fmt::Display>,
) -> Result<(), DbError> {
    let mut script = String::new();
    for statement in statements {
        let before = script.len();
        // Writing to a string cannot fail.
        let _ = write!(script, "{statement}");
        if script.len() > before {
            script.push(';');
        }
    }
    if !script.is_empty() {
        connection.batch_execute(&script).await?;
    }
    Ok(())
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Literal(bytes.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Literal(number.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Literal(text.into())
    }
}

impl From<NaiveDateTime> for Value {
    fn from(time: NaiveDateTime) -> Self {
        Self::Literal(time.into())
    }
}

impl<V: Into<Value>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Literal(mysql_async::Value::NULL), Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_name_their_columns() {
        let mut insert = Insert::into("t");
        insert.record(&[("a", 1.into()), ("b", "x".into())]);
        insert.record(&[("a", 2.into()), ("b", None::<&str>.into())]);
        assert_eq!(insert.sql, "INSERT INTO t (a, b) VALUES (1,'x'),(2,NULL)");
    }
}
