//! Recording of the statements that a service really sends, from the general query log of the database server.
//!
//! Statements that the service sent as text stay text. Executions of prepared statements are separated into SQL and values
//! again, so that a replay prepares them as well.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value};

use crate::system::System;

/// What the database received for one request, or in one transaction of a program.
pub(crate) type Operation = Vec<Statement>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statement {
    /// All of one packet, which may be several statements.
    pub(crate) sql: Arc<str>,
    /// If it is prepared.
    pub(crate) values: Option<Vec<Value>>,
}

#[derive(Debug, Default)]
pub(crate) struct Recording {
    /// Settings of each connection.
    pub(crate) session: String,
    pub(crate) operations: Vec<Operation>,
}

/// Connection that switches the log on and reads it.
pub(crate) struct Recorder(Conn);

impl Recorder {
    /// To be called before the service starts, as that prepares its statements once per connection.
    pub(crate) async fn start(system: &System) -> Result<Self> {
        let mut connection = Conn::new(system.options()?).await?;
        // Only MySQL has this setting, and only MySQL would log the statements of one packet one by one.
        let _ = connection.query_drop("SET GLOBAL log_raw = ON").await;
        connection.query_drop("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON").await?;
        Ok(Self(connection))
    }

    /// Ends an operation that inserted a row with this id; 0 if it inserted none. The first mark begins the recording.
    pub(crate) async fn mark(&mut self, id: i64) -> Result<()> {
        Ok(self.0.query_drop(format!("DO {id}")).await?)
    }

    pub(crate) async fn finish(self) -> Result<Recording> {
        let Self(mut connection) = self;
        connection.query_drop("SET GLOBAL general_log = OFF").await?;
        let id = connection.id();
        let log = format!("SELECT thread_id = {id}, command_type, argument FROM mysql.general_log");
        let log: Vec<(bool, String, Vec<u8>)> = connection.query(log).await.context("cannot read the log")?;
        connection.disconnect().await?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let log = log.into_iter().map(|(is_recorder, command, bytes)| (is_recorder, command, text(bytes)));
        let recording = Recording::parse(log.collect());
        ensure!(!recording.operations.is_empty(), "the log has no operations");
        Ok(recording)
    }
}

/// Row of the log: whether it is of the recorder, the command, and its text.
type Entry = (bool, String, String);

impl Recording {
    /// Operations end at the marks, or at each COMMIT if there are none.
    fn parse(log: Vec<Entry>) -> Self {
        let mark = |text: &str| text.strip_prefix("DO ").and_then(|id| id.parse().ok());
        let is_marked = log.iter().any(|(is_recorder, _, text)| *is_recorder && mark(text).is_some());
        let (mut recording, mut prepared) = (Self::default(), Vec::new());
        // None before the first mark.
        let mut current = (!is_marked).then(Vec::new);
        for (is_recorder, command, text) in log {
            match command.as_str() {
                "Query" if is_recorder => {
                    let Some(id) = mark(&text) else { continue };
                    recording.operations.extend(current.replace(Vec::new()).map(|done| with_insert_id(done, id)));
                }
                _ if is_recorder => {}
                "Prepare" if !prepared.contains(&text) => prepared.push(text),
                "Query" if text.starts_with("SET NAMES") => recording.session = text,
                "Query" | "Execute" => {
                    let Some(operation) = &mut current else { continue };
                    let is_end = !is_marked && text == "COMMIT";
                    let known = if command == "Execute" { prepared.as_slice() } else { &[] };
                    operation.push(statement(known, &text));
                    if is_end {
                        recording.operations.extend(current.replace(Vec::new()));
                    }
                }
                _ => {}
            }
        }
        if is_marked {
            // Requests of a case are alike. One with more statements than usual has those of a background job among its own.
            let mut lengths: Vec<_> = recording.operations.iter().map(Vec::len).collect();
            lengths.sort_unstable();
            let usual = lengths.get(lengths.len() / 2).copied();
            recording.operations.retain(|operation| Some(operation.len()) == usual);
        }
        recording
    }
}

/// The statement with its values, if it is an execution of a prepared one and these can be separated.
fn statement(prepared: &[String], text: &str) -> Statement {
    let execution = prepared.iter().find_map(|sql| Some((sql, values(sql, text)?)));
    let (sql, values) = execution.map_or((text, None), |(sql, values)| (sql, Some(values)));
    Statement { sql: Arc::from(sql), values }
}

/// The values that the log shows in place of the `?` of a prepared statement.
fn values(sql: &str, text: &str) -> Option<Vec<Value>> {
    let mut parts = sql.split('?');
    let mut rest = text.strip_prefix(parts.next()?)?;
    let mut values = Vec::new();
    for part in parts {
        let (value, after) = literal(rest)?;
        values.push(value);
        rest = after.strip_prefix(part)?;
    }
    rest.is_empty().then_some(values)
}

/// The literal at the beginning: NULL, an integer, or a text without escapes.
fn literal(text: &str) -> Option<(Value, &str)> {
    if let Some(quoted) = text.strip_prefix('\'') {
        let (value, rest) = quoted.split_once('\'')?;
        return (!value.contains('\\') && !rest.starts_with('\'')).then(|| (Value::from(value), rest));
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(text.len());
    let (literal, rest) = text.split_at(end);
    if literal == "NULL" { Some((Value::NULL, rest)) } else { Some((Value::Int(literal.parse().ok()?), rest)) }
}

/// Gives the row whose id the service asks for the id that it had, which later statements contain.
fn with_insert_id(mut operation: Operation, id: i64) -> Operation {
    let question = operation.iter().position(|statement| statement.sql.contains("LAST_INSERT_ID()"));
    if let Some(insert) = question.and_then(|question| question.checked_sub(1)) {
        let set = format!("SET INSERT_ID = {id}");
        if operation[insert].values.is_some() {
            operation.insert(insert, Statement { sql: Arc::from(set), values: None });
        } else {
            // In the same packet, so that it does not cost a round trip.
            operation[insert].sql = Arc::from(format!("{set};{}", operation[insert].sql));
        }
    }
    operation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(is_recorder: bool, command: &str, text: &str) -> Entry {
        (is_recorder, command.to_owned(), text.to_owned())
    }

    #[test]
    fn operations_lie_between_marks_and_insert_the_recorded_id() {
        let log = vec![
            entry(false, "Query", "SET NAMES utf8mb4"),
            entry(false, "Prepare", "SELECT a FROM t WHERE b = ? AND c = ?"),
            entry(false, "Query", "SELECT before"),
            entry(true, "Query", "DO 0"),
            entry(false, "Execute", "SELECT a FROM t WHERE b = -7 AND c = 'x y'"),
            entry(false, "Query", "INSERT INTO t VALUES (1)"),
            entry(false, "Query", "SELECT LAST_INSERT_ID()"),
            entry(true, "Query", "DO 42"),
            entry(true, "Query", "SET GLOBAL general_log = OFF"),
        ];
        let recording = Recording::parse(log);
        assert_eq!(recording.session, "SET NAMES utf8mb4");
        let statement = |sql: &str, values| Statement { sql: Arc::from(sql), values };
        let expected = vec![
            statement("SELECT a FROM t WHERE b = ? AND c = ?", Some(vec![Value::Int(-7), Value::from("x y")])),
            statement("SET INSERT_ID = 42;INSERT INTO t VALUES (1)", None),
            statement("SELECT LAST_INSERT_ID()", None),
        ];
        assert_eq!(recording.operations, [expected]);
    }

    #[test]
    fn operations_with_statements_of_background_jobs_are_dropped() {
        let mut log = vec![entry(true, "Query", "DO 0")];
        for id in ["DO 1", "DO 2", "DO 3"] {
            log.extend([entry(false, "Query", "UPDATE t"), entry(true, "Query", id)]);
        }
        log.insert(2, entry(false, "Query", "DELETE FROM expired"));
        assert_eq!(Recording::parse(log).operations.len(), 2);
    }

    #[test]
    fn transactions_end_at_their_commit() {
        let log =
            ["BEGIN", "INSERT", "COMMIT", "BEGIN", "COMMIT", "SELECT"].map(|text| entry(false, "Query", text)).to_vec();
        let recording = Recording::parse(log);
        assert_eq!(recording.operations.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2]);
    }

    #[test]
    fn values_that_cannot_be_separated_stay_text() {
        assert_eq!(values("SELECT ?", "SELECT NULL"), Some(vec![Value::NULL]));
        for (template, text) in [("SELECT ?", r"SELECT 'it\'s'"), ("SELECT ?", "SELECT 1.5"), ("SELECT 1", "SELECT 12")]
        {
            assert_eq!(values(template, text), None, "{text}");
        }
    }
}
