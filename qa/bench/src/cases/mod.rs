//! Benchmark cases. Each case starts and stops its own system.

mod limits;
mod lists;
mod open_loop;
mod rates;
mod shop;

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use harness::Service;

use crate::results::{Results, Rounds, Target};
use crate::system::System;

/// Benchmark case, identified by its command-line name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Case {
    /// GET /customers/{id}
    CustomerView,
    /// GET /products/{id}
    ProductView,
    /// POST /orders for many products
    OrderCreateSpread,
    /// POST /orders for one product
    OrderCreateHot,
    /// POST /orders/{id}/confirm
    OrderConfirm,
    /// POST /orders/{id}/cancel
    OrderCancel,
    /// POST /orchestrator/create-and-confirm-order
    Saga,
    /// Latencies at half the maximum rate
    OpenLoop,
    /// Lists and searches on large tables
    Lists,
    /// Peak memory usage of each service
    Memory,
    /// Time from process start until readiness
    Start,
    /// Rows generated per second by `db seed --scale`
    Seed,
}

impl Case {
    pub(crate) async fn measure(self, bench: &Bench) -> Result<()> {
        match self {
            Self::CustomerView => rates::view(bench, "customer_view", Service::Customers).await,
            Self::ProductView => rates::view(bench, "product_view", Service::Orders).await,
            Self::OrderCreateSpread => rates::create(bench, "order_create_spread", false).await,
            Self::OrderCreateHot => rates::create(bench, "order_create_hot", true).await,
            Self::OrderConfirm => rates::transition(bench, "confirm").await,
            Self::OrderCancel => rates::transition(bench, "cancel").await,
            Self::Saga => rates::saga(bench).await,
            Self::OpenLoop => open_loop::open_loop(bench).await,
            Self::Lists => lists::lists(bench).await,
            Self::Memory => limits::memory(bench).await,
            Self::Start => limits::start(bench).await,
            Self::Seed => rates::seed(bench).await,
        }
    }
}

/// Settings shared by all cases, and the collected results.
pub(crate) struct Bench {
    pub(crate) program: private_server::Program,
    pub(crate) directory: PathBuf,
    /// Number of rounds. Each round measures the value and the baseline once.
    pub(crate) rounds: u32,
    /// Duration of one measurement. The warm-up takes half as long.
    pub(crate) each: Duration,
    /// Number of requests recorded for a baseline.
    pub(crate) recorded: usize,
    /// Whether all cases together must complete within 15 minutes.
    pub(crate) is_quick: bool,
    pub(crate) results: RefCell<Results>,
}

impl Bench {
    /// Measures the value and the baseline alternately, so that noise affects both. Returns the values.
    async fn compare(
        &self,
        case: &str,
        unit: &str,
        target: Option<Target>,
        mut value: impl AsyncFnMut() -> Result<f64>,
        mut baseline: impl AsyncFnMut() -> Result<f64>,
    ) -> Result<Vec<f64>> {
        let mut rounds = Rounds::default();
        for _ in 0..self.rounds {
            rounds.values.push(value().await?);
            rounds.baselines.push(baseline().await?);
        }
        self.add(case, unit, target, &rounds);
        Ok(rounds.values)
    }

    fn compare_with_constant(&self, case: &str, unit: &str, target: Target, values: &[f64], constant: f64) {
        let rounds = Rounds { values: values.to_vec(), baselines: vec![constant; values.len()] };
        self.add(case, unit, Some(target), &rounds);
    }

    fn add(&self, case: &str, unit: &str, target: Option<Target>, rounds: &Rounds) {
        let engine = format!("{} {}", self.program.engine(), self.program.version());
        self.results.borrow_mut().add(rounds.outcome(case, &engine, unit, target));
    }

    /// Checks the data invariants of a system, then stops the system.
    async fn close(&self, system: System) -> Result<()> {
        let findings = db_audit::check(&system.database_url()?).await?;
        for finding in findings.iter().filter(|finding| finding.violations > 0) {
            let (sentence, count, examples) = (finding.sentence, finding.violations, finding.examples.join("; "));
            anstream::println!("\x1b[31mVIOLATED\x1b[0m {count} times: {sentence} {examples}");
            self.results.borrow_mut().violations += 1;
        }
        system.stop().await
    }
}
