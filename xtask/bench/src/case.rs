//! What can be measured, by its name on the command line, in the order in which it is.

use anyhow::Result;
use clap::ValueEnum;

use crate::cases::{Bench, lists, memory, reads, seed, start};
use crate::outcome::Results;

/// What is measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Case {
    /// GET /customers/{id}
    CustomerView,
    /// GET /products/{id}
    ProductView,
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
    pub(crate) const ALL: [Self; 6] =
        [Self::CustomerView, Self::ProductView, Self::Lists, Self::Memory, Self::Start, Self::Seed];

    /// For people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::CustomerView => "GET /customers/{id}",
            Self::ProductView => "GET /products/{id}",
            Self::Lists => "lists and searches, at many rows and at few",
            Self::Memory => "peak memory under load",
            Self::Start => "start to ready",
            Self::Seed => "generated rows",
        }
    }

    /// Measures it.
    pub(crate) async fn measure(self, bench: &mut Bench, results: &mut Results) -> Result<()> {
        match self {
            Self::CustomerView => reads::customer_view(bench, results).await,
            Self::ProductView => reads::product_view(bench, results).await,
            Self::Lists => lists::lists(bench, results).await,
            Self::Memory => memory::memory(bench, results).await,
            Self::Start => start::start(bench, results).await,
            Self::Seed => seed::seed(bench, results).await,
        }
    }
}
