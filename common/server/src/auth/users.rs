//! Authenticated user accounts. A value of one of these types proves that the account's role was checked.

use std::marker::PhantomData;

use common_contract::{Failure, Role, Username, codes};

/// A user account of any role: read access.
pub type Viewer = User<RequiresViewer>;
/// A user account with the role operator or admin: daily work.
pub type Operator = User<RequiresOperator>;
/// A user account with the role admin: manages user accounts.
pub type Admin = User<RequiresAdmin>;

/// A user account whose role satisfies the requirement `R`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User<R> {
    name: Username,
    requirement: PhantomData<R>,
}

/// A minimum role.
pub trait RequiredRole {
    /// The lowest sufficient role.
    const ROLE: Role;
}

/// Requires the role viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequiresViewer {}
/// Requires the role operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequiresOperator {}
/// Requires the role admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequiresAdmin {}

impl RequiredRole for RequiresViewer {
    const ROLE: Role = Role::Viewer;
}

impl RequiredRole for RequiresOperator {
    const ROLE: Role = Role::Operator;
}

impl RequiredRole for RequiresAdmin {
    const ROLE: Role = Role::Admin;
}

impl<R> User<R> {
    /// Returns the account's name.
    pub fn name(&self) -> &Username {
        &self.name
    }

    /// Returns the principal for logs and audit records: `operator:NAME`.
    pub fn principal(&self) -> String {
        principal(&self.name)
    }
}

impl<R: RequiredRole> User<R> {
    /// Checks the role against the requirement.
    pub(super) fn with(name: Username, role: Role) -> Result<Self, Failure> {
        if role >= R::ROLE {
            Ok(Self { name, requirement: PhantomData })
        } else {
            Err(Failure::new(codes::FORBIDDEN, format!("this operation needs the role {} or a higher one", R::ROLE)))
        }
    }
}

pub(super) fn principal(name: &Username) -> String {
    format!("operator:{}", name.as_str())
}
