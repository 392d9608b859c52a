//! What a document says beyond what dropshot emits of a trait.

/// What a caller has to show for one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Nothing.
    Anyone,
    /// An operator's JSON web token.
    Operator,
    /// The token that services show each other.
    Service,
    /// Either of the two.
    OperatorOrService,
}

/// The parts of a contract that its trait cannot carry.
#[derive(Debug)]
pub struct Contract {
    /// The document's name under `specs/`, without the ending.
    pub name: &'static str,
    /// `info.title`.
    pub title: &'static str,
    /// `info.description`.
    pub description: &'static str,
    /// `info.version`, semantic.
    pub version: &'static str,
    /// Where the service listens when run locally.
    pub local_url: &'static str,
    /// What each operation asks of its caller, by operation id. Every operation is listed.
    pub security: &'static [(&'static str, Security)],
}
