//! Creating and confirming an order in one request.

use serde_json::json;

use super::Client;
use crate::attempt::{self, Attempt};
use crate::history::{Caller, NewOrder, Record, Request, Sent};
use crate::operation::Operation;
use crate::session::{Pursuit, Session};

impl Client {
    pub(super) async fn create_and_confirm(&mut self) {
        let (key, new) = (self.new_name(), self.new_order());
        self.session.tally.begin();
        let mut sends = send(&self.session, 0, 0, &new, &key).await;
        let succeeded = sends.last().is_some_and(|sent| sent.outcome.is_ok());
        if succeeded && self.chance(25) {
            sends.extend(send(&self.session, 0, 0, &new, &key).await);
        }
        self.keep_saga(key, vec![new], sends);
    }

    /// Half of the time with other content.
    pub(super) async fn create_and_confirm_twice_at_once(&mut self) {
        let (key, first) = (self.new_name(), self.new_order());
        let mut requests = vec![first];
        if self.chance(50) {
            requests.push(self.other(&requests[0].clone()));
        }
        self.session.tally.begin();
        let other = requests.len() - 1;
        let (mut sends, more) = tokio::join!(
            send(&self.session, 0, 0, &requests[0], &key),
            send(&self.session, other, 1, &requests[other], &key)
        );
        sends.extend(more);
        self.keep_saga(key, requests, sends);
    }

    pub(super) async fn create_and_confirm_under_a_used_key(&mut self) {
        let (key, first) = (self.new_name(), self.new_order());
        let second = self.other(&first);
        self.session.tally.begin();
        let mut sends = send(&self.session, 0, 0, &first, &key).await;
        sends.extend(send(&self.session, 1, 1, &second, &key).await);
        self.keep_saga(key, vec![first, second], sends);
    }

    fn other(&mut self, order: &NewOrder) -> NewOrder {
        let mut other = order.clone();
        other.lines[0].1 += 1;
        other
    }

    fn keep_saga(&mut self, key: String, requests: Vec<NewOrder>, sends: Vec<Sent>) {
        if let Some(order) = sends.iter().find_map(Sent::order) {
            self.shop.remember(order.id);
        }
        let requests = requests.into_iter().map(Request::CreateAndConfirm).collect();
        self.keep(Record { caller: Caller::Service, key: Some(key), requests, sends });
    }
}

/// Each sender names the piece of work after the key, so that the orders made for it are found again.
async fn send(session: &Session, request: usize, sender: usize, new: &NewOrder, key: &str) -> Vec<Sent> {
    let items: Vec<_> = new.lines.iter().map(|(product, qty)| json!({ "product_id": product, "qty": qty })).collect();
    let correlation_id = format!("{key}/{sender}");
    let body = json!({
        "customer_id": new.customer, "items": items, "idempotency_key": key, "correlation_id": correlation_id
    });
    let attempt = async || {
        let Some(request) = session.saga_request(Caller::Service).await else { return Attempt::not_sent() };
        attempt::create_and_confirm(request.json(&body), &correlation_id).await
    };
    let pursuit = Pursuit { operation: Operation::OrderCreateAndConfirm, repeatable: true, request, sender };
    session.pursue(pursuit, attempt).await
}
