//! The whole saga against its three calls, one after the other, as the orchestrator sends them.

use anyhow::Result;
use harness::Service;

use super::orders::{Created, creates, customer_checks};
use super::{Bench, Shared, check_books};
use crate::floors::transition::Transition;
use crate::outcome::{Results, Target};
use crate::stats::{alternate, one_after_the_other};
use crate::wrk::{Load, Script};

/// Of what the calls allow.
const TARGET: Target = Target::AtLeast(0.8);
/// Requests per second of Node.js solutions that were published, and as many times that.
const PUBLISHED: (f64, Target) = (140.0, Target::AtLeast(8.0));
const CONNECTIONS: u16 = 16;

/// POST /orchestrator/create-and-confirm-order.
pub(crate) async fn saga(bench: &mut Bench, results: &mut Results) -> Result<()> {
    let (wrk, lengths) = (bench.wrk.clone(), bench.lengths);
    let Shared { system, shop, .. } = bench.shared().await?;
    let [customers, orders, orchestrator] = Service::ALL.map(|service| system.base_url(service));
    let (customers, orders, orchestrator) = (customers?, orders?, orchestrator?);
    let (token, service_token) = (system.token().await?, system.service_token());
    let saga = Load::new(Script::Saga, &orchestrator, CONNECTIONS, lengths.each).with("TOKEN", &token);
    let saga = saga.with("PRODUCT_FIRST", shop.products.start()).with("PRODUCT_LAST", shop.products.end());
    let saga = saga.with("CUSTOMER_FIRST", shop.customers.start()).with("CUSTOMER_LAST", shop.customers.end());
    let check = customer_checks(&customers, service_token, shop, lengths.each);
    let create = creates(&orders, service_token, shop, CONNECTIONS, lengths.each);
    let created = Created::add(&system.database_url()?, shop, lengths).await?;
    wrk.run(&saga.clone().lasting(lengths.warm_up)).await?;
    let value = async || Ok(wrk.run(&saga).await?.rate());
    let calls = async || {
        let (check, create) = (wrk.run(&check).await?.rate(), wrk.run(&create).await?.rate());
        let confirm = created.step(&wrk, &orders, service_token, Transition::Confirm, lengths.each).await?;
        Ok(one_after_the_other(&[check, create, confirm]))
    };
    let rounds = alternate(lengths.rounds, value, calls).await?;
    let engine = &system.engine;
    results.add(rounds.outcome(&format!("saga/{CONNECTIONS}"), engine, "requests/s", Some(TARGET)));
    let (figure, target) = PUBLISHED;
    results.add(rounds.beside(figure).outcome("saga/published", engine, "requests/s", Some(target)));
    check_books(bench).await
}
