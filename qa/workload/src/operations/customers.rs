//! Keeping customers: each client has a few of its own, which nobody else touches.

use customers_client::types::{CustomerInput, CustomerPage};
use rand::Rng;

use super::Client;
use crate::attempt::Attempt;
use crate::history::{Caller, Record, Request, Sent};
use crate::operation::Operation;
use crate::outcome::{CustomerSeen, Effect, Seen, Told};
use crate::session::{Pursuit, Session};

/// Beyond so many, one is deleted before another is made.
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
            7..8 => self.find_customer(one).await,
            _ => self.view_customer(one).await,
        }
    }

    async fn create_customer(&mut self) {
        let (name, email) = self.new_identity();
        self.session.tally.begin();
        let session = &self.session;
        let attempt = async || {
            let Some(client) = session.customers().await else { return Attempt::not_sent() };
            let input = CustomerInput::builder().name(name.as_str()).email(email.as_str());
            Attempt::of(client_common::send(client.customer_create().body(input).send()).await, Seen::from)
        };
        let sends = session.pursue(Pursuit::of(Operation::CustomerCreate, false), attempt).await;
        self.own_customers.extend(shown(&sends).cloned());
        self.keep(Record::unkeyed(Caller::Operator, Request::CreateCustomer { name, email }, sends));
    }

    async fn update_customer(&mut self, one: usize) {
        let (name, email) = self.new_identity();
        let CustomerSeen { id, version, .. } = self.own_customers[one];
        let if_match = self.chance(50).then_some(version);
        self.session.tally.begin();
        let session = &self.session;
        let attempt = async || {
            let Some(client) = session.customers().await else { return Attempt::not_sent() };
            let input = CustomerInput::builder().name(name.as_str()).email(email.as_str());
            let mut update = client.customer_update().id(id).body(input);
            if let Some(version) = if_match {
                update = update.if_match(format!("\"v{version}\""));
            }
            Attempt::of(client_common::send(update.send()).await, Seen::from)
        };
        let sends = session.pursue(Pursuit::of(Operation::CustomerUpdate, false), attempt).await;
        if let Some(seen) = shown(&sends) {
            self.own_customers[one] = seen.clone();
        } else if sends.iter().any(|sent| sent.effect() == Effect::Unknown) {
            // It may change at any time from now on: no answer about it could be judged.
            self.own_customers.swap_remove(one);
        }
        self.keep(Record::unkeyed(Caller::Operator, Request::UpdateCustomer { id, name, email, if_match }, sends));
    }

    async fn delete_customer(&mut self, one: usize) {
        let CustomerSeen { id, .. } = self.own_customers.swap_remove(one);
        self.session.tally.begin();
        let session = &self.session;
        let attempt = async || {
            let Some(client) = session.customers().await else { return Attempt::not_sent() };
            Attempt::of(client_common::send(client.customer_delete().id(id).send()).await, |()| Seen::Nothing)
        };
        let sends = session.pursue(Pursuit::of(Operation::CustomerDelete, false), attempt).await;
        if sends.last().is_some_and(|sent| sent.outcome.is_ok()) {
            self.deleted_customer = Some(id);
        }
        self.keep(Record::unkeyed(Caller::Operator, Request::DeleteCustomer { id }, sends));
    }

    /// Now and then one that was deleted.
    async fn view_customer(&mut self, one: usize) {
        let deleted = self.deleted_customer.filter(|_| self.rng.random_ratio(20, 100));
        let id = deleted.unwrap_or(self.own_customers[one].id);
        self.session.tally.begin();
        let sends = view(&self.session, id).await;
        if let (None, Some(seen)) = (deleted, shown(&sends)) {
            self.own_customers[one] = seen.clone();
        }
        self.keep(Record::unkeyed(Caller::Operator, Request::ViewCustomer { id }, sends));
    }

    async fn find_customer(&mut self, one: usize) {
        let CustomerSeen { id, email, .. } = self.own_customers[one].clone();
        self.session.tally.begin();
        let session = &self.session;
        let attempt = async || {
            let Some(client) = session.customers().await else { return Attempt::not_sent() };
            let page = client_common::send(client.customer_list().search(email.as_str()).limit(100).send()).await;
            // Others have names that begin alike: it may be on a later page.
            let is_found = |page: &CustomerPage| page.has_more || page.data.iter().any(|found| found.id == id);
            Attempt::of(page, |page| Seen::List { found: is_found(&page) })
        };
        let sends = session.pursue(Pursuit::of(Operation::CustomerList, true), attempt).await;
        self.keep(Record::unkeyed(Caller::Operator, Request::FindCustomer { id, email }, sends));
    }

    fn new_identity(&mut self) -> (String, String) {
        let name = self.new_name();
        let email = format!("{name}@example.com");
        (name, email)
    }
}

async fn view(session: &Session, id: i64) -> Vec<Sent> {
    let attempt = async || {
        let Some(client) = session.customers().await else { return Attempt::not_sent() };
        Attempt::of(client_common::send(client.customer_view().id(id).send()).await, Seen::from)
    };
    session.pursue(Pursuit::of(Operation::CustomerView, true), attempt).await
}

fn shown(sends: &[Sent]) -> Option<&CustomerSeen> {
    match &sends.last()?.outcome {
        Ok(Told { seen: Seen::Customer(customer), .. }) => Some(customer),
        _ => None,
    }
}
