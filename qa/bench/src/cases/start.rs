//! How long a program takes until it can work, against how long it may.
//!
//! The floor is the limit. The time begins before the process is made; a service is asked every millisecond.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::{Probe, Service};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};

use super::Bench;
use crate::outcome::{Results, Target};
use crate::stats::Rounds;
use crate::system::System;

const STARTS: usize = 10;
/// From the start of a service to its first yes on /ready, in milliseconds.
const READY_MS: f64 = 150.0;
/// From the start of the function to its first question for work, in milliseconds.
const INIT_MS: f64 = 50.0;
const TARGET: Target = Target::AtMost(1.0);

const LOOK_EVERY: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(30);

/// Each service, while what it needs is up, then the function.
pub(crate) async fn start(bench: &mut Bench, results: &mut Results) -> Result<()> {
    let mut system = System::start_database(&bench.program, &bench.directory.join("start")).await?;
    for service in Service::ALL {
        let rounds = starts(async || ready(&system, service).await, READY_MS).await?;
        results.add(rounds.outcome(&format!("start/{}", service.name()), &system.engine, "ms", Some(TARGET)));
        // Those that come later ask it whether it is ready.
        system.start_service(service).await?;
    }
    let rounds = starts(async || init(&system).await, INIT_MS).await?;
    results.add(rounds.outcome("start/function-init", &system.engine, "ms", Some(TARGET)));
    system.stop().await
}

/// The milliseconds of some starts, after one that only brings the program into memory.
async fn starts(mut once: impl AsyncFnMut() -> Result<f64>, limit: f64) -> Result<Rounds> {
    once().await?;
    let mut values = Vec::new();
    for _ in 0..STARTS {
        values.push(once().await?);
    }
    Ok(Rounds { values, floors: vec![limit; STARTS] })
}

async fn ready(system: &System, service: Service) -> Result<f64> {
    let (program, address, probe) = (system.program(service)?, system.address(service)?, Probe::new()?);
    let begin = Instant::now();
    let process = program.start().await?;
    let ready = async {
        while !probe.is_ready(address).await {
            sleep(LOOK_EVERY).await;
        }
    };
    timeout(PATIENCE, ready).await.with_context(|| format!("{} is never ready", service.name()))?;
    let took = begin.elapsed();
    process.stop().await;
    Ok(took.as_secs_f64() * 1e3)
}

/// The orchestrator as AWS starts it, with this process in place of the runtime's API.
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
    let asked = async {
        let (stream, _) = listener.accept().await?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await?;
        anyhow::Ok((begin.elapsed(), line))
    };
    let (took, line) = timeout(PATIENCE, asked).await.context("the function never asks for work")??;
    process.stop().await;
    ensure!(line.contains("/runtime/invocation/next"), "the function asks for something else: {line}");
    Ok(took.as_secs_f64() * 1e3)
}
