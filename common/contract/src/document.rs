//! Document metadata that dropshot cannot derive from an API trait.

use crate::{ErrorCode, Role};

/// Examples shared by all contracts, in the format of [`Contract::examples`].
pub const EXAMPLES: &str = include_str!("../examples.json");

/// OpenAPI operation extension: the minimum role that a user account needs to call the operation.
pub const REQUIRED_ROLE: &str = "x-required-role";

/// Credentials that an operation requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// No credentials.
    Anyone,
    /// JSON Web Token of a user account with at least this role.
    Role(Role),
    /// Service token.
    Service,
    /// JSON Web Token of a user account with at least this role, or a service token.
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

/// Operation metadata that the API trait cannot express.
#[derive(Debug)]
pub struct Operation {
    /// Name of the trait method.
    pub id: &'static str,
    /// Required credentials.
    pub security: Security,
    /// Error codes in addition to those implied by the operation's parameters, body and credentials.
    pub errors: &'static [&'static [ErrorCode]],
}

impl Operation {
    /// Creates operation metadata.
    pub const fn new(id: &'static str, security: Security, errors: &'static [&'static [ErrorCode]]) -> Self {
        Self { id, security, errors }
    }
}

/// OpenAPI link: maps values in a response to parameters of other operations.
#[derive(Debug)]
pub struct Link {
    /// Operation that returns the response.
    pub from: &'static str,
    /// Operations that accept the values as parameters.
    pub to: &'static [&'static str],
    /// Parameter names, each with the OpenAPI runtime expression of its value.
    pub parameters: &'static [(&'static str, &'static str)],
}

/// Link parameters for operations on the returned resource.
pub const BY_ID: &[(&str, &str)] = &[("id", "$response.body#/id")];
/// Link parameters for operations that require the version of the returned resource to be unchanged.
pub const BY_ID_AND_VERSION: &[(&str, &str)] = &[("id", "$response.body#/id"), ("If-Match", "$response.header.ETag")];
/// Link parameters for the next page of the same list.
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

/// API metadata that the API trait cannot express.
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
    /// Enum schemas whose constants are prefixed with the name of the schema in generated code (`x-enum-varnames`). Go
    /// has one namespace for the constants of all enums, so a value that two enums share needs it.
    pub prefixed_enums: &'static [&'static str],
    /// All error codes of the service.
    pub codes: &'static [&'static [ErrorCode]],
    /// Examples as a JSON object: `schemas`, `parameters` and `headers` contain complete examples by name, and `errors`
    /// contains a merge patch (RFC 7396) of the error body example for each code. `{"$ref": "#/schemas/Order", …}` is
    /// replaced with the referenced example, into which the other members of the object are merged.
    pub examples: &'static str,
}
