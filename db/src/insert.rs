//! INSERTs of many rows, written out as text.
//!
//! A statement with bound values takes two round trips, to prepare and to execute it, unless its text was seen before, and
//! each number of rows is another text. The server also describes every bound value, which for ten thousand of them takes
//! longer than the insert itself. So rows are written into the statement, as literals of the driver.

use std::fmt::{self, Write};
use std::time::Duration;

use chrono::NaiveDateTime;
use diesel_async::{AsyncMysqlConnection, SimpleAsyncConnection};

use crate::connect::NO_BACKSLASH_ESCAPES;
use crate::error::DbError;

/// An INSERT of any number of rows.
pub struct Insert {
    sql: String,
    rows: usize,
    suffix: &'static str,
}

/// A value of a row.
pub enum Value {
    /// NULL, an integer, a text, bytes, or a time to the microsecond.
    Literal(mysql_async::Value),
    /// The time so much later than now, by the server's clock.
    FromNow(Duration),
}

impl Insert {
    /// An INSERT without rows. `target` is the table and its columns, `products (id, sku)`; the table alone where each row
    /// names them.
    pub fn into(target: &str) -> Self {
        Self { sql: format!("INSERT INTO {target}"), rows: 0, suffix: "" }
    }

    /// Ends the statement with `suffix`.
    pub fn ending_with(self, suffix: &'static str) -> Self {
        Self { suffix, ..self }
    }

    /// How many rows it has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row whose values name their columns. All rows of a statement name the same columns in the same order.
    pub fn record(&mut self, columns: &[(&str, Value)]) {
        if self.rows == 0 {
            let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
            // Writing to a string does not fail.
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
            self.value(value);
        }
        self.sql.push(')');
        self.rows += 1;
    }

    /// Runs it, unless it has no rows.
    ///
    /// # Errors
    ///
    /// Any [`DbError`] of a write.
    pub async fn run(&self, connection: &mut AsyncMysqlConnection) -> Result<(), DbError> {
        run_all(connection, [self]).await
    }

    fn value(&mut self, value: &Value) {
        // Writing to a string does not fail.
        let _ = match value {
            Value::Literal(value) => write!(self.sql, "{}", value.as_sql(NO_BACKSLASH_ESCAPES)),
            Value::FromNow(wait) => {
                write!(self.sql, "UTC_TIMESTAMP(6) + INTERVAL {} MICROSECOND", wait.as_micros())
            }
        };
    }
}

/// The statement; nothing without rows.
impl fmt::Display for Insert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows == 0 { Ok(()) } else { write!(f, "{}{}", self.sql, self.suffix) }
    }
}

/// Runs statements in their order, in one round trip. The first that fails ends it.
///
/// # Errors
///
/// Any [`DbError`] of a write.
pub async fn run_all(
    connection: &mut AsyncMysqlConnection,
    statements: impl IntoIterator<Item = impl fmt::Display>,
) -> Result<(), DbError> {
    let mut script = String::new();
    for statement in statements {
        let before = script.len();
        // Writing to a string does not fail.
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
    fn rows_may_name_their_columns() {
        let mut insert = Insert::into("t");
        insert.record(&[("a", 1.into()), ("b", "x".into())]);
        insert.record(&[("a", 2.into()), ("b", None::<&str>.into())]);
        assert_eq!(insert.sql, "INSERT INTO t (a, b) VALUES (1,'x'),(2,NULL)");
    }
}
