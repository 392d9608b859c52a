//! Measured regular clients: they send reads and orders at a constant rate, independent of earlier responses.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use client_common::{Outbound, send};
use orders_client::types::{OrderInput, OrderItemInput, ProductInput};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use workload::Targets;

/// Interval between requests of one kind. Far below the system's capacity, so that only the attack can slow it down.
const REQUEST_INTERVAL: Duration = Duration::from_millis(40);

const PRODUCTS: usize = 16;

/// Open-loop clients with the credentials of a user account.
pub(super) struct RegularClients {
    customers: customers_client::Client,
    orders: orders_client::Client,
    /// Several products, so that orders do not wait for each other's row locks.
    products: Vec<i64>,
}

/// Latencies, each measured from the time at which its request was due, and failures.
#[derive(Default)]
pub(super) struct Measured {
    pub(super) latencies: BTreeMap<&'static str, Vec<Duration>>,
    pub(super) failures: Vec<String>,
}

impl RegularClients {
    /// Logs in, and creates products whose stock never runs out.
    pub(super) async fn log_in(targets: &Targets) -> Result<Self> {
        let Targets { customers, orders, admin_user, admin_password, .. } = targets;
        let credentials: Outbound = customers_client::log_in(customers, admin_user, admin_password).await?;
        let orders = orders_client::Client::connect(orders, credentials.clone())?;
        let mut products = Vec::new();
        for number in 0..PRODUCTS {
            let new = ProductInput::builder().sku(format!("ABUSE-{number}")).name("Abuse test product");
            let new = new.price_cents(100).stock(1_000_000_000);
            products.push(send(orders.product_create().body(new).send()).await.context("cannot create a product")?.id);
        }
        Ok(Self { customers: customers_client::Client::connect(customers, credentials)?, orders, products })
    }

    /// Sends requests for this duration, waits for all responses, and records the measurements.
    pub(super) async fn measure(&self, length: Duration, measured: &mut Measured) {
        let end = Instant::now() + length;
        let mut pace = interval(REQUEST_INTERVAL);
        // Send overdue requests immediately, so that a stall of this process affects the latencies of all of them.
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut requests = JoinSet::new();
        let mut products = self.products.iter().cycle();
        while Instant::now() < end {
            let due = pace.tick().await;
            let customers = self.customers.clone();
            requests.spawn(async move {
                let read = send(customers.customer_view().id(1).send()).await;
                read.map(|_| ("GET /customers/{id}", due.elapsed()))
                    .map_err(|fault| format!("GET /customers/{{id}}: {fault}"))
            });
            let (orders, product_id) = (self.orders.clone(), products.next().copied().unwrap_or_default());
            requests.spawn(async move {
                let item = OrderItemInput::builder().product_id(product_id).qty(1);
                let new = OrderInput::builder().customer_id(1).items([item]);
                let order = send(orders.order_create().body(new).send()).await;
                order.map(|_| ("POST /orders", due.elapsed())).map_err(|fault| format!("POST /orders: {fault}"))
            });
        }
        while let Some(response) = requests.join_next().await {
            match response.unwrap_or_else(|error| Err(error.to_string())) {
                Ok((operation, latency)) => measured.latencies.entry(operation).or_default().push(latency),
                Err(failure) => measured.failures.push(failure),
            }
        }
    }
}

/// Returns the given percentile of the latencies, or `None` if there are no latencies.
pub(super) fn quantile(latencies: &mut [Duration], percent: usize) -> Option<Duration> {
    latencies.sort_unstable();
    latencies.get((latencies.len().saturating_sub(1) * percent + 50) / 100).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_measured_values() {
        let mut latencies: Vec<_> = (0..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(quantile(&mut latencies, 50), Some(Duration::from_millis(50)));
        assert_eq!(quantile(&mut latencies, 99), Some(Duration::from_millis(99)));
        assert_eq!(quantile(&mut [], 50), None);
    }
}
