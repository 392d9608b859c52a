//! A system with customers and products, for the cases that read and order.

use std::time::Duration;

use anyhow::{Context, Result};
use harness::Service;
use http::StatusCode;

use super::Bench;
use crate::baseline::Baseline;
use crate::load::{Plan, measure};
use crate::recording::Recorder;
use crate::requests::{Caller, Connection, Ids, Load, Requests};
use crate::results::Results;
use crate::system::System;

/// Orders, customers and products.
const ROWS: [u32; 3] = [10, 1_000, 1_000];
/// Added to the stock of each product, so that none is sold out.
const RESTOCK: &str = r#"{"delta":1000000,"reason":"delivery"}"#;
/// Connections of a closed loop, if it is measured at one number only.
pub(super) const USUAL: u16 = 16;
/// Orders that are confirmed or canceled, per second of a measurement: about as many as take that long.
const ORDERS_PER_SECOND: u64 = 600;

pub(super) struct Shop {
    pub(super) system: System,
    pub(super) operator: Caller,
    pub(super) customers: Ids,
    pub(super) products: Ids,
    recorder: Option<Recorder>,
}

impl Shop {
    /// Starts all services on generated rows. With a recorder they are slow until [`Self::record`].
    pub(super) async fn open(bench: &Bench, case: &str, is_recorded: bool) -> Result<Self> {
        let mut system = System::start(&bench.program, &bench.directory.join(case), ROWS).await?;
        let recorder = if is_recorded { Some(Recorder::start(&system).await?) } else { None };
        for service in Service::ALL {
            system.start_service(service, Duration::from_millis(10)).await?;
        }
        let customers = Ids::from(system.query("SELECT id FROM customers WHERE deleted_at IS NULL").await?);
        let products = Ids::from(system.query("SELECT id FROM products").await?);
        let shop = Self { operator: system.operator().await?, system, customers, products, recorder };
        let restock = shop.operator.actions("/products/", shop.products.clone(), "stock-adjustments", RESTOCK);
        let count = u64::try_from(shop.products.len())?;
        measure(shop.load(Service::Orders, &restock), USUAL, Plan::Count(count)).await?;
        Ok(shop)
    }

    pub(super) fn load(&self, service: Service, requests: &Requests) -> Load {
        Load { address: self.system.address(service), requests: requests.clone(), accepts: StatusCode::is_success }
    }

    /// Records what these requests make the database do, one after the other.
    pub(super) async fn record(&mut self, service: Service, requests: &Requests, count: u64) -> Result<Baseline> {
        let recorder = self.recorder.take().context("the shop has no recorder")?;
        let connection = Connection::open(self.system.address(service)).await?;
        Baseline::record(&self.system, recorder, connection, (0..count).map(|number| requests(number))).await
    }

    /// Creates orders, and returns their ids.
    pub(super) async fn create_orders(&self, count: u64) -> Result<Ids> {
        let creates = self.operator.creates(&self.customers, &self.products);
        measure(self.load(Service::Orders, &creates), USUAL, Plan::Count(count)).await?;
        let newest = format!("SELECT id FROM orders WHERE status = 'CREATED' ORDER BY id DESC LIMIT {count}");
        Ok(Ids::from(self.system.query(&newest).await?))
    }

    /// Creates orders, and measures how many of them this caller confirms or cancels per second.
    pub(super) async fn transition(&self, caller: &Caller, action: &str, length: Duration) -> Result<f64> {
        let count = ORDERS_PER_SECOND * length.as_secs();
        let requests = caller.actions("/orders/", self.create_orders(count).await?, action, "");
        Ok(measure(self.load(Service::Orders, &requests), USUAL, Plan::Count(count)).await?.rate)
    }

    /// Audits the data, and stops the system.
    pub(super) async fn close(self, results: &mut Results) -> Result<()> {
        results.audit(&self.system.database_url()?).await?;
        self.system.stop().await
    }
}
