//! Time from the start of a process until it is ready, against a limit. Services are probed every millisecond.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::Service;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::Bench;
use crate::results::{Results, Rounds, Target};
use crate::system::System;

const STARTS: usize = 10;
/// Limit in ms until a service is ready.
const READY_MS: f64 = 150.0;
/// Limit in ms until the function asks for its first event.
const INIT_MS: f64 = 50.0;
const TARGET: Target = Target::AtMost(1.0);

/// Each service while those that it needs are up, then the orchestrator as a function.
pub(super) async fn start(bench: &Bench, results: &mut Results) -> Result<()> {
    let mut system = System::start(&bench.program, &bench.directory.join("start"), [10, 10, 10]).await?;
    for service in Service::ALL {
        let mut values = Vec::new();
        // The first start brings the program into memory, and does not count.
        for _ in 0..=STARTS {
            system.stop_service(service).await;
            let begin = Instant::now();
            system.start_service(service, Duration::from_millis(1)).await?;
            values.push(begin.elapsed().as_secs_f64() * 1e3);
        }
        let rounds = Rounds::against(&values[1..], READY_MS);
        results.add(&format!("start/{}", service.name()), &system.engine, "ms", &rounds, Some(TARGET));
    }
    let mut values = Vec::new();
    for _ in 0..=STARTS {
        values.push(init(&system).await?);
    }
    results.add("start/function-init", &system.engine, "ms", &Rounds::against(&values[1..], INIT_MS), Some(TARGET));
    system.stop().await
}

/// Starts the orchestrator as AWS does, with this process as the runtime API.
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
    let first_request = async {
        let (stream, _) = listener.accept().await?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await?;
        anyhow::Ok((begin.elapsed(), line))
    };
    let (took, line) =
        timeout(Duration::from_secs(30), first_request).await.context("the function asks for no event")??;
    process.stop().await;
    ensure!(line.contains("/runtime/invocation/next"), "unexpected first request of the function: {line}");
    Ok(took.as_secs_f64() * 1e3)
}
