//! Baseline: records the SQL statements that a service sends, and replays them without the service, HTTP or its pool.
//!
//! Statements are read from the database server's general query log. Text statements remain text. Executions of
//! prepared statements are converted back to SQL with parameters, so that the replay also prepares them. A replay uses
//! a copy of the database as it was before the recording; the copy is restored before each replay.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use harness::Service;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder, Value};

use crate::load::{Measured, Plan, Target, measure};
use crate::requests::Load;
use crate::system::System;

/// Errors that the services retry: lock wait timeout, deadlock, and a reference to a row of an uncommitted transaction.
const TRANSIENT: [u16; 3] = [1205, 1213, 1452];

/// Recorded operations that can be replayed.
#[derive(Clone)]
pub(crate) struct Baseline {
    operations: Arc<[Operation]>,
    options: OptsBuilder,
    restore: String,
}

impl Baseline {
    /// Sends requests to a service sequentially, and records the statements that each request causes.
    pub(crate) async fn of_requests(system: &mut System, service: Service, load: &Load, count: usize) -> Result<Self> {
        let send = async |system: &mut System, log: &mut Conn| {
            // Warm up, because each connection prepares its statements only once.
            system.start_service(service).await?;
            let mut connection = load.connect().await?;
            log.query_drop("DO 0").await?;
            for number in 0..count {
                let response: serde_json::Value = serde_json::from_slice(&load.send(&mut connection, number).await?)?;
                log.query_drop(format!("DO {}", response["id"].as_i64().unwrap_or_default())).await?;
            }
            anyhow::Ok(())
        };
        Self::record(system, send).await
    }

    /// Records the statements sent while `run` executes. They come either from a program on one connection, or from
    /// requests separated by marks. The mark `DO 7` ends a request that inserted a row with the ID 7; `DO 0` ends a
    /// request that inserted no row. The first mark starts the recording.
    pub(crate) async fn record(
        system: &mut System,
        run: impl AsyncFnOnce(&mut System, &mut Conn) -> Result<()>,
    ) -> Result<Self> {
        let restore = take_snapshot(system).await?;
        let mut log = Conn::new(system.options()?).await?;
        // Only MySQL has this setting. If it is off, MySQL logs each statement of a packet separately.
        let _ = log.query_drop("SET GLOBAL log_raw = ON").await;
        log.query_drop("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON").await?;
        run(system, &mut log).await?;
        log.query_drop("SET GLOBAL general_log = OFF").await?;
        let id = log.id();
        let entries = format!("SELECT thread_id = {id}, command_type, argument FROM mysql.general_log");
        let entries: Vec<(bool, String, Vec<u8>)> = log.query(entries).await.context("cannot read the log")?;
        log.disconnect().await?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let entries = entries.into_iter().map(|(is_mark, command, bytes)| (is_mark, command, text(bytes)));
        let (session, operations) = parse(&entries.collect::<Vec<_>>());
        ensure!(!operations.is_empty(), "the log has no operations");
        let options = system.options()?.db_name(Some("replayed")).init(vec![session]);
        Ok(Self { operations: operations.into(), options, restore })
    }

    /// Replays each operation once if the operations write data; otherwise repeats the reads for this duration.
    pub(crate) async fn replay(&self, connections: u16, length: Duration) -> Result<Measured> {
        let mut connection = Conn::new(self.options.clone()).await?;
        connection.query_drop(&self.restore).await.context("cannot restore the database")?;
        connection.disconnect().await?;
        let is_write = self.operations.iter().flatten().any(|statement| &*statement.sql == "COMMIT");
        let plan = if is_write { Plan::Count(self.operations.len()) } else { Plan::For(length) };
        measure(self.clone(), connections, plan).await
    }
}

impl Target for Baseline {
    type Client = Conn;

    /// Connects and prepares the statements before time measurement starts.
    async fn connect(&self) -> Result<Conn> {
        let mut connection = Conn::new(self.options.clone()).await?;
        for statement in self.operations[0].iter().filter(|statement| statement.values.is_some()) {
            connection.prep(&*statement.sql).await?;
        }
        Ok(connection)
    }

    async fn execute(&self, connection: &mut Conn, number: usize) -> Result<()> {
        let operation = &self.operations[number % self.operations.len()];
        loop {
            match attempt(connection, operation).await {
                Err(Error::Server(error)) if TRANSIENT.contains(&error.code) => {
                    connection.query_drop("ROLLBACK").await?;
                }
                done => return done.map_err(|error| anyhow!("a recorded statement fails: {error}")),
            }
        }
    }
}

async fn attempt(connection: &mut Conn, operation: &Operation) -> mysql_async::Result<()> {
    for Statement { sql, values } in operation {
        match values {
            None => connection.query_drop(&**sql).await?,
            Some(values) => connection.exec_drop(&**sql, values.clone()).await?,
        }
    }
    Ok(())
}

/// Copies the database. Creates a replay database, and returns the statements that fill it from the copy.
async fn take_snapshot(system: &System) -> Result<String> {
    system.db("replayed", &["migrate", "up"], 1).await?;
    let mut copy = "CREATE DATABASE snapshot".to_owned();
    let mut restore = "SET foreign_key_checks = 0".to_owned();
    for table in system.tables().await? {
        copy += &format!(
            "; CREATE TABLE snapshot.{table} LIKE {table}; INSERT INTO snapshot.{table} SELECT * FROM {table}"
        );
        restore += &format!("; TRUNCATE {table}; INSERT INTO {table} SELECT * FROM snapshot.{table}");
    }
    system.query::<i64>(&copy).await?;
    Ok(restore)
}

/// Statements of one request, or of one transaction in a program.
type Operation = Vec<Statement>;

#[derive(Clone, Debug, PartialEq)]
struct Statement {
    /// Text of one packet, which may contain several statements.
    sql: Arc<str>,
    /// Parameter values of a prepared statement.
    values: Option<Vec<Value>>,
}

/// Log row: whether it belongs to the recorder's connection, the command, and the command's text.
type Entry = (bool, String, String);

/// Returns the session settings and the operations, which end at a mark or, in a log without marks, at COMMIT.
fn parse(log: &[Entry]) -> (String, Vec<Operation>) {
    let is_session = |text: &str| text.starts_with("SET NAMES");
    let of_service =
        || log.iter().filter(|(is_recorder, ..)| !is_recorder).map(|(_, command, text)| (&**command, text));
    let session = of_service().rfind(|(_, text)| is_session(text)).map(|(_, text)| text.clone()).unwrap_or_default();
    let prepared: BTreeSet<_> = of_service().filter(|(command, _)| *command == "Prepare").map(|(_, sql)| sql).collect();
    let statement = |(is_recorder, command, text): &Entry| match command.as_str() {
        "Query" if !is_recorder && !is_session(text) => Some(Statement { sql: Arc::from(&**text), values: None }),
        "Execute" => {
            let execution = prepared.iter().find_map(|sql| Some((*sql, values(sql, text)?)));
            let (sql, values) = execution.map_or((text, None), |(sql, values)| (sql, Some(values)));
            Some(Statement { sql: Arc::from(&**sql), values })
        }
        _ => None,
    };
    let operation = |entries: &[Entry]| entries.iter().filter_map(statement).collect::<Operation>();
    let mark = |(is_recorder, _, text): &Entry| text.strip_prefix("DO ").filter(|_| *is_recorder)?.parse().ok();
    let marks: Vec<i64> = log.iter().filter_map(mark).collect();
    if marks.is_empty() {
        let is_end = |(.., text): &Entry| text == "COMMIT";
        let ended = log.split_inclusive(is_end).filter(|entries| entries.last().is_some_and(is_end));
        return (session, ended.map(operation).collect());
    }
    // Statements before the first mark and after the last one belong to no operation.
    let between = log.split(|entry| mark(entry).is_some()).skip(1).zip(&marks[1..]);
    let mut operations: Vec<_> = between.map(|(entries, id)| with_insert_id(operation(entries), *id)).collect();
    // All requests of a case cause equally many statements; more include statements of a background job.
    let mut lengths: Vec<_> = operations.iter().map(Vec::len).collect();
    lengths.sort_unstable();
    let median = lengths.get(lengths.len() / 2).copied();
    operations.retain(|operation| Some(operation.len()) == median);
    (session, operations)
}

/// Returns the values that the log shows in place of the `?` placeholders of a prepared statement.
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

/// Parses a literal at the start of the text: NULL, an integer, or a string without escapes.
fn literal(text: &str) -> Option<(Value, &str)> {
    if let Some(quoted) = text.strip_prefix('\'') {
        let (value, rest) = quoted.split_once('\'')?;
        return (!value.contains('\\') && !rest.starts_with('\'')).then(|| (Value::from(value), rest));
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(text.len());
    let (literal, rest) = text.split_at(end);
    if literal == "NULL" { Some((Value::NULL, rest)) } else { Some((Value::Int(literal.parse().ok()?), rest)) }
}

/// Forces the recorded ID onto the row whose `LAST_INSERT_ID()` the service reads: later statements contain that ID.
fn with_insert_id(mut operation: Operation, id: i64) -> Operation {
    let query = operation.iter().position(|statement| statement.sql.contains("LAST_INSERT_ID()"));
    if let Some(insert) = query.and_then(|query| query.checked_sub(1)) {
        let set = format!("SET INSERT_ID = {id}");
        if operation[insert].values.is_some() {
            operation.insert(insert, Statement { sql: Arc::from(set), values: None });
        } else {
            // Send the setting in the same packet, to avoid an extra round trip.
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
    fn operations_are_split_at_marks_and_insert_the_recorded_id() {
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
        let (session, operations) = parse(&log);
        assert_eq!(session, "SET NAMES utf8mb4");
        let statement = |sql: &str, values| Statement { sql: Arc::from(sql), values };
        let expected = vec![
            statement("SELECT a FROM t WHERE b = ? AND c = ?", Some(vec![Value::Int(-7), Value::from("x y")])),
            statement("SET INSERT_ID = 42;INSERT INTO t VALUES (1)", None),
            statement("SELECT LAST_INSERT_ID()", None),
        ];
        assert_eq!(operations, [expected]);
    }

    #[test]
    fn operations_with_statements_of_background_jobs_are_dropped() {
        let mut log = vec![entry(true, "Query", "DO 0")];
        for id in ["DO 1", "DO 2", "DO 3"] {
            log.extend([entry(false, "Query", "UPDATE t"), entry(true, "Query", id)]);
        }
        log.insert(2, entry(false, "Query", "DELETE FROM expired"));
        assert_eq!(parse(&log).1.len(), 2);
    }

    #[test]
    fn transactions_end_at_their_commit() {
        let log =
            ["BEGIN", "INSERT", "COMMIT", "BEGIN", "COMMIT", "SELECT"].map(|text| entry(false, "Query", text)).to_vec();
        let (_, operations) = parse(&log);
        assert_eq!(operations.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2]);
    }

    #[test]
    fn values_that_cannot_be_parsed_stay_text() {
        assert_eq!(values("SELECT ?", "SELECT NULL"), Some(vec![Value::NULL]));
        for (template, text) in [("SELECT ?", r"SELECT 'it\'s'"), ("SELECT ?", "SELECT 1.5"), ("SELECT 1", "SELECT 12")]
        {
            assert_eq!(values(template, text), None, "{text}");
        }
    }
}
