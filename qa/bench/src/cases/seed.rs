//! `db seed --scale` against its own statements, replayed over as many connections.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Bench;
use crate::baseline::Baseline;
use crate::results::{Results, Rounds, Target};
use crate::system::System;

/// Connections that a seed uses.
const CONNECTIONS: u8 = 4;

pub(super) async fn seed(bench: &Bench, results: &mut Results) -> Result<()> {
    let system = System::start(&bench.program, &bench.directory.join("seed"), [10, 10, 10]).await?;
    // With everything that belongs to an order about ten times as many rows.
    let scale = ["seed", "--scale", if bench.is_quick { "20000" } else { "100000" }];
    let before = rows(&system).await?;
    let baseline = Baseline::record_program(&system, system.db(System::DATABASE, &scale, 1)).await?;
    let rows = rows(&system).await? - before;
    println!("{rows} rows");
    let value = async || {
        for arguments in [&["migrate", "up"][..], &["seed"]] {
            system.db("seeded", arguments, 1).await?;
        }
        let begin = Instant::now();
        system.db("seeded", &scale, CONNECTIONS).await?;
        let rate = rows / begin.elapsed().as_secs_f64();
        system.query::<i64>("DROP DATABASE seeded").await?;
        Ok(rate)
    };
    let replay = async || Ok(rows / baseline.replay(CONNECTIONS.into(), Duration::ZERO).await?.elapsed.as_secs_f64());
    let rounds = Rounds::alternate(bench.rounds, value, replay).await?;
    results.add("seed", &system.engine, "rows/s", &rounds, Some(Target::AtLeast(0.5)));
    results.audit(&system.database_url()?).await?;
    system.stop().await
}

/// Rows of all tables.
async fn rows(system: &System) -> Result<f64> {
    let mut rows = 0.0;
    for table in system.tables().await? {
        rows += system
            .query::<u32>(&format!("SELECT COUNT(*) FROM {table}"))
            .await?
            .into_iter()
            .map(f64::from)
            .sum::<f64>();
    }
    Ok(rows)
}
