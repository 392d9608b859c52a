//! Pages and searches at many rows against the same at few: what the page costs, not what is in the table.
//!
//! There is a system for each number of rows, all with the same generated rows, and each request is sent to all of them
//! in turn, on one connection each. The value is the time at the most rows, the floor the time at the fewest.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use db::{DatabaseSettings, Db};
use db_cli::seed::{Size, seed_orders};
use harness::Service;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde_json::Value;
use tokio::time::Instant;

use super::Bench;
use super::questions::{self, Place, Question};
use crate::outcome::{Results, Series, Target};
use crate::stats::{Rounds, median};
use crate::system::System;

const TARGET: Target = Target::AtMost(1.5);

/// How many customers, products and orders there are, each.
const FULL: [u32; 3] = [1_000, 30_000, 1_000_000];
const QUICK: [u32; 3] = [1_000, 10_000, 100_000];

/// Requests in each round.
const REQUESTS: u32 = 40;
/// Of a page that is measured.
const LIMIT: usize = 20;
/// Of a page on the way to the last.
const LARGEST: usize = 100;

/// A system with so many rows of each kind.
struct Shelf {
    rows: u32,
    system: System,
    http: reqwest::Client,
    token: String,
}

/// All questions at all sizes.
pub(crate) async fn lists(bench: &mut Bench, results: &mut Results) -> Result<()> {
    let mut shelves = Vec::new();
    for rows in if bench.lengths.is_quick { QUICK } else { FULL } {
        shelves.push(Shelf::fill(bench, rows).await?);
    }
    let engine = shelves[0].system.engine.clone();
    // The target is about a million rows.
    let target = (!bench.lengths.is_quick).then_some(TARGET);
    for question in questions::ALL {
        let mut urls = Vec::new();
        for shelf in &mut shelves {
            shelf.token = shelf.system.token().await?;
            urls.push(shelf.url(question).await?);
        }
        let rounds = measure(&shelves, &urls, bench.lengths.rounds).await.with_context(|| question.case.to_owned())?;
        let points = shelves.iter().zip(&rounds).map(|(shelf, times)| (f64::from(shelf.rows), median(times)));
        results.series.push(Series {
            name: question.case.to_owned(),
            x_label: question.rows,
            y_label: "median latency, ms",
            points: points.collect(),
        });
        if let [few, .., many] = rounds.as_slice() {
            let rounds = Rounds { values: many.clone(), floors: few.clone() };
            results.add(rounds.outcome(&format!("lists/{}", question.case), &engine, "ms", target));
        }
    }
    for shelf in shelves {
        shelf.system.stop().await?;
    }
    Ok(())
}

/// The median of each round at each size, in milliseconds.
async fn measure(shelves: &[Shelf], urls: &[String], rounds: u32) -> Result<Vec<Vec<f64>>> {
    let mut medians = vec![Vec::new(); shelves.len()];
    // What was not looked at yet has to be read from the disk once: the first round does not count.
    for round in 0..=rounds {
        let mut times = vec![Vec::new(); shelves.len()];
        for _ in 0..REQUESTS {
            for ((shelf, url), times) in shelves.iter().zip(urls).zip(&mut times) {
                let begin = Instant::now();
                shelf.get(url).await?;
                times.push(begin.elapsed().as_secs_f64() * 1e3);
            }
        }
        if round > 0 {
            medians.iter_mut().zip(&times).for_each(|(medians, times)| medians.push(median(times)));
        }
    }
    Ok(medians)
}

impl Shelf {
    async fn fill(bench: &Bench, rows: u32) -> Result<Self> {
        let directory = directory(bench, rows);
        let complete = directory.join("complete");
        let is_kept = complete.exists();
        ensure!(is_kept || !directory.exists(), "an earlier run was interrupted: remove {}", directory.display());
        let mut system = System::start_database(&bench.program, &directory).await?;
        let url = system.database_url()?;
        forget_admin(&url).await?;
        if !is_kept {
            make(&url, rows).await?;
            File::create(complete)?;
        }
        for service in [Service::Customers, Service::Orders] {
            system.start_service(service).await?;
        }
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        Ok(Self { rows, system, http, token: String::new() })
    }

    /// Where the question is answered here.
    async fn url(&self, question: &Question) -> Result<String> {
        let base = format!("{}/{}?", self.system.base_url(question.service)?, question.path);
        let filter = match question.sql {
            None => question.filter.to_owned(),
            Some(sql) => self.fill_in(question.filter, sql).await?,
        };
        let list = format!("{base}{filter}");
        match question.place {
            Place::First => Ok(format!("{list}&limit={LIMIT}")),
            Place::Last => Ok(format!("{list}&limit={LIMIT}{}", self.last_page(&list).await?)),
        }
    }

    /// The filter with what this statement finds in place of `{}`, one after the other.
    async fn fill_in(&self, filter: &str, sql: &str) -> Result<String> {
        let mut connection = Conn::from_url(self.system.database_url()?).await?;
        let found: Vec<String> = connection.query(sql).await?;
        connection.disconnect().await?;
        ensure!(found.len() == filter.matches("{}").count(), "the rows have nothing for {filter}");
        Ok(found.iter().fold(filter.to_owned(), |filter, value| filter.replacen("{}", value, 1)))
    }

    /// The cursor of the last full page, found by following the list to its end: in large pages, then in those that are
    /// measured. Empty where there is but one page.
    async fn last_page(&self, list: &str) -> Result<String> {
        let mut start = String::new();
        for limit in [LARGEST, LIMIT] {
            let mut cursor = start.clone();
            loop {
                let page = self.get(&format!("{list}&limit={limit}{cursor}")).await?;
                if page["data"].as_array().map_or(0, Vec::len) == limit {
                    start.clone_from(&cursor);
                }
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
        }
        Ok(start)
    }

    async fn get(&self, url: &str) -> Result<Value> {
        let answer = self.http.get(url).bearer_auth(&self.token).send().await?.error_for_status()?;
        Ok(answer.json().await?)
    }
}

/// With the other directories of the run, but for what takes long to fill: that is kept for the runs to come.
fn directory(bench: &Bench, rows: u32) -> PathBuf {
    let name = format!("lists-{rows}-{}", bench.program.engine()).to_lowercase().replace(' ', "-");
    let is_kept = !bench.lengths.is_quick && rows >= 1_000_000;
    let parent = bench.directory.parent().filter(|_| is_kept).map(Path::to_owned);
    parent.unwrap_or_else(|| bench.directory.clone()).join(name)
}

/// The admin of an earlier run had another password.
async fn forget_admin(url: &str) -> Result<()> {
    let mut connection = Conn::from_url(url).await?;
    connection.query_drop("DELETE FROM operators").await?;
    Ok(connection.disconnect().await?)
}

/// Makes so many of each, and says how long it took.
async fn make(url: &str, rows: u32) -> Result<()> {
    let db = Db::connect(&DatabaseSettings::from_url(url)?);
    let size = Size { orders: rows, customers: rows, products: rows };
    let begin = Instant::now();
    let inserted = seed_orders(&db, size, |_| {}).await?;
    println!("{rows} of each: {inserted} rows in {:.0} s", begin.elapsed().as_secs_f64());
    Ok(())
}
