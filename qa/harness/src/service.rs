//! The three services.

/// A service, which is a program of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The Customers API.
    Customers,
    /// The Orders API.
    Orders,
    /// The orchestrator.
    Orchestrator,
}

impl Service {
    /// All of them, in the order in which they start.
    pub const ALL: [Self; 3] = [Self::Customers, Self::Orders, Self::Orchestrator];

    /// The name of its program.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Orders => "orders",
            Self::Orchestrator => "orchestrator",
        }
    }

    /// The name of a setting that each service has: `ORDERS_PORT` for `PORT`.
    #[must_use]
    pub fn variable(self, setting: &str) -> String {
        format!("{}_{setting}", self.name().to_uppercase())
    }
}
