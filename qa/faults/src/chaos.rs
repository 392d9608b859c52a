//! The chaos run: the load, and the faults at their times.

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
/// How long the clients may take to get a definite answer to everything they began.
const RESOLVED_WITHIN: Duration = Duration::from_secs(180);

/// Runs the system until its time is over or it is interrupted, and verifies it. Nothing runs afterwards.
pub(crate) async fn run(run: &Run, load: &Load) -> Result<()> {
    let Run { length, journal, .. } = run;
    let system = System::start_linked(run).await?;
    let (seed, load) = load.start(run, system.targets()).await?;
    journal.begin();
    let made = tokio::select! {
        made = make_faults(&system, run, seed) => made,
        () = report(journal, &load, *length) => Ok(()),
    };
    if let Err(error) = made {
        journal.violation(format_args!("{error:#}"));
    }
    journal.log("no more faults; the clients finish");
    let verified = verify(&system.database_url().await?, journal, load, RESOLVED_WITHIN).await;
    let [before, after] = system.proxy(Link::ORDERS_TO_DATABASE)?.cut_at_commit();
    journal.figure(format_args!("commits cut {before} before COMMIT arrived, {after} after it was executed"));
    system.stop().await?;
    verified.map(drop)
}

/// Makes all faults, each at its time or as soon as the one before is over, until the end or an interruption.
async fn make_faults(system: &System, run: &Run, seed: u64) -> Result<()> {
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
            system.inflict(planned.fault, planned.lasts).await
        });
        let listening = join_all(each).await.into_iter().collect::<Result<Vec<_>>>()?;
        let listening = listening.into_iter().max().unwrap_or_default();
        let ready = system.ready().await.context("after a fault")?;
        let faults = Vec::from_iter(episode.iter().map(|planned| planned.fault.to_string())).join(" + ");
        journal.ready(&faults, listening + ready);
    }
    sleep_unless(interrupted, length.saturating_sub(journal.elapsed())).await;
    Ok(())
}

/// Prints the progress, for ever.
async fn report(journal: &Journal, load: &workload::Load, length: Duration) {
    let mut ticks = interval(REPORT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let left = length.saturating_sub(journal.elapsed()).as_secs();
        let progress = load.progress();
        let (faults, requests) = (journal.faults(), progress.requests());
        let Progress { operations, in_flight, retries, .. } = progress;
        journal.log(format_args!(
            "{}:{:02} left; {operations} operations, {in_flight} in flight, {requests} requests, {retries} retries, {faults} faults",
            left / 60,
            left % 60
        ));
    }
}
