//! Load generator: runs closed and open loops of any operation on one thread.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use tokio::runtime::Builder;
use tokio::sync::{Mutex, mpsc};
use tokio::task::spawn_blocking;

pub(crate) trait Target: Send + 'static {
    /// Connection that executes one operation at a time.
    type Client;
    async fn connect(&self) -> Result<Self::Client>;
    /// Executes operation number `n`.
    async fn execute(&self, client: &mut Self::Client, number: usize) -> Result<()>;
}

#[derive(Clone, Copy)]
pub(crate) enum Plan {
    /// Closed loop for this duration: each connection executes one operation after another.
    For(Duration),
    /// Closed loop with this total number of operations.
    Count(usize),
    /// Open loop with this many operations per second for this duration. Each operation uses the first free connection.
    Rate(f64, Duration),
}

pub(crate) struct Measured {
    /// Completed operations per second.
    pub(crate) rate: f64,
    /// Latencies in ms, ascending. In an open loop, each is measured from the time at which its operation was due.
    pub(crate) latencies: Vec<f64>,
    /// Time until the last operation has completed.
    pub(crate) elapsed: Duration,
}

/// Runs a load against the target. The first error aborts the load.
pub(crate) async fn measure(target: impl Target, connections: u16, plan: Plan) -> Result<Measured> {
    // One thread can generate more load than two cores can serve, and leaves the other cores to the services.
    let thread = move || Builder::new_current_thread().enable_all().build()?.block_on(run(&target, connections, plan));
    spawn_blocking(thread).await?
}

async fn run<T: Target>(target: &T, connections: u16, plan: Plan) -> Result<Measured> {
    let clients = try_join_all((0..connections).map(|_| target.connect())).await?;
    let (begin, number, finished) = (Instant::now(), Cell::new(0), Cell::new(0_u32));
    // Computed when the first connection runs out of operations, because all connections were busy until then.
    let rate = Cell::new(None);
    let schedule =
        Mutex::new(if let Plan::Rate(rate, length) = plan { Some(schedule(begin, rate, length)) } else { None });
    // Returns the time at which the next operation is due, or `None` if no operations remain.
    let next = async || match plan {
        Plan::For(length) => (begin.elapsed() < length).then(Instant::now),
        Plan::Count(count) => (number.get() < count).then(Instant::now),
        Plan::Rate(..) => schedule.lock().await.as_mut()?.recv().await,
    };
    let run_client = async |mut client: T::Client| {
        let mut latencies = Vec::new();
        while let Some(due) = next().await {
            target.execute(&mut client, number.replace(number.get() + 1)).await?;
            latencies.push(due.elapsed().as_secs_f64() * 1e3);
            finished.update(|finished| finished + 1);
        }
        rate.set(rate.get().or_else(|| Some(f64::from(finished.get()) / begin.elapsed().as_secs_f64())));
        anyhow::Ok(latencies)
    };
    let mut latencies = try_join_all(clients.into_iter().map(run_client)).await?.concat();
    let elapsed = begin.elapsed();
    latencies.sort_by(f64::total_cmp);
    let rate = rate.get().filter(|rate| *rate > 0.0).context("no operation was executed in time")?;
    Ok(Measured { rate, latencies, elapsed })
}

/// Returns a channel that receives the due time of each open-loop operation at that time.
fn schedule(begin: Instant, rate: f64, length: Duration) -> mpsc::UnboundedReceiver<Instant> {
    let (sender, receiver) = mpsc::unbounded_channel();
    // Use a thread, because tokio's timers have a resolution of only 1 ms.
    thread::spawn(move || {
        for offset in (0_u32..).map(|number| Duration::from_secs_f64(f64::from(number) / rate)) {
            thread::sleep((begin + offset).saturating_duration_since(Instant::now()));
            if offset >= length || sender.send(begin + offset).is_err() {
                break;
            }
        }
    });
    receiver
}
