//! Closed-loop request rates, compared with a replay of the same SQL statements.

use std::time::{Duration, Instant};

use anyhow::Result;
use harness::Service;
use mysql_async::Conn;

use super::Bench;
use super::shop::{Shop, USUAL};
use crate::baseline::Baseline;
use crate::requests::{Ids, Load};
use crate::results::Target::AtLeast;
use crate::results::in_sequence;
use crate::system::System;

const CONNECTIONS: [u16; 3] = [1, USUAL, 64];
const UNIT: &str = "requests/s";
/// Published rates of Node.js implementations in requests per second, and the target ratio to these rates.
const PUBLISHED_VIEW: [(&str, f64, f64); 2] = [("jwt", 1_000.0, 10.0), ("plain", 3_400.0, 4.0)];
const PUBLISHED_SAGA: (f64, f64) = (140.0, 8.0);
const SEED_CONNECTIONS: u8 = 4;

/// Measures GET requests for a customer or product. The baseline is the SQL statement followed by an empty operation.
pub(super) async fn view(bench: &Bench, name: &str, service: Service) -> Result<()> {
    let mut shop = Shop::open(bench, name).await?;
    let products = Load { random: shop.products.clone(), ..shop.load(service, "/products/{random}", None) };
    let (load, published) = match service {
        Service::Customers => (shop.views(), &PUBLISHED_VIEW[..]),
        _ => (products, &[][..]),
    };
    let baseline = Baseline::of_requests(&mut shop.system, service, &load, bench.recorded).await?;
    let (process, address) = shop.system.serve_empty().await?;
    let empty = Load { address, path: "/empty".to_owned(), ..load.clone() };
    for connections in CONNECTIONS {
        load.rate(connections, bench.each / 2).await?;
        let value = async || load.rate(connections, bench.each).await;
        let statement_and_empty = async || {
            let statement = baseline.replay(connections, bench.each).await?.rate;
            Ok(in_sequence(&[statement, empty.rate(connections, bench.each).await?]))
        };
        let (case, is_usual) = (format!("{name}/{connections}"), connections == USUAL);
        let target = is_usual.then_some(AtLeast(0.9));
        let rates = bench.compare(&case, UNIT, target, value, statement_and_empty).await?;
        for &(credentials, figure, times) in published.iter().filter(|_| is_usual) {
            let case = format!("{name}/published-{credentials}");
            bench.compare_with_constant(&case, UNIT, AtLeast(times), &rates, figure);
        }
    }
    process.stop().await;
    shop.system.stop().await
}

/// Measures POST /orders, either for all products in turn or for a single product.
pub(super) async fn create(bench: &Bench, name: &str, is_hot: bool) -> Result<()> {
    let mut shop = Shop::open(bench, name).await?;
    let turn = if is_hot { Ids::from(&shop.products[..1]) } else { shop.products.clone() };
    let load = Load { turn, ..shop.creates() };
    let baseline = Baseline::of_requests(&mut shop.system, Service::Orders, &load, bench.recorded).await?;
    for connections in CONNECTIONS {
        load.rate(connections, bench.each / 2).await?;
        let target = match (is_hot, connections) {
            (false, USUAL) => Some(AtLeast(0.7)),
            (true, USUAL..) => Some(AtLeast(3.0)),
            _ => None,
        };
        let value = async || load.rate(connections, bench.each).await;
        let replay = async || Ok(baseline.replay(connections, bench.each).await?.rate);
        bench.compare(&format!("{name}/{connections}"), UNIT, target, value, replay).await?;
    }
    bench.close(shop.system).await
}

/// Measures POST /orders/{id}/confirm or /orders/{id}/cancel for orders that are created before the measurement starts.
pub(super) async fn transition(bench: &Bench, action: &str) -> Result<()> {
    let name = format!("order_{action}");
    let mut shop = Shop::open(bench, &name).await?;
    let load = shop.transitions(action, bench.recorded).await?;
    let baseline = Baseline::of_requests(&mut shop.system, Service::Orders, &load, bench.recorded).await?;
    shop.transition(&shop.token, action, bench.each / 2).await?;
    let value = async || shop.transition(&shop.token, action, bench.each).await;
    let replay = async || Ok(baseline.replay(USUAL, bench.each).await?.rate);
    bench.compare(&format!("{name}/{USUAL}"), UNIT, Some(AtLeast(0.7)), value, replay).await?;
    bench.close(shop.system).await
}

/// Measures POST /orchestrator/create-and-confirm-order. The baseline is its three calls in sequence.
pub(super) async fn saga(bench: &Bench) -> Result<()> {
    let shop = Shop::open(bench, "saga").await?;
    let (saga, token) = (shop.sagas(), shop.system.service_token());
    let check = shop.load(Service::Customers, "/internal/customers/{random}", None);
    let check = Load { token: token.clone(), ..check };
    let create = Load { token: token.clone(), ..shop.creates() };
    saga.rate(USUAL, bench.each / 2).await?;
    let value = async || saga.rate(USUAL, bench.each).await;
    let calls = async || {
        let (check, create) = (check.rate(USUAL, bench.each).await?, create.rate(USUAL, bench.each).await?);
        Ok(in_sequence(&[check, create, shop.transition(&token, "confirm", bench.each).await?]))
    };
    let rates = bench.compare(&format!("saga/{USUAL}"), UNIT, Some(AtLeast(0.8)), value, calls).await?;
    let (figure, times) = PUBLISHED_SAGA;
    bench.compare_with_constant("saga/published", UNIT, AtLeast(times), &rates, figure);
    bench.close(shop.system).await
}

/// Measures `db seed --scale`. The baseline is a replay of its statements over the same number of connections.
pub(super) async fn seed(bench: &Bench) -> Result<()> {
    let mut system = System::start(&bench.program, &bench.directory.join("seed"), [10, 10, 10]).await?;
    // Number of orders. Including items, events and movements, the total number of rows is about ten times as high.
    let scale = ["seed", "--scale", if bench.is_quick { "20000" } else { "100000" }];
    let before = rows(&system).await?;
    let seed = async |system: &mut System, _: &mut Conn| system.db(System::DATABASE, &scale, 1).await;
    let baseline = Baseline::record(&mut system, seed).await?;
    let rows = rows(&system).await? - before;
    println!("{rows} rows");
    let value = async || {
        for arguments in [&["migrate", "up"][..], &["seed"]] {
            system.db("seeded", arguments, 1).await?;
        }
        let begin = Instant::now();
        system.db("seeded", &scale, SEED_CONNECTIONS).await?;
        let rate = rows / begin.elapsed().as_secs_f64();
        system.query::<i64>("DROP DATABASE seeded").await?;
        Ok(rate)
    };
    let replay =
        async || Ok(rows / baseline.replay(SEED_CONNECTIONS.into(), Duration::ZERO).await?.elapsed.as_secs_f64());
    bench.compare("seed", "rows/s", Some(AtLeast(0.5)), value, replay).await?;
    bench.close(system).await
}

async fn rows(system: &System) -> Result<f64> {
    let counts = system.tables().await?.into_iter().map(|table| format!("(SELECT COUNT(*) FROM {table})"));
    let sum = format!("SELECT CONVERT({}, DOUBLE)", counts.collect::<Vec<_>>().join(" + "));
    Ok(system.query::<f64>(&sum).await?.iter().sum())
}
