//! Changing prices and stock, and reading them.

use rand::Rng;

use super::Client;
use crate::history::Sent;
use crate::outcome::ProductSeen;
use crate::request::Request;

impl Client {
    /// Half of the time under If-Match.
    pub(super) async fn set_price(&mut self) {
        let product = self.shop.product(&mut self.rng);
        let price_cents: i64 = self.rng.random_range(500..5_000);
        let if_match = if self.chance(50) { self.see(product).await.map(|seen| seen.version) } else { None };
        self.execute(Request::SetPrice { product, price_cents, if_match }).await;
    }

    /// Always under If-Match.
    pub(super) async fn set_stock(&mut self) {
        let product = self.shop.product(&mut self.rng);
        let Some(seen) = self.see(product).await else { return };
        let stock = seen.stock.saturating_add(self.rng.random_range(-5..=20)).max(0);
        self.execute(Request::SetStock { seen, stock }).await;
    }

    /// Mostly a delivery of what is scarce, and never enough of it.
    pub(super) async fn adjust_stock(&mut self) {
        let (product, delta) = if self.chance(75) {
            (self.shop.scarce_product(&mut self.rng), self.rng.random_range(1..=4))
        } else {
            (self.shop.product(&mut self.rng), self.rng.random_range(-4..=-1))
        };
        let reference = self.new_name();
        self.execute(Request::AdjustStock { product, delta, reference }).await;
    }

    pub(super) async fn view_product(&mut self) {
        let product = self.shop.product(&mut self.rng);
        self.see(product).await;
    }

    async fn see(&mut self, product: i64) -> Option<ProductSeen> {
        self.execute(Request::ViewProduct { product }).await.sends.last().and_then(Sent::product).copied()
    }
}
