//! Peak memory of each service with 64 connections, against a limit.
//!
//! Each service is restarted first, so that no peak is of other work. Verifying a password takes 19 MiB, therefore the
//! customers service is measured without logins and with them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::Service;
use http::StatusCode;

use super::Bench;
use super::shop::Shop;
use crate::requests::Requests;
use crate::results::{Results, Rounds, Target};

const LIMIT_MIB: f64 = 40.0;
const TARGET: Target = Target::AtMost(1.0);
const CONNECTIONS: u16 = 64;

/// Each service at its main work, then logins.
pub(super) async fn memory(bench: &Bench, results: &mut Results) -> Result<()> {
    let mut shop = Shop::open(bench, "memory", false).await?;
    let (caller, customers, products) = (shop.operator.clone(), &shop.customers, &shop.products);
    let (anonymous, login) = (caller.clone(), shop.system.credentials());
    let logins: Requests = Arc::new(move |_| anonymous.post("/auth/token", login.clone()));
    let work = [
        ("customers", Service::Customers, caller.views("/customers/", customers)),
        ("orders", Service::Orders, caller.creates(customers, products)),
        ("orchestrator", Service::Orchestrator, caller.sagas(customers, products)),
        ("customers-logins", Service::Customers, logins),
    ];
    for (name, service, requests) in work {
        let mut peaks = Vec::new();
        for _ in 0..bench.rounds {
            shop.system.stop_service(service).await;
            shop.system.start_service(service, Duration::from_millis(10)).await?;
            let mut load = shop.load(service, &requests);
            if name == "customers-logins" {
                // Logins that find the queue full are rejected by design.
                load.accepts = |status| status.is_success() || *status == StatusCode::SERVICE_UNAVAILABLE;
            }
            load.rate(CONNECTIONS, bench.each).await?;
            peaks.push(peak_mib(shop.system.pid(service).context("the service does not run")?)?);
        }
        let rounds = Rounds::against(&peaks, LIMIT_MIB);
        results.add(&format!("memory/{name}"), &shop.system.engine, "MiB", &rounds, Some(TARGET));
    }
    shop.close(results).await
}

/// Peak resident memory of a process so far.
fn peak_mib(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM in the status")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().context("VmHWM is not in kB")?;
    Ok(kib / 1024.0)
}
