//! Load generator: closed and open loops of any operation, all on one thread.

use std::cell::Cell;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;

/// What a load is put on.
pub(crate) trait Target: Send + 'static {
    /// A connection, for one operation at a time.
    type Client;
    async fn connect(&self) -> Result<Self::Client>;
    /// Executes operation number n.
    async fn execute(&self, client: &mut Self::Client, number: u64) -> Result<()>;
}

/// When operations begin.
#[derive(Clone, Copy)]
pub(crate) enum Plan {
    /// Closed loop: on each connection one after the other, for this long.
    For(Duration),
    /// Closed loop with this many operations in all.
    Count(u64),
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

async fn run(target: &impl Target, connections: u16, plan: Plan) -> Result<Measured> {
    let clients = try_join_all((0..connections).map(|_| target.connect())).await?;
    let schedule = Schedule::start(plan);
    let mut latencies = try_join_all(clients.into_iter().map(|client| schedule.work(target, client))).await?.concat();
    let elapsed = schedule.begin.elapsed();
    latencies.sort_by(f64::total_cmp);
    let rate = schedule.rate.get().filter(|rate| *rate > 0.0).context("no operation was executed in time")?;
    Ok(Measured { rate, latencies, elapsed })
}

struct Schedule {
    plan: Plan,
    begin: Instant,
    due: Arc<Semaphore>,
    begun: Cell<u64>,
    finished: Cell<u64>,
    /// Taken when the first connection finds nothing left to do: until then all of them worked.
    rate: Cell<Option<f64>>,
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 operations")]
impl Schedule {
    fn start(plan: Plan) -> Self {
        let (begin, due) = (Instant::now(), Arc::new(Semaphore::new(0)));
        if let Plan::Rate(rate, length) = plan {
            let due = Arc::clone(&due);
            // A thread, because the timers of tokio have a resolution of 1 ms.
            thread::spawn(move || {
                for offset in (0..).map(|number| due_after(number, rate)).take_while(|offset| *offset < length) {
                    thread::sleep((begin + offset).saturating_duration_since(Instant::now()));
                    due.add_permits(1);
                }
                due.close();
            });
        }
        Self { plan, begin, due, begun: Cell::new(0), finished: Cell::new(0), rate: Cell::new(None) }
    }

    async fn work<T: Target>(&self, target: &T, mut client: T::Client) -> Result<Vec<f64>> {
        let mut latencies = Vec::new();
        while let Some((number, due)) = self.next().await {
            target.execute(&mut client, number).await?;
            latencies.push(due.elapsed().as_secs_f64() * 1e3);
            self.finished.update(|finished| finished + 1);
        }
        if self.rate.get().is_none() {
            self.rate.set(Some(self.finished.get() as f64 / self.begin.elapsed().as_secs_f64()));
        }
        Ok(latencies)
    }

    /// Number of the next operation, and the moment at which it is due.
    async fn next(&self) -> Option<(u64, Instant)> {
        let is_over = match self.plan {
            Plan::For(length) => self.begin.elapsed() >= length,
            Plan::Count(count) => self.begun.get() >= count,
            // In an open loop the semaphore is closed at the end.
            Plan::Rate(..) => self.due.acquire().await.map(SemaphorePermit::forget).is_err(),
        };
        let number = self.begun.replace(self.begun.get() + 1);
        let due =
            if let Plan::Rate(rate, _) = self.plan { self.begin + due_after(number, rate) } else { Instant::now() };
        (!is_over).then_some((number, due))
    }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 operations")]
fn due_after(number: u64, rate: f64) -> Duration {
    Duration::from_secs_f64(number as f64 / rate)
}
