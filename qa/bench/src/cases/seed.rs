//! The seed's rows by the seed, against the same rows as statements that were written out beforehand.

use anyhow::{Context, Result};
use db::{DatabaseSettings, Db, migrations};
use db_cli::seed::{Size, seed_orders};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::time::Instant;

use super::Bench;
use crate::floors::bulk::Bulk;
use crate::outcome::{Results, Target};
use crate::stats::alternate;
use crate::system::System;

/// Of a bare bulk insert.
const TARGET: Target = Target::AtLeast(0.5);
/// The database that is filled.
const NAME: &str = "seed";
/// With their customers, products, items, events, movements and prefixes more than a million rows.
const FULL: u32 = 100_000;
const QUICK: u32 = 20_000;

/// Generated orders, as `db seed --scale` makes them, into an empty database.
pub(crate) async fn seed(bench: &mut Bench, results: &mut Results) -> Result<()> {
    let size = Size::of_orders(if bench.lengths.is_quick { QUICK } else { FULL });
    let system = System::start_database(&bench.program, &bench.directory.join("seed")).await?;
    let url = system.database_url()?;
    let generate = async |url: &str| {
        let db = Db::connect(&DatabaseSettings::from_url(url)?);
        Ok(seed_orders(&db, size, |_| {}).await?)
    };
    let (_, bulk) = filling(&url, async |url| {
        generate(url).await?;
        Bulk::read(url).await
    })
    .await?;
    println!("{} rows", bulk.rows());
    let value = async || rate(&url, generate).await;
    let floor = async || rate(&url, async |url| bulk.insert(url).await).await;
    let rounds = alternate(bench.lengths.rounds, value, floor).await?;
    results.add(rounds.outcome("seed", &system.engine, "rows/s", Some(TARGET)));
    system.stop().await
}

/// How many rows per second that inserts.
async fn rate(url: &str, insert: impl AsyncFnOnce(&str) -> Result<usize>) -> Result<f64> {
    let (seconds, rows) = filling(url, insert).await?;
    Ok(f64::from(u32::try_from(rows)?) / seconds)
}

/// Gives it the URL of a database with all tables and no rows, which is dropped afterwards, and says how many seconds it
/// took.
async fn filling<T>(url: &str, fill: impl AsyncFnOnce(&str) -> Result<T>) -> Result<(f64, T)> {
    let (server, _) = url.rsplit_once('/').context("the URL names no database")?;
    let url = format!("{server}/{NAME}");
    migrations::up(&DatabaseSettings::from_url(&url)?).await.context("cannot make the tables")?;
    let begin = Instant::now();
    let filled = fill(&url).await?;
    let seconds = begin.elapsed().as_secs_f64();
    let mut connection = Conn::from_url(&url).await?;
    connection.query_drop(format!("DROP DATABASE {NAME}")).await?;
    connection.disconnect().await?;
    Ok((seconds, filled))
}
