//! Load generator: closed and open loops of any operation, all on one thread.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use tokio::runtime::Builder;
use tokio::sync::{Mutex, mpsc};
use tokio::task::spawn_blocking;

/// What a load is put on.
pub(crate) trait Target: Send + 'static {
    /// A connection, for one operation at a time.
    type Client;
    async fn connect(&self) -> Result<Self::Client>;
    /// Executes operation number n.
    async fn execute(&self, client: &mut Self::Client, number: usize) -> Result<()>;
}

/// When operations begin.
#[derive(Clone, Copy)]
pub(crate) enum Plan {
    /// Closed loop: on each connection one after the other, for this long.
    For(Duration),
    /// Closed loop with this many operations in all.
    Count(usize),
    /// Open loop: this many per second for this long, each on the first free connection.
    Rate(f64, Duration),
}

pub(crate) struct Measured {
    /// Operations per second.
    pub(crate) rate: f64,
    /// In ms, ascending. In an open loop each counts from the moment at which its operation was due.
    pub(crate) latencies: Vec<f64>,
    /// Until the last operation was finished.
    pub(crate) elapsed: Duration,
}

/// Puts a load on the target. The first error ends it.
pub(crate) async fn measure(target: impl Target, connections: u16, plan: Plan) -> Result<Measured> {
    // One thread is enough for what two cores can serve, and leaves the rest to the services.
    let thread = move || Builder::new_current_thread().enable_all().build()?.block_on(run(&target, connections, plan));
    spawn_blocking(thread).await?
}

async fn run<T: Target>(target: &T, connections: u16, plan: Plan) -> Result<Measured> {
    let clients = try_join_all((0..connections).map(|_| target.connect())).await?;
    let (begin, number, finished) = (Instant::now(), Cell::new(0), Cell::new(0_u32));
    // Taken when the first connection finds nothing left to do: until then all of them worked.
    let rate = Cell::new(None);
    let schedule =
        Mutex::new(if let Plan::Rate(rate, length) = plan { Some(schedule(begin, rate, length)) } else { None });
    // The moment at which the next operation is due.
    let next = async || match plan {
        Plan::For(length) => (begin.elapsed() < length).then(Instant::now),
        Plan::Count(count) => (number.get() < count).then(Instant::now),
        Plan::Rate(..) => schedule.lock().await.as_mut()?.recv().await,
    };
    let work = async |mut client: T::Client| {
        let mut latencies = Vec::new();
        while let Some(due) = next().await {
            target.execute(&mut client, number.replace(number.get() + 1)).await?;
            latencies.push(due.elapsed().as_secs_f64() * 1e3);
            finished.update(|finished| finished + 1);
        }
        rate.set(rate.get().or_else(|| Some(f64::from(finished.get()) / begin.elapsed().as_secs_f64())));
        anyhow::Ok(latencies)
    };
    let mut latencies = try_join_all(clients.into_iter().map(work)).await?.concat();
    let elapsed = begin.elapsed();
    latencies.sort_by(f64::total_cmp);
    let rate = rate.get().filter(|rate| *rate > 0.0).context("no operation was executed in time")?;
    Ok(Measured { rate, latencies, elapsed })
}

/// The moments at which operations of an open loop are due, each when it has come.
fn schedule(begin: Instant, rate: f64, length: Duration) -> mpsc::UnboundedReceiver<Instant> {
    let (sender, receiver) = mpsc::unbounded_channel();
    // A thread, because the timers of tokio have a resolution of 1 ms.
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
