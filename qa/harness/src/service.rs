//! The three services by their names.

/// A service, which is a program of its own.
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
}
