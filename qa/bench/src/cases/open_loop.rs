//! How long answers take at half the rate that the system could serve, without coordinated omission.

use std::fs;

use anyhow::Result;
use harness::Service;

use super::{Bench, Shared, check_books};
use crate::oha::{self, PERCENTILES, Requests};
use crate::outcome::{Results, Series};
use crate::stats::{Rounds, median};
use crate::wrk::{Load, Script};

/// Of the closed loop that says what the system could serve.
const CONNECTIONS: u16 = 16;
/// The percentiles that make a row, in [`PERCENTILES`].
const MEDIAN: usize = 0;
const P99: usize = 4;

/// GET /customers/{id}, and POST /orders without a key, as the same bodies are sent again and again.
pub(crate) async fn open_loop(bench: &mut Bench, results: &mut Results) -> Result<()> {
    let (wrk, oha, lengths, directory) = (bench.wrk.clone(), bench.oha.clone(), bench.lengths, bench.directory.clone());
    let Shared { system, shop, .. } = bench.shared().await?;
    let token = system.token().await?;
    let customers = system.base_url(Service::Customers)?;
    let urls = shop.customers.clone().map(|id| format!("{customers}/customers/{id}\n"));
    let file = directory.join("urls");
    fs::write(&file, urls.collect::<String>())?;
    let ids = &shop.customers;
    let read = Load::new(Script::Get, &customers, CONNECTIONS, lengths.each).with("TOKEN", &token);
    let read = read.with("PATH", "/customers/").with("FIRST", ids.start()).with("LAST", ids.end());
    let reads = ("customer_view", read, Requests::Get(file));

    let orders = system.base_url(Service::Orders)?;
    let lines = shop.customers.clone().zip(shop.products.clone()).map(|(customer, product)| {
        format!("{{\"customer_id\":{customer},\"items\":[{{\"product_id\":{product},\"qty\":1}}]}}\n")
    });
    let file = directory.join("bodies");
    fs::write(&file, lines.collect::<String>())?;
    let create = super::orders::creates(&orders, &token, shop, CONNECTIONS, lengths.each);
    let creates = ("order_create", create, Requests::Post(format!("{orders}/orders"), file));

    for (name, closed, requests) in [reads, creates] {
        wrk.run(&closed.clone().lasting(lengths.warm_up)).await?;
        let rate = wrk.run(&closed).await?.rate() / 2.0;
        let mut rounds = Vec::new();
        for _ in 0..lengths.rounds {
            rounds.push(oha::run(&oha, &requests, &token, rate, lengths.each).await?);
        }
        let of = |percentile: usize| rounds.iter().filter_map(|round| round.get(percentile).copied()).collect();
        let p99 = Rounds { values: of(P99), floors: of(MEDIAN) };
        results.add(p99.outcome(&format!("open_loop/{name}/p99"), &system.engine, "ms", None));
        let point = |(index, (percentile, _)): (usize, &(f64, &str))| {
            let latencies: Vec<f64> = of(index);
            (*percentile, median(&latencies))
        };
        results.series.push(Series {
            name: format!("latency of {name} at {rate:.0} requests/s"),
            x_label: "percentile",
            y_label: "latency (ms)",
            points: PERCENTILES.iter().enumerate().map(point).collect(),
        });
    }
    check_books(bench).await
}
