//! Limits on peak memory usage and on the time from process start until readiness.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::{Service, memory_kib};
use http::StatusCode;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::Bench;
use super::shop::Shop;
use crate::requests::Load;
use crate::results::Target::AtMost;
use crate::system::System;

const LIMIT_MIB: f64 = 40.0;
const STARTS: usize = 10;
const READY_MS: f64 = 150.0;
/// Maximum time in ms until the Lambda function polls for its first event.
const INIT_MS: f64 = 50.0;

/// Measures the peak memory usage of each service under its main load with 64 connections.
///
/// Restarts each service first, so that the peak does not include earlier load. Password verification requires 19 MiB,
/// so the customers service is measured both with and without logins.
pub(super) async fn memory(bench: &Bench) -> Result<()> {
    let mut shop = Shop::open(bench, "memory").await?;
    let logins = Load {
        // The service rejects logins by design when their queue is full.
        accepts: |status| status.is_success() || *status == StatusCode::SERVICE_UNAVAILABLE,
        ..shop.load(Service::Customers, "/auth/token", Some(&shop.system.credentials()))
    };
    let work = [
        ("customers", Service::Customers, shop.views()),
        ("orders", Service::Orders, shop.creates()),
        ("orchestrator", Service::Orchestrator, shop.sagas()),
        ("customers-logins", Service::Customers, logins),
    ];
    for (name, service, load) in work {
        let mut peaks = Vec::new();
        for _ in 0..bench.rounds {
            shop.system.start_service(service).await?;
            load.rate(64, bench.each).await?;
            let peak = shop.system.pid(service).and_then(|pid| memory_kib(pid, "VmHWM"));
            peaks.push(f64::from(peak.context("the service is not running")?) / 1024.0);
        }
        bench.compare_with_constant(&format!("memory/{name}"), "MiB", AtMost(1.0), &peaks, LIMIT_MIB);
    }
    bench.close(shop.system).await
}

/// Measures the startup time of each service with running upstreams, and of the orchestrator as a Lambda function.
pub(super) async fn start(bench: &Bench) -> Result<()> {
    let mut system = System::start(&bench.program, &bench.directory.join("start"), [10, 10, 10]).await?;
    // The first start reads the program from disk, so it is excluded.
    for service in Service::ALL {
        let mut values = Vec::new();
        for _ in 0..=STARTS {
            values.push(system.start_service(service).await?.as_secs_f64() * 1e3);
        }
        bench.compare_with_constant(&format!("start/{}", service.name()), "ms", AtMost(1.0), &values[1..], READY_MS);
    }
    let mut values = Vec::new();
    for _ in 0..=STARTS {
        values.push(init(&system).await?);
    }
    bench.compare_with_constant("start/function-init", "ms", AtMost(1.0), &values[1..], INIT_MS);
    system.stop().await
}

/// Serves AWS Lambda's runtime API, and returns the time in ms until the orchestrator polls for its first event.
async fn init(system: &System) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut program = system.program(Service::Orchestrator)?;
    let settings = [
        ("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", "orchestrator".to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512".to_owned()),
    ];
    program.environment.extend(settings.map(|(name, value)| (name.to_owned(), value)));
    let begin = Instant::now();
    let process = program.start().await?;
    let accepted = timeout(Duration::from_secs(30), listener.accept()).await;
    let (stream, _) = accepted.context("the function does not poll for an event")??;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await?;
    let took = begin.elapsed();
    process.stop().await;
    ensure!(line.contains("/runtime/invocation/next"), "unexpected first request of the function: {line}");
    Ok(took.as_secs_f64() * 1e3)
}
