//! The floors: bare loops that send the same statements as the services, one connection for each, without a pool, without
//! HTTP.

pub(crate) mod books;
pub(crate) mod bulk;
pub(crate) mod create;
mod keys;
pub(crate) mod reads;
mod session;
pub(crate) mod shop;
mod statements;
pub(crate) mod transition;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// One of several that work at the same time.
pub(crate) trait Worker: Send + 'static {
    /// Does it once.
    fn step(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// Lets all of them work for so long, each on its own, and gives how often per second they did it. Each has done it once
/// before the time begins, so that every statement is prepared.
///
/// # Errors
///
/// The first that one of them gives.
pub(crate) async fn rate<W: Worker>(workers: Vec<W>, length: Duration) -> Result<f64> {
    let all_prepared = Arc::new(Barrier::new(workers.len()));
    let mut running = JoinSet::new();
    for worker in workers {
        running.spawn(work(worker, Arc::clone(&all_prepared), length));
    }
    let mut steps = 0;
    while let Some(done) = running.join_next().await {
        steps += done??;
    }
    Ok(f64::from(steps) / length.as_secs_f64())
}

/// How often it was done before the end.
async fn work<W: Worker>(mut worker: W, all_prepared: Arc<Barrier>, length: Duration) -> Result<u32> {
    worker.step().await?;
    all_prepared.wait().await;
    let end = Instant::now() + length;
    let mut steps = 0;
    loop {
        worker.step().await?;
        if Instant::now() >= end {
            return Ok(steps);
        }
        steps += 1;
    }
}
