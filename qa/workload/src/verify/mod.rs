//! Holds the answers to clients against the database, the documents and each other.
//!
//! `snapshot` reads the database, by its tables alone. Each other module is a group of rules; each rule is one sentence,
//! and a finding adds the ids and keys at fault.

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
    /// Reads the database and returns, in a sentence each, what an acknowledged answer promised that is not there, and
    /// which answers contradict each other or the documents. A correct system gives an empty list.
    ///
    /// Call it when the clients have ended. Background jobs of the system may go on.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn verify(&self, database_url: &str) -> Result<Vec<String>> {
        Ok(self.findings(&documents::read()?, &Snapshot::read(database_url).await?))
    }

    fn findings(&self, contract: &Contract, snapshot: &Snapshot) -> Vec<String> {
        let mut findings = Findings::default();
        for client in &self.lost_clients {
            findings.add("every client tells what it was told", client);
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

/// Broken rules. Equal findings count once.
#[derive(Default)]
struct Findings(BTreeSet<String>);

impl Findings {
    /// The rule, as a sentence without its end, and what breaks it.
    fn add(&mut self, rule: &str, breach: impl Display) {
        self.0.insert(format!("{rule}, but: {breach}"));
    }

    fn unless(&mut self, kept: bool, rule: &str, breach: impl Display) {
        if !kept {
            self.add(rule, breach);
        }
    }
}
