//! The people who run the back office. A value of one of these types proves that the person's role was looked at.

use std::marker::PhantomData;

use common_contract::{Failure, Role, Text, codes};

/// An operator's name. It is part of every record of what the operator did.
pub type OperatorName = Text<64>;

/// A person who may look at everything: of any role.
pub type Viewer = Person<Views>;
/// A person who may do the daily work: an operator or an admin.
pub type Operator = Person<Operates>;
/// A person who may decide who else may do what: an admin.
pub type Admin = Person<Administers>;

/// A person whose role is high enough for `R`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person<R> {
    name: OperatorName,
    proved: PhantomData<R>,
}

/// What a person has to be, at least.
pub trait Rank {
    /// The lowest role that is enough.
    const ROLE: Role;
}

/// The rank of a viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Views {}
/// The rank of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operates {}
/// The rank of an admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Administers {}

impl Rank for Views {
    const ROLE: Role = Role::Viewer;
}

impl Rank for Operates {
    const ROLE: Role = Role::Operator;
}

impl Rank for Administers {
    const ROLE: Role = Role::Admin;
}

impl<R> Person<R> {
    /// The person's name.
    pub fn name(&self) -> &OperatorName {
        &self.name
    }

    /// Under which name the person's work is recorded.
    pub fn principal(&self) -> String {
        principal(&self.name)
    }
}

impl<R: Rank> Person<R> {
    /// If the role is high enough.
    pub(super) fn with(name: OperatorName, role: Role) -> Result<Self, Failure> {
        if role >= R::ROLE {
            Ok(Self { name, proved: PhantomData })
        } else {
            Err(Failure::new(codes::FORBIDDEN, format!("this operation needs the role {} or a higher one", R::ROLE)))
        }
    }
}

pub(super) fn principal(name: &OperatorName) -> String {
    format!("operator:{}", name.as_str())
}
