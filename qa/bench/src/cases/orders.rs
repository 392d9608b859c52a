//! Orders made, confirmed and canceled, against the same statements in bare loops; and what each guarantee costs.

use std::cell::Cell;
use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::Service;

use super::{Bench, CONNECTIONS, Shared, check_books};
use crate::Lengths;
use crate::floors::create::{self, Guarantees};
use crate::floors::transition::{self, Transition};
use crate::floors::{books, shop::Shop};
use crate::outcome::{Results, Target};
use crate::stats::{Rounds, alternate, one_after_the_other};
use crate::wrk::{Load, Script, Wrk};

/// Of the bare loop, where orders do not wait for each other.
const SPREAD: Target = Target::AtLeast(0.7);
/// Of the bare loop, where all want the same product.
const HOT: Target = Target::AtLeast(3.0);
/// Of the bare loop.
const TRANSITION: Target = Target::AtLeast(0.7);
/// Confirms and cancels are measured with so many connections, and guarantees too.
const USUAL: u16 = 16;
/// More than any machine confirms per second: so many orders are made beforehand.
const MOST_PER_SECOND: u64 = 6_000;
const UNIT: &str = "requests/s";

/// POST /orders on all products in turn.
pub(crate) async fn create_spread(bench: &mut Bench, results: &mut Results) -> Result<()> {
    let shop = bench.shared().await?.shop.clone();
    for connections in CONNECTIONS {
        let target = (connections == USUAL).then_some(SPREAD);
        create(bench, results, &shop, &format!("order_create_spread/{connections}"), connections, target).await?;
    }
    check_books(bench).await
}

/// POST /orders on one product.
pub(crate) async fn create_hot(bench: &mut Bench, results: &mut Results) -> Result<()> {
    let shop = bench.shared().await?.shop.clone();
    let shop = Shop { products: *shop.products.start()..=*shop.products.start(), ..shop };
    for connections in CONNECTIONS {
        let target = (connections > 1).then_some(HOT);
        create(bench, results, &shop, &format!("order_create_hot/{connections}"), connections, target).await?;
    }
    check_books(bench).await
}

async fn create(
    bench: &mut Bench,
    results: &mut Results,
    shop: &Shop,
    case: &str,
    connections: u16,
    target: Option<Target>,
) -> Result<()> {
    let (wrk, lengths) = (bench.wrk.clone(), bench.lengths);
    let Shared { system, floor, .. } = bench.shared().await?;
    let load = creates(&system.base_url(Service::Orders)?, &system.token().await?, shop, connections, lengths.each);
    wrk.run(&load.clone().lasting(lengths.warm_up)).await?;
    create::rate(floor, shop, Guarantees::ALL, connections, lengths.warm_up).await?;
    let value = async || Ok(wrk.run(&load).await?.rate());
    let bare = async || create::rate(floor, shop, Guarantees::ALL, connections, lengths.each).await;
    let rounds = alternate(lengths.rounds, value, bare).await?;
    results.add(rounds.outcome(case, &system.engine, UNIT, target));
    Ok(())
}

/// Orders of whoever has this token.
pub(super) fn creates(base: &str, token: &str, shop: &Shop, connections: u16, length: Duration) -> Load {
    let load = Load::new(Script::Create, base, connections, length).with("TOKEN", token);
    let load = load.with("PRODUCT_FIRST", shop.products.start()).with("PRODUCT_LAST", shop.products.end());
    load.with("CUSTOMER_FIRST", shop.customers.start()).with("CUSTOMER_LAST", shop.customers.end())
}

/// What each guarantee costs: the bare loop with all of them by the bare loop without this one; for the check of the customer, the
/// loop and the check one after the other by the loop.
pub(crate) async fn guarantees(bench: &mut Bench, results: &mut Results) -> Result<()> {
    let (wrk, lengths) = (bench.wrk.clone(), bench.lengths);
    let Shared { system, shop, floor, .. } = bench.shared().await?;
    let rate = async |guarantees| create::rate(floor, shop, guarantees, USUAL, lengths.each).await;
    let without = [
        ("guarantee/key", Guarantees { key: false, ..Guarantees::ALL }),
        ("guarantee/ledger", Guarantees { ledger: false, ..Guarantees::ALL }),
        ("guarantee/event", Guarantees { event: false, ..Guarantees::ALL }),
    ];
    for (case, guarantees) in without {
        let rounds = alternate(lengths.rounds, async || rate(Guarantees::ALL).await, async || rate(guarantees).await);
        results.add(rounds.await?.outcome(case, &system.engine, UNIT, None));
    }
    let check = customer_checks(&system.base_url(Service::Customers)?, system.service_token(), shop, lengths.each);
    let mut rounds = Rounds { values: Vec::new(), floors: Vec::new() };
    for _ in 0..lengths.rounds {
        let (create, check) = (rate(Guarantees::ALL).await?, wrk.run(&check).await?.rate());
        rounds.values.push(one_after_the_other(&[create, check]));
        rounds.floors.push(create);
    }
    results.add(rounds.outcome("guarantee/customer_check", &system.engine, UNIT, None));
    Ok(())
}

/// What the orders service asks the customers service.
pub(super) fn customer_checks(base: &str, service_token: &str, shop: &Shop, length: Duration) -> Load {
    let load = Load::new(Script::Get, base, USUAL, length).with("TOKEN", service_token);
    let load = load.with("PATH", "/internal/customers/");
    load.with("FIRST", shop.customers.start()).with("LAST", shop.customers.end())
}

/// POST /orders/{id}/confirm.
pub(crate) async fn confirm(bench: &mut Bench, results: &mut Results) -> Result<()> {
    transitions(bench, results, Transition::Confirm).await
}

/// POST /orders/{id}/cancel.
pub(crate) async fn cancel(bench: &mut Bench, results: &mut Results) -> Result<()> {
    transitions(bench, results, Transition::Cancel).await
}

async fn transitions(bench: &mut Bench, results: &mut Results, transition: Transition) -> Result<()> {
    let (wrk, lengths) = (bench.wrk.clone(), bench.lengths);
    let Shared { system, shop, floor, .. } = bench.shared().await?;
    let (base, token) = (system.base_url(Service::Orders)?, system.token().await?);
    let created = Created::add(&system.database_url()?, shop, lengths).await?;
    let floors = Created::add(floor, shop, lengths).await?;
    let value = async |length| created.step(&wrk, &base, &token, transition, length).await;
    let bare = async |length| {
        let (rate, used) = transition::rate(floor, transition, floors.next.get(), USUAL, length).await?;
        floors.use_up(used)?;
        Ok(rate)
    };
    value(lengths.warm_up).await?;
    bare(lengths.warm_up).await?;
    let rounds: Rounds =
        alternate(lengths.rounds, async || value(lengths.each).await, async || bare(lengths.each).await).await?;
    let case = format!("order_{}/{USUAL}", transition.name());
    results.add(rounds.outcome(&case, &system.engine, UNIT, Some(TRANSITION)));
    check_books(bench).await
}

/// Orders that were made beforehand and go through one transition each.
pub(super) struct Created {
    next: Cell<i64>,
    last: i64,
}

impl Created {
    /// Enough of them for a warm-up and all rounds.
    pub(super) async fn add(url: &str, shop: &Shop, lengths: Lengths) -> Result<Self> {
        let seconds = lengths.warm_up.as_secs() + u64::from(lengths.rounds) * lengths.each.as_secs();
        let count = i64::try_from(seconds * MOST_PER_SECOND)?;
        let first = books::add_orders(url, shop, count).await.context("cannot make orders")?;
        Ok(Self { next: Cell::new(first), last: first + count - 1 })
    }

    fn left(&self) -> RangeInclusive<i64> {
        self.next.get()..=self.last
    }

    fn use_up(&self, used: i64) -> Result<()> {
        self.next.set(self.next.get() + used);
        ensure!(self.next.get() <= self.last, "the orders that were made beforehand are used up");
        Ok(())
    }

    /// Lets the orders service do it for so long; gives the rate.
    pub(super) async fn step(
        &self,
        wrk: &Wrk,
        base: &str,
        token: &str,
        transition: Transition,
        length: Duration,
    ) -> Result<f64> {
        let (left, action) = (self.left(), format!("/{}", transition.name()));
        let load = Load::new(Script::Transition, base, USUAL, length).with("TOKEN", token).with("PATH", "/orders/");
        let load = load.with("ACTION", action).with("FIRST", left.start()).with("LAST", left.end());
        let made = wrk.run(&load).await?;
        self.use_up(made.used)?;
        Ok(made.rate())
    }
}
