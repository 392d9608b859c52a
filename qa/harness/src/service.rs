//! The three services.

/// Service. Its program has the same name.
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

    /// Returns the name of the program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Orders => "orders",
            Self::Orchestrator => "orchestrator",
        }
    }

    /// Returns the service-specific name of a setting, for example `ORDERS_PORT` for `PORT`.
    pub fn variable(self, setting: &str) -> String {
        format!("{}_{setting}", self.name().to_uppercase())
    }
}
