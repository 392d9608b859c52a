//! Rates of single operations in closed loops, against their own statements replayed.

use std::sync::Arc;

use anyhow::Result;
use harness::Service;

use super::Bench;
use super::shop::{Shop, USUAL};
use crate::baseline::Baseline;
use crate::requests::{Ids, Load};
use crate::results::{Results, Rounds, Target, in_sequence};

const CONNECTIONS: [u16; 3] = [1, USUAL, 64];
const UNIT: &str = "requests/s";
/// Published figures of Node.js solutions in requests per second, and how many times as much is wanted.
pub(super) const PUBLISHED_VIEW: [(&str, f64, Target); 2] =
    [("jwt", 1_000.0, Target::AtLeast(10.0)), ("plain", 3_400.0, Target::AtLeast(4.0))];
const PUBLISHED_SAGA: (f64, Target) = (140.0, Target::AtLeast(8.0));

/// GET of a customer or a product, against the statement and an empty operation, one after the other.
pub(super) async fn view(
    bench: &Bench,
    results: &mut Results,
    name: &str,
    service: Service,
    published: &[(&str, f64, Target)],
) -> Result<()> {
    let mut shop = Shop::open(bench, name, true).await?;
    let requests = match service {
        Service::Customers => shop.operator.views("/customers/", &shop.customers),
        _ => shop.operator.views("/products/", &shop.products),
    };
    let baseline = shop.record(service, &requests, bench.recorded).await?;
    let (process, address) = shop.system.serve_empty().await?;
    let (load, caller, engine) = (shop.load(service, &requests), shop.operator.clone(), &shop.system.engine);
    let empty = Load { address, requests: Arc::new(move |_| caller.get("/empty")), ..load.clone() };
    for connections in CONNECTIONS {
        load.rate(connections, bench.warm_up).await?;
        let value = async || load.rate(connections, bench.each).await;
        let statement_and_empty = async || {
            let statement = baseline.replay(connections, bench.each).await?.rate;
            Ok(in_sequence(&[statement, empty.rate(connections, bench.each).await?]))
        };
        let rounds = Rounds::alternate(bench.rounds, value, statement_and_empty).await?;
        let is_usual = connections == USUAL;
        let target = is_usual.then_some(Target::AtLeast(0.9));
        results.add(&format!("{name}/{connections}"), engine, UNIT, &rounds, target);
        for (credentials, figure, target) in published.iter().filter(|_| is_usual) {
            let rounds = Rounds::against(&rounds.values, *figure);
            results.add(&format!("{name}/published-{credentials}"), engine, UNIT, &rounds, Some(*target));
        }
    }
    process.stop().await;
    shop.system.stop().await
}

/// POST /orders, on all products in turn or on one.
pub(super) async fn create(bench: &Bench, results: &mut Results, name: &str, is_hot: bool) -> Result<()> {
    let mut shop = Shop::open(bench, name, true).await?;
    let products = if is_hot { Ids::from(&shop.products[..1]) } else { shop.products.clone() };
    let requests = shop.operator.creates(&shop.customers, &products);
    let baseline = shop.record(Service::Orders, &requests, bench.recorded).await?;
    let load = shop.load(Service::Orders, &requests);
    for connections in CONNECTIONS {
        load.rate(connections, bench.warm_up).await?;
        let value = async || load.rate(connections, bench.each).await;
        let rounds = Rounds::alternate(bench.rounds, value, replays(bench, &baseline, connections)).await?;
        let target = match (is_hot, connections) {
            (false, USUAL) => Some(Target::AtLeast(0.7)),
            (true, USUAL..) => Some(Target::AtLeast(3.0)),
            _ => None,
        };
        results.add(&format!("{name}/{connections}"), &shop.system.engine, UNIT, &rounds, target);
    }
    shop.close(results).await
}

/// POST /orders/{id}/confirm or /orders/{id}/cancel, of orders that are created before the clock starts.
pub(super) async fn transition(bench: &Bench, results: &mut Results, action: &str) -> Result<()> {
    let name = format!("order_{action}");
    let mut shop = Shop::open(bench, &name, true).await?;
    let requests = shop.operator.actions("/orders/", shop.create_orders(bench.recorded).await?, action, "");
    let baseline = shop.record(Service::Orders, &requests, bench.recorded).await?;
    shop.transition(&shop.operator, action, bench.warm_up).await?;
    let value = async || shop.transition(&shop.operator, action, bench.each).await;
    let rounds = Rounds::alternate(bench.rounds, value, replays(bench, &baseline, USUAL)).await?;
    results.add(&format!("{name}/{USUAL}"), &shop.system.engine, UNIT, &rounds, Some(Target::AtLeast(0.7)));
    shop.close(results).await
}

fn replays(bench: &Bench, baseline: &Baseline, connections: u16) -> impl AsyncFnMut() -> Result<f64> {
    async move || Ok(baseline.replay(connections, bench.each).await?.rate)
}

/// POST /orchestrator/create-and-confirm-order, against its three calls, one after the other, as the orchestrator sends them.
pub(super) async fn saga(bench: &Bench, results: &mut Results) -> Result<()> {
    let shop = Shop::open(bench, "saga", false).await?;
    let (service, customers, products) = (shop.system.service(), &shop.customers, &shop.products);
    let saga = shop.load(Service::Orchestrator, &shop.operator.sagas(customers, products));
    let check = shop.load(Service::Customers, &service.views("/internal/customers/", customers));
    let create = shop.load(Service::Orders, &service.creates(customers, products));
    saga.rate(USUAL, bench.warm_up).await?;
    let value = async || saga.rate(USUAL, bench.each).await;
    let calls = async || {
        let (check, create) = (check.rate(USUAL, bench.each).await?, create.rate(USUAL, bench.each).await?);
        Ok(in_sequence(&[check, create, shop.transition(&service, "confirm", bench.each).await?]))
    };
    let rounds = Rounds::alternate(bench.rounds, value, calls).await?;
    let ((figure, target), engine) = (PUBLISHED_SAGA, &shop.system.engine);
    results.add(&format!("saga/{USUAL}"), engine, UNIT, &rounds, Some(Target::AtLeast(0.8)));
    results.add("saga/published", engine, UNIT, &Rounds::against(&rounds.values, figure), Some(target));
    shop.close(results).await
}
