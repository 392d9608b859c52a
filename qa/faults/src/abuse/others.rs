//! Those who only want to be served: a read and an order, again and again at a steady pace, whatever became of the one before.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use client_common::{Outbound, send};
use orders_client::types::{NewOrder, NewOrderItem, NewProduct};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use workload::Targets;

/// One request of each kind begins so often. Far from what the system can do, so that it is the attack that is measured.
const PACE: Duration = Duration::from_millis(40);

const PRODUCTS: usize = 16;

/// An operator who works.
pub(super) struct Others {
    customers: customers_client::Client,
    orders: orders_client::Client,
    /// Several, so that orders do not wait for each other.
    products: Vec<i64>,
}

/// How long answers took, from the moment in which the request was due.
#[derive(Default)]
pub(super) struct Served {
    /// By operation.
    pub(super) latencies: BTreeMap<&'static str, Vec<Duration>>,
    pub(super) failures: Vec<String>,
}

impl Others {
    /// Logs in, and makes products that are never sold out.
    pub(super) async fn log_in(targets: &Targets) -> Result<Self> {
        let Targets { customers, orders, admin_user, admin_password, .. } = targets;
        let operator: Outbound = customers_client::log_in(customers, admin_user, admin_password).await?;
        let orders = orders_client::Client::connect(orders, operator.clone())?;
        let mut products = Vec::new();
        for number in 0..PRODUCTS {
            let new = NewProduct::builder().sku(format!("ABUSE-{number}")).name("Never sold out");
            let new = new.price_cents(100).stock(1_000_000_000);
            products.push(send(orders.product_create().body(new).send()).await.context("cannot make a product")?.id);
        }
        Ok(Self { customers: customers_client::Client::connect(customers, operator)?, orders, products })
    }

    /// Sends requests for so long, waits for all answers, and adds how they were served.
    pub(super) async fn ask_for(&self, length: Duration, served: &mut Served) {
        let end = Instant::now() + length;
        let mut pace = interval(PACE);
        // Who is late sends at once: a pause of the system is felt by everybody who came meanwhile.
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut requests = JoinSet::new();
        let mut products = self.products.iter().cycle();
        while Instant::now() < end {
            let due = pace.tick().await;
            let customers = self.customers.clone();
            requests.spawn(async move {
                let read = send(customers.customer_view().id(1).send()).await;
                read.map(|_| ("GET /customers/{id}", due.elapsed())).map_err(|fault| format!("a read: {fault}"))
            });
            let (orders, product_id) = (self.orders.clone(), products.next().copied().unwrap_or_default());
            requests.spawn(async move {
                let item = NewOrderItem::builder().product_id(product_id).qty(1);
                let new = NewOrder::builder().customer_id(1).items([item]);
                let order = send(orders.order_create().body(new).send()).await;
                order.map(|_| ("POST /orders", due.elapsed())).map_err(|fault| format!("an order: {fault}"))
            });
        }
        while let Some(answer) = requests.join_next().await {
            match answer.unwrap_or_else(|error| Err(error.to_string())) {
                Ok((operation, latency)) => served.latencies.entry(operation).or_default().push(latency),
                Err(failure) => served.failures.push(failure),
            }
        }
    }
}

/// The time that so many percent of them stayed below; none of none.
pub(super) fn quantile(latencies: &mut [Duration], percent: usize) -> Option<Duration> {
    latencies.sort_unstable();
    latencies.get((latencies.len().saturating_sub(1) * percent + 50) / 100).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_that_were_measured() {
        let mut latencies: Vec<_> = (0..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(quantile(&mut latencies, 50), Some(Duration::from_millis(50)));
        assert_eq!(quantile(&mut latencies, 99), Some(Duration::from_millis(99)));
        assert_eq!(quantile(&mut [], 50), None);
    }
}
