//! Large INSERTs, written out as text.
//!
//! A statement with bound values is sent twice, to be prepared and to be carried out, unless its text was seen before: and
//! each number of rows is another text. The server also describes every bound value, which for ten thousand of them takes
//! longer than the insert itself. So where rows come in numbers they are written into the statement, and their texts quoted as
//! the session's `sql_mode` reads them, which `connect` sets.

use std::fmt::{self, Write};
use std::time::Duration;

use chrono::NaiveDateTime;
use diesel_async::{AsyncMysqlConnection, SimpleAsyncConnection};

use crate::error::DbError;

/// An INSERT of any number of rows.
pub struct Insert {
    sql: String,
    rows: usize,
    suffix: &'static str,
}

/// A value of a row.
pub enum Value<'a> {
    /// NULL.
    Null,
    /// An integer.
    Number(i64),
    /// A text, quoted.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A moment, to the microsecond.
    Time(NaiveDateTime),
    /// The moment so much later than now, by the server's clock.
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
    pub fn record(&mut self, columns: &[(&str, Value<'_>)]) {
        if self.rows == 0 {
            let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
            self.sql.push_str(&format!(" ({})", names.join(", ")));
        }
        self.values(columns.iter().map(|(_, value)| value));
    }

    /// Adds a row.
    pub fn row(&mut self, values: &[Value<'_>]) {
        self.values(values);
    }

    fn values<'v>(&mut self, values: impl IntoIterator<Item = &'v Value<'v>>) {
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

    fn bytes(&mut self, bytes: &[u8]) -> fmt::Result {
        self.sql.push_str("x'");
        bytes.iter().try_for_each(|byte| write!(self.sql, "{byte:02x}"))?;
        self.sql.write_char('\'')
    }

    fn value(&mut self, value: &Value<'_>) {
        // Writing to a string does not fail.
        let _ = match value {
            Value::Null => write!(self.sql, "NULL"),
            Value::Number(number) => write!(self.sql, "{number}"),
            Value::Text(text) => write!(self.sql, "'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
            Value::Bytes(bytes) => self.bytes(bytes),
            Value::Time(time) => write!(self.sql, "'{time}'"),
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

/// Runs statements in their order, in one trip to the server. The first that fails ends it.
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

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<NaiveDateTime> for Value<'_> {
    fn from(time: NaiveDateTime) -> Self {
        Self::Time(time)
    }
}

impl<'a, V: Into<Value<'a>>> From<Option<V>> for Value<'a> {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_leave_their_quotes() {
        let mut insert = Insert::into("t (a, b)").ending_with(" END");
        insert.row(&["it's \\".into(), 1.into()]);
        insert.row(&[Value::Null, chrono::DateTime::UNIX_EPOCH.naive_utc().into()]);
        let sql = "INSERT INTO t (a, b) VALUES ('it''s \\\\',1),(NULL,'1970-01-01 00:00:00')";
        assert_eq!((insert.sql.as_str(), insert.suffix), (sql, " END"));
    }

    #[test]
    fn rows_may_name_their_columns() {
        let mut insert = Insert::into("t");
        insert.record(&[("a", 1.into()), ("b", "x".into())]);
        insert.record(&[("a", 2.into()), ("b", Value::Null)]);
        assert_eq!(insert.sql, "INSERT INTO t (a, b) VALUES (1,'x'),(2,NULL)");
    }
}
