//! Cases: what is measured against what. Each starts a system of its own and stops it.

mod lists;
mod memory;
mod open_loop;
mod rates;
mod seed;
mod shop;
mod start;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use harness::Service;

use crate::results::Results;

/// Group of measurements, by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Case {
    /// GET /customers/{id}
    CustomerView,
    /// GET /products/{id}
    ProductView,
    /// POST /orders on many products
    OrderCreateSpread,
    /// POST /orders on one product
    OrderCreateHot,
    /// POST /orders/{id}/confirm
    OrderConfirm,
    /// POST /orders/{id}/cancel
    OrderCancel,
    /// POST /orchestrator/create-and-confirm-order
    Saga,
    /// Latencies at half the possible rate
    OpenLoop,
    /// Lists and searches at many rows
    Lists,
    /// Peak memory
    Memory,
    /// Time from start to ready
    Start,
    /// Generated rows
    Seed,
}

impl Case {
    pub(crate) async fn measure(self, bench: &Bench, results: &mut Results) -> Result<()> {
        match self {
            Self::CustomerView => {
                rates::view(bench, results, "customer_view", Service::Customers, &rates::PUBLISHED_VIEW).await
            }
            Self::ProductView => rates::view(bench, results, "product_view", Service::Orders, &[]).await,
            Self::OrderCreateSpread => rates::create(bench, results, "order_create_spread", false).await,
            Self::OrderCreateHot => rates::create(bench, results, "order_create_hot", true).await,
            Self::OrderConfirm => rates::transition(bench, results, "confirm").await,
            Self::OrderCancel => rates::transition(bench, results, "cancel").await,
            Self::Saga => rates::saga(bench, results).await,
            Self::OpenLoop => open_loop::open_loop(bench, results).await,
            Self::Lists => lists::lists(bench, results).await,
            Self::Memory => memory::memory(bench, results).await,
            Self::Start => start::start(bench, results).await,
            Self::Seed => seed::seed(bench, results).await,
        }
    }
}

/// Settings shared by all cases.
pub(crate) struct Bench {
    pub(crate) program: private_server::Program,
    /// The run directory.
    pub(crate) directory: PathBuf,
    /// Each round measures value and baseline once.
    pub(crate) rounds: u32,
    /// Length of one measurement.
    pub(crate) each: Duration,
    /// Length of the load before the first round.
    pub(crate) warm_up: Duration,
    /// Requests recorded for a baseline.
    pub(crate) recorded: u64,
    /// Whether everything has to end within 15 minutes.
    pub(crate) is_quick: bool,
}
