//! The three services.

/// Service, which is a program of the same name.
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
    /// All services, in start order.
    pub const ALL: [Self; 3] = [Self::Customers, Self::Orders, Self::Orchestrator];

    /// The name of the program.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Orders => "orders",
            Self::Orchestrator => "orchestrator",
        }
    }

    /// Returns the per-service name of a setting: `ORDERS_PORT` for `PORT`.
    #[must_use]
    pub fn variable(self, setting: &str) -> String {
        format!("{}_{setting}", self.name().to_uppercase())
    }
}
