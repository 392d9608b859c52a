//! What a document says beyond what dropshot emits of a trait.

use crate::{ErrorCode, Role};

/// The examples that every contract shares, in the form of [`Contract::examples`].
pub const EXAMPLES: &str = include_str!("../examples.json");

/// The member of an operation in a document that says the lowest role of a person who may call it.
pub const REQUIRED_ROLE: &str = "x-required-role";

/// Who may call one operation, and what they have to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Anyone, without anything.
    Anyone,
    /// A person of this role or a higher one, by their JSON web token.
    Role(Role),
    /// A service, by the token that services show.
    Service,
    /// Either of the two.
    RoleOrService(Role),
}

impl Security {
    /// The lowest role of a person who may call it, where people have to show who they are.
    pub const fn role(self) -> Option<Role> {
        match self {
            Self::Anyone | Self::Service => None,
            Self::Role(role) | Self::RoleOrService(role) => Some(role),
        }
    }
}

/// What the trait cannot say of one operation.
#[derive(Debug)]
pub struct Operation {
    /// The method's name in the trait.
    pub id: &'static str,
    /// Who may call it.
    pub security: Security,
    /// How it fails, besides the ways that follow from what it takes and from whom.
    pub errors: &'static [&'static [ErrorCode]],
}

impl Operation {
    /// Describes one operation.
    pub const fn new(id: &'static str, security: Security, errors: &'static [&'static [ErrorCode]]) -> Self {
        Self { id, security, errors }
    }
}

/// Where an answer leads: what it says is what other operations ask for.
#[derive(Debug)]
pub struct Link {
    /// The operation that answers.
    pub from: &'static str,
    /// The operations that its good answer leads to.
    pub to: &'static [&'static str],
    /// Their parameters, and where in the answer or the request their values are (OpenAPI runtime expressions).
    pub parameters: &'static [(&'static str, &'static str)],
}

/// The resource that the answer shows, by its id.
pub const BY_ID: &[(&str, &str)] = &[("id", "$response.body#/id")];
/// The same, as long as it has not changed since.
pub const BY_ID_AND_VERSION: &[(&str, &str)] = &[("id", "$response.body#/id"), ("If-Match", "$response.header.ETag")];
/// The next page of the same list.
pub const NEXT_PAGE: &[(&str, &str)] = &[("cursor", "$response.body#/next_cursor")];

impl Link {
    /// Leads from one operation to others.
    pub const fn new(
        from: &'static str,
        to: &'static [&'static str],
        parameters: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self { from, to, parameters }
    }
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
    /// Every operation.
    pub operations: &'static [Operation],
    /// Where answers lead.
    pub links: &'static [Link],
    /// Every code of the service.
    pub codes: &'static [&'static [ErrorCode]],
    /// Examples, as a JSON object: `schemas` by name, each whole; `parameters` and `headers` by name; `errors` by code,
    /// each as what differs from the example of the error body (RFC 7396). An object `{"$ref": "#/schemas/Order", …}` is
    /// that example, with what stands beside the reference merged into it.
    pub examples: &'static str,
}
