//! System with customers and products, used by the cases that read and create orders.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use harness::Service;
use http::StatusCode;

use super::Bench;
use crate::load::{Plan, measure};
use crate::requests::{Ids, Load};
use crate::system::System;

/// Stock added to each product, so that no product runs out.
const RESTOCK: &str = r#"{"delta":1000000,"reason":"delivery"}"#;
const ORDER: &str = r#"{"customer_id":{random},"items":[{"product_id":{turn},"qty":1}]}"#;
/// Number of connections for cases that use only one connection count.
pub(super) const USUAL: u16 = 16;
/// Number of orders to confirm or cancel per second of measurement: approximately the service's rate.
const ORDERS_PER_SECOND: usize = 600;

pub(super) struct Shop {
    pub(super) system: System,
    /// Access token of the admin.
    pub(super) token: Arc<str>,
    customers: Ids,
    pub(super) products: Ids,
}

impl Shop {
    /// Starts all services with a generated dataset.
    pub(super) async fn open(bench: &Bench, case: &str) -> Result<Self> {
        let mut system = System::start(&bench.program, &bench.directory.join(case), [10, 1_000, 1_000]).await?;
        for service in Service::ALL {
            system.start_service(service).await?;
        }
        let customers = Ids::from(system.query("SELECT id FROM customers WHERE deleted_at IS NULL").await?);
        let products = Ids::from(system.query("SELECT id FROM products").await?);
        let shop = Self { token: system.log_in().await?, system, customers, products };
        let restock = shop.load(Service::Orders, "/products/{turn}/stock-adjustments", Some(RESTOCK));
        measure(restock, USUAL, Plan::Count(shop.products.len())).await?;
        Ok(shop)
    }

    /// Returns the admin's requests, POST if there is a body, with random customers and each product in turn.
    pub(super) fn load(&self, service: Service, path: &str, body: Option<&str>) -> Load {
        Load {
            address: self.system.address(service),
            token: self.token.clone(),
            path: path.to_owned(),
            body: body.map(str::to_owned),
            random: self.customers.clone(),
            turn: self.products.clone(),
            accepts: StatusCode::is_success,
        }
    }

    pub(super) fn views(&self) -> Load {
        self.load(Service::Customers, "/customers/{random}", None)
    }

    pub(super) fn creates(&self) -> Load {
        self.load(Service::Orders, "/orders", Some(ORDER))
    }

    /// Returns a load of requests that create and confirm an order.
    pub(super) fn sagas(&self) -> Load {
        let order = ORDER.replacen('{', r#"{"idempotency_key":"{key}","#, 1);
        self.load(Service::Orchestrator, "/orchestrator/create-and-confirm-order", Some(&order))
    }

    /// Creates orders, and returns a load of requests that confirm or cancel them.
    pub(super) async fn transitions(&self, action: &str, count: usize) -> Result<Load> {
        measure(self.creates(), USUAL, Plan::Count(count)).await?;
        let newest = format!("SELECT id FROM orders WHERE status = 'CREATED' ORDER BY id DESC LIMIT {count}");
        let turn = Ids::from(self.system.query(&newest).await?);
        Ok(Load { turn, ..self.load(Service::Orders, &format!("/orders/{{turn}}/{action}"), Some("")) })
    }

    /// Creates orders, and measures the rate at which the caller with the given token confirms or cancels them.
    pub(super) async fn transition(&self, token: &Arc<str>, action: &str, length: Duration) -> Result<f64> {
        let count = ORDERS_PER_SECOND * usize::try_from(length.as_secs())?;
        let load = Load { token: token.clone(), ..self.transitions(action, count).await? };
        Ok(measure(load, USUAL, Plan::Count(count)).await?.rate)
    }
}
