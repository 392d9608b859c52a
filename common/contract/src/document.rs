//! Document metadata that dropshot cannot derive from an API trait.

use crate::{ErrorCode, Role};

/// Examples shared by all contracts, in the format of [`Contract::examples`].
pub const EXAMPLES: &str = include_str!("../examples.json");

/// OpenAPI extension of an operation: the minimum role of a user account that may call it.
pub const REQUIRED_ROLE: &str = "x-required-role";

/// Credentials that an operation requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// None.
    Anyone,
    /// JSON web token of a user account with this role or a higher one.
    Role(Role),
    /// Service token.
    Service,
    /// Token of a user account with this role or a higher one, or a service token.
    RoleOrService(Role),
}

impl Security {
    /// Returns the minimum role of a user account, if the operation requires one.
    pub const fn role(self) -> Option<Role> {
        match self {
            Self::Anyone | Self::Service => None,
            Self::Role(role) | Self::RoleOrService(role) => Some(role),
        }
    }
}

/// Metadata of an operation that the trait cannot express.
#[derive(Debug)]
pub struct Operation {
    /// Name of the trait method.
    pub id: &'static str,
    /// Required credentials.
    pub security: Security,
    /// Error codes, besides those implied by its parameters, its body and its credentials.
    pub errors: &'static [&'static [ErrorCode]],
}

impl Operation {
    /// Creates the metadata of an operation.
    pub const fn new(id: &'static str, security: Security, errors: &'static [&'static [ErrorCode]]) -> Self {
        Self { id, security, errors }
    }
}

/// OpenAPI link: passes values of a response to parameters of other operations.
#[derive(Debug)]
pub struct Link {
    /// Operation that returns the response.
    pub from: &'static str,
    /// Operations that take the values.
    pub to: &'static [&'static str],
    /// Their parameters, and the OpenAPI runtime expressions of the values.
    pub parameters: &'static [(&'static str, &'static str)],
}

/// Link to the returned resource by its id.
pub const BY_ID: &[(&str, &str)] = &[("id", "$response.body#/id")];
/// Link to the returned resource by its id, provided that its version is unchanged.
pub const BY_ID_AND_VERSION: &[(&str, &str)] = &[("id", "$response.body#/id"), ("If-Match", "$response.header.ETag")];
/// Link to the next page of the same list.
pub const NEXT_PAGE: &[(&str, &str)] = &[("cursor", "$response.body#/next_cursor")];

impl Link {
    /// Creates a link from one operation to others.
    pub const fn new(
        from: &'static str,
        to: &'static [&'static str],
        parameters: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self { from, to, parameters }
    }
}

/// Metadata of an API that its trait cannot express.
#[derive(Debug)]
pub struct Contract {
    /// File name of the document in `specs/`, without the extension.
    pub name: &'static str,
    /// `info.title`.
    pub title: &'static str,
    /// `info.description`.
    pub description: &'static str,
    /// `info.version`, a semantic version.
    pub version: &'static str,
    /// Base URL of a local server.
    pub local_url: &'static str,
    /// All operations.
    pub operations: &'static [Operation],
    /// Links between operations.
    pub links: &'static [Link],
    /// All error codes of the service.
    pub codes: &'static [&'static [ErrorCode]],
    /// Examples, as a JSON object: complete `schemas` by name, `parameters` and `headers` by name, and `errors` by
    /// code, each as a merge patch (RFC 7396) of the example of the error body. `{"$ref": "#/schemas/Order", …}` is
    /// replaced by that example, with the other members of the object merged into it.
    pub examples: &'static str,
}
