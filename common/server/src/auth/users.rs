//! Authenticated user accounts. A value of one of these types proves that the account has the required role.

use std::marker::PhantomData;

use common_contract::{Failure, Role, Username, codes};

/// User account with any role, which permits read access.
pub type Viewer = User<RequiresViewer>;
/// User account with the role operator or admin, which permits changes to customers, products and orders.
pub type Operator = User<RequiresOperator>;
/// User account with the role admin, which permits management of user accounts.
pub type Admin = User<RequiresAdmin>;

/// A user account whose role satisfies the requirement `R`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User<R> {
    name: Username,
    requirement: PhantomData<R>,
}

/// Role requirement.
pub trait RequiredRole {
    /// Minimum role.
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
    /// Creates the user if the role satisfies the requirement.
    pub(super) fn with(name: Username, role: Role) -> Result<Self, Failure> {
        if role >= R::ROLE {
            Ok(Self { name, requirement: PhantomData })
        } else {
            Err(Failure::new(codes::FORBIDDEN, format!("this operation requires the role {} or higher", R::ROLE)))
        }
    }
}

pub(super) fn principal(name: &Username) -> String {
    format!("operator:{}", name.as_str())
}
