//! Holds what clients were told against the database, and against the contract and what else they were told.
//!
//! `books` reads the database, by its tables alone. Each other module is a group of rules; each rule is one sentence,
//! and what breaks it is added to the sentence with the ids and keys at fault.

mod books;
mod contract;
mod creates;
mod customers;
mod orders;
mod products;
mod reads;
mod replays;
mod sagas;
mod stock;
#[cfg(test)]
mod tests;
mod time;

use std::collections::BTreeSet;
use std::fmt::Display;

use anyhow::Result;

use crate::history::History;
use books::Books;

impl History {
    /// Reads the database and says, in a sentence each, what an acknowledged answer promised that is not there, and what
    /// answers contradict each other or the contract. An empty list is what a sound system gives.
    ///
    /// To be called when the clients have ended. Work that the system does by itself may go on.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub async fn verify(&self, database_url: &str) -> Result<Vec<String>> {
        let books = Books::read(database_url).await?;
        Ok(self.judge(&books))
    }

    fn judge(&self, books: &Books) -> Vec<String> {
        let mut findings = Findings::default();
        for client in &self.lost_clients {
            findings.add("every client tells what it was told", client);
        }
        contract::check(self, &mut findings);
        replays::check(self, &mut findings);
        creates::check(self, books, &mut findings);
        orders::check(self, books, &mut findings);
        sagas::check(self, books, &mut findings);
        products::check(self, books, &mut findings);
        stock::check(self, books, &mut findings);
        customers::check(self, books, &mut findings);
        reads::check(self, books, &mut findings);
        findings.0.into_iter().collect()
    }
}

/// What breaks a rule. The same is said once.
#[derive(Default)]
struct Findings(BTreeSet<String>);

impl Findings {
    /// The rule, as a sentence without its end, and what breaks it.
    fn add(&mut self, rule: &str, breach: impl Display) {
        self.0.insert(format!("{rule}, but: {breach}"));
    }

    fn unless(&mut self, kept: bool, rule: &str, breach: impl FnOnce() -> String) {
        if !kept {
            self.add(rule, breach());
        }
    }
}
