//! Rates of single operations in closed loops, against their own statements replayed.

use std::sync::Arc;

use anyhow::Result;
use harness::Service;

use super::Bench;
use super::shop::{Shop, USUAL};
use crate::baseline::Baseline;
use crate::requests::{Ids, Load, Requests};
use crate::results::{Results, Rounds, Target, in_sequence};

const CONNECTIONS: [u16; 3] = [1, USUAL, 64];
const UNIT: &str = "requests/s";
/// Published figures of Node.js solutions in requests per second, and how many times as much is wanted.
const PUBLISHED_JWT: (f64, Target) = (1_000.0, Target::AtLeast(10.0));
const PUBLISHED_PLAIN: (f64, Target) = (3_400.0, Target::AtLeast(4.0));
const PUBLISHED_SAGA: (f64, Target) = (140.0, Target::AtLeast(8.0));

/// GET /customers/{id}.
pub(super) async fn customer_view(bench: &Bench, results: &mut Results) -> Result<()> {
    let shop = Shop::open(bench, "customer_view", true).await?;
    let requests = shop.operator.views("/customers/", &shop.customers);
    let engine = shop.system.engine.clone();
    let usual = views(bench, results, shop, "customer_view", Service::Customers, &requests).await?;
    for (name, (figure, target)) in [("jwt", PUBLISHED_JWT), ("plain", PUBLISHED_PLAIN)] {
        let rounds = Rounds::against(&usual, figure);
        results.add(&format!("customer_view/published-{name}"), &engine, UNIT, &rounds, Some(target));
    }
    Ok(())
}

/// GET /products/{id}.
pub(super) async fn product_view(bench: &Bench, results: &mut Results) -> Result<()> {
    let shop = Shop::open(bench, "product_view", true).await?;
    let requests = shop.operator.views("/products/", &shop.products);
    views(bench, results, shop, "product_view", Service::Orders, &requests).await.map(drop)
}

/// Against the statement and an empty operation, one after the other. Returns the values at the usual connections.
async fn views(
    bench: &Bench,
    results: &mut Results,
    mut shop: Shop,
    name: &str,
    service: Service,
    requests: &Requests,
) -> Result<Vec<f64>> {
    let baseline = shop.record(service, requests, bench.recorded).await?;
    let (process, address) = shop.system.serve_empty().await?;
    let (load, caller) = (shop.load(service, requests), shop.operator.clone());
    let empty = Load { address, requests: Arc::new(move |_| caller.get("/empty")), ..load.clone() };
    let mut usual = Vec::new();
    for connections in CONNECTIONS {
        load.rate(connections, bench.warm_up).await?;
        let value = async || load.rate(connections, bench.each).await;
        let floor = async || {
            let statement = baseline.replay(connections, bench.each).await?.rate;
            Ok(in_sequence(&[statement, empty.rate(connections, bench.each).await?]))
        };
        let rounds = Rounds::alternate(bench.rounds, value, floor).await?;
        let target = (connections == USUAL).then_some(Target::AtLeast(0.9));
        results.add(&format!("{name}/{connections}"), &shop.system.engine, UNIT, &rounds, target);
        if connections == USUAL {
            usual = rounds.values;
        }
    }
    process.stop().await;
    shop.system.stop().await?;
    Ok(usual)
}

/// POST /orders on all products in turn.
pub(super) async fn create_spread(bench: &Bench, results: &mut Results) -> Result<()> {
    let shop = Shop::open(bench, "order_create_spread", true).await?;
    let products = shop.products.clone();
    let target = |connections| (connections == USUAL).then_some(Target::AtLeast(0.7));
    creates(bench, results, shop, "order_create_spread", &products, target).await
}

/// POST /orders on one product.
pub(super) async fn create_hot(bench: &Bench, results: &mut Results) -> Result<()> {
    let shop = Shop::open(bench, "order_create_hot", true).await?;
    let product = Ids::from(&shop.products[..1]);
    let target = |connections| (connections > 1).then_some(Target::AtLeast(3.0));
    creates(bench, results, shop, "order_create_hot", &product, target).await
}

async fn creates(
    bench: &Bench,
    results: &mut Results,
    mut shop: Shop,
    name: &str,
    products: &Ids,
    target: impl Fn(u16) -> Option<Target>,
) -> Result<()> {
    let requests = shop.operator.creates(&shop.customers, products);
    let baseline = shop.record(Service::Orders, &requests, bench.recorded).await?;
    let load = shop.load(Service::Orders, &requests);
    for connections in CONNECTIONS {
        load.rate(connections, bench.warm_up).await?;
        let value = async || load.rate(connections, bench.each).await;
        let rounds = Rounds::alternate(bench.rounds, value, replays(bench, &baseline, connections)).await?;
        let case = format!("{name}/{connections}");
        results.add(&case, &shop.system.engine, UNIT, &rounds, target(connections));
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
