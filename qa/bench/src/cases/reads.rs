//! One row by its id, with a token, against the same statement in a bare loop and an empty operation, one after the other.

use anyhow::Result;
use harness::Service;

use super::{Bench, CONNECTIONS};
use crate::empty;
use crate::floors::reads::{self, Table};
use crate::outcome::{Results, Target};
use crate::stats::{Rounds, alternate, one_after_the_other};
use crate::wrk::{Load, Script};

/// Of what the statement and the server allow.
const TARGET: Target = Target::AtLeast(0.9);
/// The connections at which the target counts.
const JUDGED: u16 = 16;
/// Requests per second of Node.js solutions that were published, with a JWT, and as many times that.
const PUBLISHED_JWT: (f64, Target) = (1_000.0, Target::AtLeast(10.0));
/// The same without any credentials.
const PUBLISHED_PLAIN: (f64, Target) = (3_400.0, Target::AtLeast(4.0));

/// GET /customers/{id}.
pub(crate) async fn customer_view(bench: &mut Bench, results: &mut Results) -> Result<()> {
    for connections in CONNECTIONS {
        let rounds = measure(bench, Table::Customers, connections).await?;
        let engine = bench.shared().await?.system.engine.clone();
        add(results, &rounds, "customer_view", connections, &engine);
        if connections == JUDGED {
            for (name, (figure, target)) in [("jwt", PUBLISHED_JWT), ("plain", PUBLISHED_PLAIN)] {
                let case = format!("customer_view/published-{name}");
                results.add(rounds.beside(figure).outcome(&case, &engine, "requests/s", Some(target)));
            }
        }
    }
    Ok(())
}

/// GET /products/{id}.
pub(crate) async fn product_view(bench: &mut Bench, results: &mut Results) -> Result<()> {
    for connections in CONNECTIONS {
        let rounds = measure(bench, Table::Products, connections).await?;
        let engine = bench.shared().await?.system.engine.clone();
        add(results, &rounds, "product_view", connections, &engine);
    }
    Ok(())
}

fn add(results: &mut Results, rounds: &Rounds, name: &str, connections: u16, engine: &str) {
    let target = (connections == JUDGED).then_some(TARGET);
    results.add(rounds.outcome(&format!("{name}/{connections}"), engine, "requests/s", target));
}

async fn measure(bench: &mut Bench, table: Table, connections: u16) -> Result<Rounds> {
    let (wrk, lengths) = (bench.wrk.clone(), bench.lengths);
    let shared = bench.shared().await?;
    let (service, path, ids) = match table {
        Table::Customers => (Service::Customers, "/customers/", shared.shop.customers.clone()),
        Table::Products => (Service::Orders, "/products/", shared.shop.products.clone()),
    };
    let (base, token) = (shared.system.base_url(service)?, shared.system.token().await?);
    let load = Load::new(Script::Get, &base, connections, lengths.each).with("TOKEN", &token);
    let load = load.with("PATH", path).with("FIRST", ids.start()).with("LAST", ids.end());
    let empty = Load::new(Script::Get, &shared.empty, connections, lengths.each).with("TOKEN", &token);
    let empty = empty.with("PATH", empty::PATH);
    let url = shared.system.database_url()?;
    wrk.run(&load.clone().lasting(lengths.warm_up)).await?;
    let value = async || Ok(wrk.run(&load).await?.rate());
    let floor = async || {
        let bare = reads::rate(&url, table, &ids, connections, lengths.each).await?;
        Ok(one_after_the_other(&[bare, wrk.run(&empty).await?.rate()]))
    };
    alternate(lengths.rounds, value, floor).await
}
