//! Compares list pages and searches on large tables with the same requests on small tables: the cost of a page should
//! depend on the page size, not on the table size.
//!
//! Uses one system per table size. Each request is sent to both systems alternately, over one connection to each.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use harness::Service;
use serde_json::Value;

use super::Bench;
use crate::requests::Connection;
use crate::results::{Rounds, Target, median};
use crate::system::System;

use Page::{First, Last, With};

/// Number of rows for each of customers, products and orders: small and large.
const FULL: [u32; 2] = [1_000, 1_000_000];
const QUICK: [u32; 2] = [1_000, 100_000];
const REQUESTS: u32 = 40;
/// Number of rows on a measured page, and on the pages that lead to the last page.
const LIMIT: usize = 20;
const LARGEST: usize = 100;

#[derive(Clone, Copy)]
enum Page {
    First,
    /// Last full page.
    Last,
    /// First page; the rows of this SQL query replace the `{}` placeholders.
    With(&'static str),
}

/// Order 20 is the newest order on the oldest page.
const OLDEST: &str = "SELECT DATE_FORMAT(created_at, '%Y-%m-%dT%TZ') FROM orders WHERE id = 20";
const CUSTOMER: &str = "SELECT customer_id FROM orders GROUP BY customer_id HAVING COUNT(*) = 2 LIMIT 1";
const REFERENCE: &str = "SELECT external_reference FROM orders WHERE external_reference IS NOT NULL \
     GROUP BY external_reference HAVING COUNT(*) = 1 LIMIT 1";
/// Creation times of two orders with 49 orders between them.
const WINDOW: &str = "SELECT DATE_FORMAT(created_at, '%Y-%m-%dT%TZ') FROM orders WHERE id IN (300, 350) ORDER BY id";

/// Case names, which start with the path, and query strings. The search words occur in generated rows. Each query
/// returns the same number of rows at every table size, unless its name says otherwise.
const QUERIES: [(&str, &str, Page); 30] = [
    ("customers/first", "", First),
    ("customers/last", "", Last),
    ("customers/word-of-all", "search=orders", First),
    ("customers/word-of-all-last", "search=orders", Last),
    ("customers/common-word", "search=gmbh", First),
    ("customers/rare-word", "search=northwind", First),
    ("customers/one-letter", "search=a", First),
    ("customers/two-words", "search=orders+gmbh", First),
    ("customers/two-rare-words", "search=northwind+trading", First),
    ("customers/two-words-that-meet-seldom", "search=alder+catering", First),
    ("customers/two-words-that-never-meet", "search=ltd+gmbh", First),
    ("customers/no-word", "search=zzz", First),
    ("products/first", "", First),
    ("products/last", "", Last),
    ("products/common-word", "search=drill", First),
    ("products/common-word-last", "search=steel", Last),
    ("products/rare-word", "search=cordless", First),
    ("products/one-letter", "search=s", First),
    ("products/two-words", "search=steel+s", First),
    ("products/two-words-that-never-meet", "search=drill+lamp", First),
    ("products/no-word", "search=zzz", First),
    ("orders/first", "", First),
    ("orders/last", "", Last),
    ("orders/oldest", "to={}", With(OLDEST)),
    ("orders/status", "status=CANCELED", First),
    ("orders/status-last", "status=CANCELED", Last),
    ("orders/customer", "customer_id={}", With(CUSTOMER)),
    ("orders/reference", "external_reference={}", With(REFERENCE)),
    ("orders/from-to", "from={}&to={}", With(WINDOW)),
    ("orders/status-from-to", "status=CONFIRMED&from={}&to={}", With(WINDOW)),
];

/// System with a given number of rows, and connections to two of its services.
struct Dataset {
    system: System,
    token: Arc<str>,
    connections: [Connection; 2],
}

pub(super) async fn lists(bench: &Bench) -> Result<()> {
    let [few, many] = if bench.is_quick { QUICK } else { FULL };
    let mut datasets = [Dataset::fill(bench, many).await?, Dataset::fill(bench, few).await?];
    // The target applies only to one million rows.
    let target = (!bench.is_quick).then_some(Target::AtMost(1.5));
    for (case, filter, page) in QUERIES {
        let rounds = measure(&mut datasets, case, filter, page, bench.rounds).await.context(case)?;
        bench.add(&format!("lists/{case}"), "ms", target, &rounds);
    }
    for dataset in datasets {
        dataset.system.stop().await?;
    }
    Ok(())
}

/// Returns the median latency of each round in ms.
async fn measure(datasets: &mut [Dataset; 2], case: &str, filter: &str, page: Page, rounds: u32) -> Result<Rounds> {
    let mut paths = Vec::new();
    for dataset in datasets.iter_mut() {
        // A token is valid for only 15 minutes.
        dataset.token = dataset.system.log_in().await?;
        paths.push(dataset.path(case, filter, page).await?);
    }
    let mut measured = Rounds::default();
    // The first round reads from disk, so it is excluded.
    for round in 0..=rounds {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..REQUESTS {
            for ((dataset, path), times) in datasets.iter_mut().zip(&paths).zip(&mut times) {
                let begin = Instant::now();
                dataset.get(path).await?;
                times.push(begin.elapsed().as_secs_f64() * 1e3);
            }
        }
        if round > 0 {
            measured.values.push(median(&times[0]));
            measured.baselines.push(median(&times[1]));
        }
    }
    Ok(measured)
}

impl Dataset {
    async fn fill(bench: &Bench, rows: u32) -> Result<Self> {
        // Keep data that takes long to generate for later runs.
        let is_kept = !bench.is_quick && rows >= 1_000_000;
        let name = format!("lists-{rows}-{}", bench.program.engine()).to_lowercase().replace(' ', "-");
        let parent = bench.directory.parent().filter(|_| is_kept).unwrap_or(&bench.directory);
        let mut system = System::start(&bench.program, &parent.join(name), [rows; 3]).await?;
        system.start_service(Service::Customers).await?;
        system.start_service(Service::Orders).await?;
        let customers = Connection::open(system.address(Service::Customers)).await?;
        let orders = Connection::open(system.address(Service::Orders)).await?;
        Ok(Self { token: system.log_in().await?, connections: [customers, orders], system })
    }

    async fn get(&mut self, path: &str) -> Result<Value> {
        self.connections[usize::from(!path.starts_with("/customers"))].call(&self.token, path, None).await
    }

    /// Returns the path and query of a request for this dataset.
    async fn path(&mut self, case: &str, filter: &str, page: Page) -> Result<String> {
        let (path, _) = case.split_once('/').context("the case name has no path")?;
        let mut list = format!("/{path}?{filter}");
        match page {
            First => {}
            Last => list += &self.last_page(&list).await?,
            With(sql) => {
                let values: Vec<String> = self.system.query(sql).await?;
                ensure!(values.len() == filter.matches("{}").count(), "wrong number of rows for {filter}");
                list = values.iter().fold(list, |list, value| list.replacen("{}", value, 1));
            }
        }
        Ok(format!("{list}&limit={LIMIT}"))
    }

    /// Follows the list, mostly in large pages, to its last full page, and returns that page's cursor parameter.
    async fn last_page(&mut self, list: &str) -> Result<String> {
        let mut start = String::new();
        for limit in [LARGEST, LIMIT] {
            let mut next = Some(start.clone());
            while let Some(cursor) = next {
                let page = self.get(&format!("{list}&limit={limit}{cursor}")).await?;
                next = page["next_cursor"].as_str().map(|next| format!("&cursor={next}"));
                if page["data"].as_array().map_or(0, Vec::len) == limit {
                    start = cursor;
                }
            }
        }
        Ok(start)
    }
}
