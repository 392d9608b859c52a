//! Chaos run: applies load while injecting faults according to a schedule.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::join_all;
use tokio::time::{MissedTickBehavior, interval};
use workload::Progress;

use crate::report::Journal;
use crate::schedule::{Link, schedule};
use crate::system::System;
use crate::verify::verify;
use crate::{Load, Run, sleep_unless};

const REPORT_EVERY: Duration = Duration::from_secs(10);
/// Maximum time until all requests in flight have received definite responses.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(180);

/// Runs the system until the time has elapsed or the run is interrupted, verifies the system, and stops it.
pub(crate) async fn run(run: &Run, load: &Load) -> Result<()> {
    let Run { length, journal, .. } = run;
    let system = System::start_linked(run).await?;
    let (seed, load) = load.start(run, system.targets()).await?;
    journal.begin();
    let injected = tokio::select! {
        injected = inject_faults(&system, run, seed) => injected,
        () = report(journal, &load, *length) => Ok(()),
    };
    if let Err(error) = injected {
        journal.violation(format_args!("{error:#}"));
    }
    journal.log("fault injection finished; waiting for requests in flight");
    let verified = verify(&system.database_url().await?, journal, load, RESOLVE_TIMEOUT).await;
    let [before, after] = system.proxy(Link::ORDERS_TO_DATABASE)?.cut_at_commit();
    journal.summary_line(format_args!(
        "connections cut at COMMIT: {before} before COMMIT arrived, {after} after it was executed"
    ));
    system.stop().await?;
    verified.map(drop)
}

/// Injects each fault at its scheduled time or when the previous one has ended, until the run ends or is interrupted.
async fn inject_faults(system: &System, run: &Run, seed: u64) -> Result<()> {
    let Run { length, journal, interrupted, .. } = run;
    for episode in schedule(seed, *length) {
        let starts = episode.first().map_or(*length, |first| first.starts);
        if !sleep_unless(interrupted, starts.saturating_sub(journal.elapsed())).await {
            return Ok(());
        }
        let each = episode.iter().map(async |planned| {
            if !sleep_unless(interrupted, planned.starts - starts).await {
                return Ok(Duration::ZERO);
            }
            journal.fault(planned.fault.kind(), planned.fault);
            system.inject(planned.fault, planned.lasts).await
        });
        let listening = join_all(each).await.into_iter().collect::<Result<Vec<_>>>()?;
        let listening = listening.into_iter().max().unwrap_or_default();
        let ready = system.ready().await.context("the system did not recover from a fault")?;
        let faults = Vec::from_iter(episode.iter().map(|planned| planned.fault.to_string())).join(" + ");
        journal.ready(&faults, listening + ready);
    }
    sleep_unless(interrupted, length.saturating_sub(journal.elapsed())).await;
    Ok(())
}

/// Prints the progress until the task is dropped.
async fn report(journal: &Journal, load: &workload::Load, length: Duration) {
    let mut ticks = interval(REPORT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let left = length.saturating_sub(journal.elapsed()).as_secs();
        let (minutes, seconds, progress) = (left / 60, left % 60, load.progress());
        let (faults, requests) = (journal.faults(), progress.requests());
        let Progress { operations, in_flight, retries, .. } = progress;
        journal.log(format_args!(
            "{minutes}:{seconds:02} left; {operations} operations, {in_flight} in flight, {requests} requests, {retries} \
             retries, {faults} faults"
        ));
    }
}
