//! The most memory that a service ever held while 64 connections used it, against how much it may.
//!
//! The floor is the limit. Each service is started anew, so that no peak is of other work. Comparing a password takes
//! 19 MiB for each that is compared at the same time, so the customers service is looked at without logins and with them.

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, stream};
use harness::Service;
use tokio::time::Instant;

use super::Bench;
use crate::floors::shop::Shop;
use crate::outcome::{Results, Target};
use crate::stats::Rounds;
use crate::system::System;
use crate::wrk::{Load, Script};

/// Per service, in MiB.
const LIMIT_MIB: f64 = 40.0;
const TARGET: Target = Target::AtMost(1.0);
const CONNECTIONS: u16 = 64;

/// Each service at its main work, then logins.
pub(crate) async fn memory(bench: &mut Bench, results: &mut Results) -> Result<()> {
    let mut system = System::start(&bench.program, &bench.directory.join("memory"), &Service::ALL).await?;
    let shop = Shop::open(&system).await?;
    for service in Service::ALL {
        let values = peaks(bench, &mut system, service, async |bench: &Bench, system: &System| {
            bench.wrk.run(&load(bench, system, &shop, service).await?).await.map(drop)
        });
        let rounds = values.await?;
        results.add(rounds.outcome(&format!("memory/{}", service.name()), &system.engine, "MiB", Some(TARGET)));
    }
    let rounds = peaks(bench, &mut system, Service::Customers, logins).await?;
    results.add(rounds.outcome("memory/customers-logins", &system.engine, "MiB", Some(TARGET)));
    system.stop().await
}

/// The peak of a service in each round: started, used, and looked at.
async fn peaks(
    bench: &Bench,
    system: &mut System,
    service: Service,
    work: impl AsyncFn(&Bench, &System) -> Result<()>,
) -> Result<Rounds> {
    let mut values = Vec::new();
    for _ in 0..bench.lengths.rounds {
        system.stop_service(service).await;
        system.start_service(service).await?;
        work(bench, system).await?;
        values.push(peak_mib(system.pid(service).context("the service does not run")?)?);
    }
    Ok(Rounds { floors: vec![LIMIT_MIB; values.len()], values })
}

/// The main work of a service.
async fn load(bench: &Bench, system: &System, shop: &Shop, service: Service) -> Result<Load> {
    let script = match service {
        Service::Customers => Script::Get,
        Service::Orders => Script::Create,
        Service::Orchestrator => Script::Saga,
    };
    let load = Load::new(script, &system.base_url(service)?, CONNECTIONS, bench.lengths.each);
    let load = load.with("TOKEN", &system.token().await?).with("RUN", rand::random::<u64>());
    Ok(match service {
        Service::Customers => {
            load.with("PATH", "/customers/").with("FIRST", shop.customers.start()).with("LAST", shop.customers.end())
        }
        Service::Orders | Service::Orchestrator => load
            .with("CUSTOMER_FIRST", shop.customers.start())
            .with("CUSTOMER_LAST", shop.customers.end())
            .with("PRODUCT_FIRST", shop.products.start())
            .with("PRODUCT_LAST", shop.products.end()),
    })
}

/// Logs in 64 times at once, again and again. Who gets no turn in time is refused, which is as it should be.
async fn logins(bench: &Bench, system: &System) -> Result<()> {
    let end = Instant::now() + bench.lengths.each;
    let login = async |_| {
        let mut succeeded = 0;
        while Instant::now() < end {
            succeeded += u32::from(system.token().await.is_ok());
        }
        succeeded
    };
    let all = stream::iter(0..CONNECTIONS).map(login).buffer_unordered(CONNECTIONS.into());
    let succeeded: u32 = all.collect::<Vec<_>>().await.into_iter().sum();
    ensure!(succeeded > 0, "nobody could log in");
    Ok(())
}

/// The most that the process ever held in memory, in MiB.
fn peak_mib(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM in its status")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().context("VmHWM is no number of kB")?;
    Ok(kib / 1024.0)
}
