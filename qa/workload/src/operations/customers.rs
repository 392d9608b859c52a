//! Keeping customers: each client has a few of its own, which no other client changes.

use rand::Rng;

use super::Client;
use crate::history::Record;
use crate::outcome::{CustomerSeen, Seen};
use crate::request::Request;

/// Above this number, one is deleted before another is created.
const KEPT: usize = 4;

impl Client {
    pub(super) async fn care_for_customers(&mut self) {
        if self.own_customers.is_empty() {
            return self.create_customer().await;
        }
        let one = self.rng.random_range(0..self.own_customers.len());
        match self.rng.random_range(0..10) {
            0..3 if self.own_customers.len() < KEPT => self.create_customer().await,
            0..5 => self.delete_customer(one).await,
            5..7 => self.update_customer(one).await,
            7..8 => {
                let CustomerSeen { id, email, .. } = self.own_customers[one].clone();
                self.execute(Request::FindCustomer { id, email }).await;
            }
            _ => self.view_customer(one).await,
        }
    }

    async fn create_customer(&mut self) {
        let (name, email) = self.new_identity();
        let created = shown(self.execute(Request::CreateCustomer { name, email }).await);
        self.own_customers.extend(created);
    }

    async fn update_customer(&mut self, one: usize) {
        let (name, email) = self.new_identity();
        let CustomerSeen { id, version, .. } = self.own_customers[one];
        let if_match = self.chance(50).then_some(version);
        let record = self.execute(Request::UpdateCustomer { id, name, email, if_match }).await;
        let is_unknown = record.unknown() > 0;
        if let Some(seen) = shown(record) {
            self.own_customers[one] = seen;
        } else if is_unknown {
            // It may change at any time from now on: no answer about it could be verified.
            self.own_customers.swap_remove(one);
        }
    }

    async fn delete_customer(&mut self, one: usize) {
        let CustomerSeen { id, .. } = self.own_customers.swap_remove(one);
        if self.execute(Request::DeleteCustomer { id }).await.is_acknowledged() {
            self.deleted_customer = Some(id);
        }
    }

    /// Now and then one that was deleted.
    async fn view_customer(&mut self, one: usize) {
        let deleted = self.deleted_customer.filter(|_| self.rng.random_ratio(20, 100));
        let id = deleted.unwrap_or(self.own_customers[one].id);
        if let (Some(seen), None) = (shown(self.execute(Request::ViewCustomer { id }).await), deleted) {
            self.own_customers[one] = seen;
        }
    }

    fn new_identity(&mut self) -> (String, String) {
        let name = self.new_name();
        let email = format!("{name}@example.com");
        (name, email)
    }
}

fn shown(record: &Record) -> Option<CustomerSeen> {
    match record.sends.last()?.seen() {
        Some(Seen::Customer(customer)) => Some(customer.clone()),
        _ => None,
    }
}
