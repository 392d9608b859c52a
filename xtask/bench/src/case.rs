//! What can be measured, by its name on the command line, in the order in which it is.

use anyhow::Result;
use clap::ValueEnum;

use crate::cases::{Bench, reads};
use crate::outcome::Results;

/// What is measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Case {
    /// GET /customers/{id}
    CustomerView,
    /// GET /products/{id}
    ProductView,
}

impl Case {
    /// Everything.
    pub(crate) const ALL: [Self; 2] = [Self::CustomerView, Self::ProductView];

    /// For people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::CustomerView => "GET /customers/{id}",
            Self::ProductView => "GET /products/{id}",
        }
    }

    /// Measures it.
    pub(crate) async fn measure(self, bench: &mut Bench, results: &mut Results) -> Result<()> {
        match self {
            Self::CustomerView => reads::customer_view(bench, results).await,
            Self::ProductView => reads::product_view(bench, results).await,
        }
    }
}
