//! What can be measured, by its name on the command line, in the order in which it is.

use anyhow::Result;
use clap::ValueEnum;

use crate::cases::{Bench, lists, memory, open_loop, orders, reads, saga, seed, start};
use crate::outcome::Results;

/// What is measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Case {
    /// GET /customers/{id}
    CustomerView,
    /// GET /products/{id}
    ProductView,
    /// POST /orders, products spread
    OrderCreateSpread,
    /// POST /orders, one hot product
    OrderCreateHot,
    /// What each guarantee of a create costs
    Guarantee,
    /// POST /orders/{id}/confirm
    OrderConfirm,
    /// POST /orders/{id}/cancel
    OrderCancel,
    /// The orchestrator, the whole saga
    Saga,
    /// How long answers take at half the possible rate
    OpenLoop,
    /// Lists and searches
    Lists,
    /// Peak memory
    Memory,
    /// Start to ready
    Start,
    /// Generated rows
    Seed,
}

impl Case {
    /// Everything.
    pub(crate) const ALL: [Self; 13] = [
        Self::CustomerView,
        Self::ProductView,
        Self::OrderCreateSpread,
        Self::OrderCreateHot,
        Self::Guarantee,
        Self::OrderConfirm,
        Self::OrderCancel,
        Self::Saga,
        Self::OpenLoop,
        Self::Lists,
        Self::Memory,
        Self::Start,
        Self::Seed,
    ];

    /// Its name on the command line, which begins the names of its outcomes.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Measures it.
    pub(crate) async fn measure(self, bench: &mut Bench, results: &mut Results) -> Result<()> {
        // These have systems of their own, beside which nothing should run.
        if matches!(self, Self::Lists | Self::Memory | Self::Start | Self::Seed) {
            bench.end().await?;
        }
        match self {
            Self::CustomerView => reads::customer_view(bench, results).await,
            Self::ProductView => reads::product_view(bench, results).await,
            Self::OrderCreateSpread => orders::create_spread(bench, results).await,
            Self::OrderCreateHot => orders::create_hot(bench, results).await,
            Self::Guarantee => orders::guarantees(bench, results).await,
            Self::OrderConfirm => orders::confirm(bench, results).await,
            Self::OrderCancel => orders::cancel(bench, results).await,
            Self::Saga => saga::saga(bench, results).await,
            Self::OpenLoop => open_loop::open_loop(bench, results).await,
            Self::Lists => lists::lists(bench, results).await,
            Self::Memory => memory::memory(bench, results).await,
            Self::Start => start::start(bench, results).await,
            Self::Seed => seed::seed(bench, results).await,
        }
    }
}
