//! Changing prices and stock, and looking at them.

use orders_client::types::{NewStockAdjustment, Product, ProductPatch};
use rand::Rng;

use super::Client;
use crate::attempt::Attempt;
use crate::history::{Caller, Record, Request, Sent};
use crate::operation::Operation;
use crate::outcome::{ProductSeen, Seen};
use crate::session::{Pursuit, Session};

impl Client {
    /// Half of the time only if nobody changed the product since this client saw it.
    pub(super) async fn set_price(&mut self) {
        let product = self.shop.product(&mut self.rng);
        let price_cents: i64 = self.rng.random_range(500..5_000);
        let if_match = if self.chance(50) { self.see(product).await.map(|seen| seen.version) } else { None };
        let patch = ProductPatch::builder().price_cents(price_cents);
        self.session.tally.begin();
        let sends = update(&self.session, product, if_match, &patch).await;
        let request = Request::SetPrice { product, price_cents, if_match };
        self.keep(Record::unkeyed(Caller::Operator, request, sends));
    }

    /// Only if nobody changed the product since this client saw it.
    pub(super) async fn set_stock(&mut self) {
        let product = self.shop.product(&mut self.rng);
        let Some(seen) = self.see(product).await else { return };
        let stock = seen.stock.saturating_add(self.rng.random_range(-5..=20)).max(0);
        let patch = ProductPatch::builder().stock(stock);
        self.session.tally.begin();
        let sends = update(&self.session, product, Some(seen.version), &patch).await;
        self.keep(Record::unkeyed(Caller::Operator, Request::SetStock { seen, stock }, sends));
    }

    /// Mostly a delivery of what is scarce, and never enough of it.
    pub(super) async fn adjust_stock(&mut self) {
        let (product, delta) = if self.chance(75) {
            (self.shop.scarce_product(&mut self.rng), self.rng.random_range(1..=4))
        } else {
            (self.shop.product(&mut self.rng), self.rng.random_range(-4..=-1))
        };
        let reference = self.new_name();
        self.session.tally.begin();
        let sends = adjust(&self.session, product, delta, &reference).await;
        self.keep(Record::unkeyed(Caller::Operator, Request::AdjustStock { product, delta, reference }, sends));
    }

    pub(super) async fn view_product(&mut self) {
        let product = self.shop.product(&mut self.rng);
        self.see(product).await;
    }

    async fn see(&mut self, product: i64) -> Option<ProductSeen> {
        self.session.tally.begin();
        let session = &self.session;
        let attempt = async || {
            let Some(client) = session.orders().await else { return Attempt::not_sent() };
            Attempt::of(client_common::send(client.product_view().id(product).send()).await, |product| shown(&product))
        };
        let sends = session.pursue(Pursuit::of(Operation::ProductView, true), attempt).await;
        let seen = sends.last().and_then(Sent::product).copied();
        self.keep(Record::unkeyed(Caller::Operator, Request::ViewProduct { product }, sends));
        seen
    }
}

async fn update(
    session: &Session,
    product: i64,
    if_match: Option<i64>,
    patch: &orders_client::types::builder::ProductPatch,
) -> Vec<Sent> {
    let attempt = async || {
        let Some(client) = session.orders().await else { return Attempt::not_sent() };
        let mut update = client.product_update().id(product).body(patch.clone());
        if let Some(version) = if_match {
            update = update.if_match(format!("\"v{version}\""));
        }
        Attempt::of(client_common::send(update.send()).await, |product| shown(&product))
    };
    session.pursue(Pursuit::of(Operation::ProductUpdate, false), attempt).await
}

async fn adjust(session: &Session, product: i64, delta: i64, reference: &str) -> Vec<Sent> {
    let attempt = async || {
        let Some(client) = session.orders().await else { return Attempt::not_sent() };
        let reason = if delta > 0 { "delivery" } else { "damage" };
        let Ok(reference) = reference.parse() else { return Attempt::not_sent() };
        let adjustment = NewStockAdjustment::builder().delta(delta).reason(reason).reference(Some(reference));
        let sent = client.stock_adjustment_create().id(product).body(adjustment).send();
        Attempt::of(client_common::send(sent).await, |movement| Seen::Movement {
            product: movement.product_id,
            delta: movement.delta,
            reference: movement.reference,
        })
    };
    session.pursue(Pursuit::of(Operation::StockAdjustmentCreate, false), attempt).await
}

fn shown(product: &Product) -> Seen {
    Seen::Product(ProductSeen::from(product))
}
