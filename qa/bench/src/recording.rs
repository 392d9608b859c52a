//! Recording of the statements that a service really sends, from the general query log of the database server.
//!
//! Statements that the service sent as text are kept as text; executions of prepared statements are split into their template
//! and values again, so that a replay prepares them as well.

use std::sync::Arc;

use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value};

use crate::system::System;

/// What the database received for one request, in order.
pub(crate) type Operation = Vec<Statement>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Statement {
    /// One packet of text, with one or more statements.
    Text(String),
    /// Execution of a prepared statement.
    Prepared(Arc<str>, Vec<Value>),
}

impl Statement {
    pub(crate) fn is_commit(&self) -> bool {
        *self == Self::Text("COMMIT".to_owned())
    }
}

/// Where an operation ends in the log.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum End {
    /// At a mark of the recorder.
    Mark,
    /// At each COMMIT.
    Commit,
}

/// The statements of some requests.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    /// Settings of each connection.
    pub(crate) session: String,
    /// All statements that were prepared.
    pub(crate) templates: Vec<Arc<str>>,
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

    pub(crate) async fn finish(self, end: End) -> Result<Recording> {
        let Self(mut connection) = self;
        connection.query_drop("SET GLOBAL general_log = OFF").await?;
        let id = connection.id();
        let log = format!("SELECT thread_id = {id}, command_type, argument FROM mysql.general_log");
        let log: Vec<(bool, String, Vec<u8>)> = connection.query(log).await.context("cannot read the log")?;
        connection.disconnect().await?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let log = log.into_iter().map(|(is_recorder, command, bytes)| (is_recorder, command, text(bytes)));
        Ok(Recording::parse(log.collect(), end))
    }
}

/// Row of the log: whether it is of the recorder, the command, and its text.
type Entry = (bool, String, String);

impl Recording {
    fn parse(log: Vec<Entry>, end: End) -> Self {
        let mut recording = Self::default();
        // None before the first mark.
        let mut current = (end == End::Commit).then(Vec::new);
        for (is_recorder, command, text) in log {
            match command.as_str() {
                "Query" if is_recorder => {
                    let Some(id) = text.strip_prefix("DO ").and_then(|id| id.parse().ok()) else { continue };
                    recording.operations.extend(current.replace(Vec::new()).map(|done| with_insert_id(done, id)));
                }
                _ if is_recorder => {}
                "Prepare" => recording.prepare(text),
                "Query" if text.starts_with("SET NAMES") => recording.session = text,
                "Query" | "Execute" => {
                    let Some(operation) = &mut current else { continue };
                    let is_end = end == End::Commit && text == "COMMIT";
                    operation.push(if command == "Execute" { recording.bind(text) } else { Statement::Text(text) });
                    if is_end {
                        recording.operations.extend(current.replace(Vec::new()));
                    }
                }
                _ => {}
            }
        }
        if end == End::Mark {
            // Requests of a case are alike. One with more statements than usual has those of a background job among its own.
            let mut lengths: Vec<_> = recording.operations.iter().map(Vec::len).collect();
            lengths.sort_unstable();
            let usual = lengths.get(lengths.len() / 2).copied();
            recording.operations.retain(|operation| Some(operation.len()) == usual);
        }
        recording
    }

    fn prepare(&mut self, template: String) {
        if !self.templates.iter().any(|known| **known == *template) {
            self.templates.push(Arc::from(template));
        }
    }

    /// The execution with its template. It stays text if its values cannot be told apart.
    fn bind(&self, text: String) -> Statement {
        let bound = self.templates.iter().find_map(|template| Some((template, values(template, &text)?)));
        match bound {
            Some((template, values)) => Statement::Prepared(Arc::clone(template), values),
            None => Statement::Text(text),
        }
    }
}

/// The values that the log shows in place of the `?` of a template.
fn values(template: &str, text: &str) -> Option<Vec<Value>> {
    let mut parts = template.split('?');
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

/// Gives the row that a service asks the id of the id that it had, as later statements name it.
fn with_insert_id(mut operation: Operation, id: i64) -> Operation {
    let text = |statement: &Statement| match statement {
        Statement::Text(text) => text.contains("LAST_INSERT_ID()"),
        Statement::Prepared(template, _) => template.contains("LAST_INSERT_ID()"),
    };
    if let Some(insert) = operation.iter().position(text).and_then(|question| question.checked_sub(1)) {
        let set = format!("SET INSERT_ID = {id}");
        if let Statement::Text(text) = &mut operation[insert] {
            // In the same packet, so that it does not cost a round trip.
            *text = format!("{set};{text}");
        } else {
            operation.insert(insert, Statement::Text(set));
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
        let recording = Recording::parse(log, End::Mark);
        assert_eq!(recording.session, "SET NAMES utf8mb4");
        let expected = vec![
            Statement::Prepared(Arc::clone(&recording.templates[0]), vec![Value::Int(-7), Value::from("x y")]),
            Statement::Text("SET INSERT_ID = 42;INSERT INTO t VALUES (1)".to_owned()),
            Statement::Text("SELECT LAST_INSERT_ID()".to_owned()),
        ];
        assert_eq!(recording.operations, [expected]);
    }

    #[test]
    fn transactions_end_at_their_commit() {
        let log =
            ["BEGIN", "INSERT", "COMMIT", "BEGIN", "COMMIT", "SELECT"].map(|text| entry(false, "Query", text)).to_vec();
        let recording = Recording::parse(log, End::Commit);
        assert_eq!(recording.operations.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2]);
    }

    #[test]
    fn values_that_cannot_be_told_apart_stay_text() {
        assert_eq!(values("SELECT ?", "SELECT NULL"), Some(vec![Value::NULL]));
        for (template, text) in [("SELECT ?", r"SELECT 'it\'s'"), ("SELECT ?", "SELECT 1.5"), ("SELECT 1", "SELECT 12")]
        {
            assert_eq!(values(template, text), None, "{text}");
        }
    }
}
