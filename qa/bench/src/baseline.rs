//! Replay of recorded statements over plain connections: no service, no HTTP, no pool.
//!
//! It works on a copy of the database as it was before the recording, which is restored before each replay.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder};
use serde_json::Value;

use crate::load::{Measured, Plan, Target, measure};
use crate::recording::{Operation, Recorder, Recording, Statement};
use crate::requests::{Connection, Message};
use crate::system::System;

/// Lock wait timeout, deadlock, and a reference to a row of a transaction still in flight: as services do, retry.
const TRANSIENT: [u16; 3] = [1205, 1213, 1452];

/// Recorded operations, ready for replay.
#[derive(Clone)]
pub(crate) struct Baseline {
    recording: Arc<Recording>,
    options: OptsBuilder,
    /// Statements that restore the database.
    restore: String,
}

impl Baseline {
    /// Sends requests one by one, and records the statements of each.
    pub(crate) async fn record(
        system: &System,
        mut recorder: Recorder,
        mut connection: Connection,
        requests: impl Iterator<Item = Message>,
    ) -> Result<Self> {
        let restore = take_snapshot(system).await?;
        recorder.mark(0).await?;
        for request in requests {
            let response: Value = serde_json::from_slice(&connection.call(request).await?)?;
            recorder.mark(response["id"].as_i64().unwrap_or_default()).await?;
        }
        Self::new(system, recorder.finish().await?, restore)
    }

    /// Records the transactions of a program that uses one connection.
    pub(crate) async fn record_program(system: &System, run: impl Future<Output = Result<()>>) -> Result<Self> {
        let restore = take_snapshot(system).await?;
        let recorder = Recorder::start(system).await?;
        run.await?;
        Self::new(system, recorder.finish().await?, restore)
    }

    fn new(system: &System, recording: Recording, restore: String) -> Result<Self> {
        let options = system.options()?.db_name(Some("replayed")).init(vec![recording.session.clone()]);
        Ok(Self { recording: Arc::new(recording), options, restore })
    }

    /// Replays each operation once, or reads again and again for this long.
    pub(crate) async fn replay(&self, connections: u16, length: Duration) -> Result<Measured> {
        let mut connection = Conn::new(self.options.clone()).await?;
        connection.query_drop(&self.restore).await.context("cannot restore the database")?;
        connection.disconnect().await?;
        let operations = &self.recording.operations;
        let is_read = !operations.iter().flatten().any(|statement| &*statement.sql == "COMMIT");
        let plan = if is_read { Plan::For(length) } else { Plan::Count(u64::try_from(operations.len())?) };
        measure(self.clone(), connections, plan).await
    }
}

impl Target for Baseline {
    type Client = Conn;

    /// The statements are prepared before the clock starts.
    async fn connect(&self) -> Result<Conn> {
        let mut connection = Conn::new(self.options.clone()).await?;
        for statement in self.recording.operations[0].iter().filter(|statement| statement.values.is_some()) {
            connection.prep(&*statement.sql).await?;
        }
        Ok(connection)
    }

    async fn execute(&self, connection: &mut Conn, number: u64) -> Result<()> {
        let operations = &self.recording.operations;
        let operation = &operations[usize::try_from(number)? % operations.len()];
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

/// Copies the database and creates the one for replays. Returns the statements that fill the latter from the copy.
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
