//! Verifier: compares the clients' responses with the database, with the OpenAPI documents, and with each other.
//!
//! `snapshot` reads the tables. Each other module contains rules, stated in one sentence; a finding adds IDs and keys.

mod contract;
mod creates;
mod customers;
mod keys;
mod orders;
mod products;
mod sagas;
mod snapshot;
#[cfg(test)]
mod tests;
mod versions;

use std::collections::BTreeSet;
use std::fmt::Display;

use anyhow::Result;

use crate::contract::{self as documents, Contract};
use crate::history::History;
use snapshot::Snapshot;

impl History {
    /// Reads the database and returns the violated rules, one sentence per violation: acknowledged results that are
    /// missing, and responses that contradict each other or the documents. If the system is correct, the list is empty.
    ///
    /// Call this after all clients have stopped. The system's background jobs may still be running.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn verify(&self, database_url: &str) -> Result<Vec<String>> {
        Ok(self.findings(&documents::read()?, &Snapshot::read(database_url).await?))
    }

    fn findings(&self, contract: &Contract, snapshot: &Snapshot) -> Vec<String> {
        let mut findings = Findings::default();
        for client in &self.lost_clients {
            findings.add("every client returns its history", client);
        }
        contract::check(self, contract, &mut findings);
        keys::check(self, &mut findings);
        creates::check(self, snapshot, &mut findings);
        orders::check(self, snapshot, &mut findings);
        sagas::check(self, snapshot, &mut findings);
        products::check(self, snapshot, &mut findings);
        customers::check(self, snapshot, &mut findings);
        versions::check(self, snapshot, &mut findings);
        findings.0.into_iter().collect()
    }
}

/// Violated rules. Identical findings count once.
#[derive(Default)]
struct Findings(BTreeSet<String>);

impl Findings {
    /// Adds a violation of a rule. The rule is a sentence without the final period.
    fn add(&mut self, rule: &str, violation: impl Display) {
        self.0.insert(format!("{rule}, but: {violation}"));
    }

    /// Adds a violation unless the rule holds.
    fn unless(&mut self, holds: bool, rule: &str, violation: impl Display) {
        if !holds {
            self.add(rule, violation);
        }
    }
}
