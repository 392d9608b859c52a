//! The chaos run: the load, and the faults at their times.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::join_all;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use workload::Progress;

use crate::mysql::Cuts;
use crate::report::Journal;
use crate::schedule::{Episode, Planned, schedule};
use crate::system::System;
use crate::verify::verify;
use crate::{Load, Run};

const REPORT_EVERY: Duration = Duration::from_secs(10);
/// A system that is not ready by then will not be.
const READY_AT_ALL_WITHIN: Duration = Duration::from_secs(60);
/// How long the clients may take to get a definite answer to everything they began.
const RESOLVED_WITHIN: Duration = Duration::from_secs(180);

/// Runs the system until its time is over or it is interrupted, and verifies it. Nothing runs afterwards.
///
/// # Errors
///
/// Where the system or the load cannot be started, or the database not be read.
pub(crate) async fn run(run: &Run, load: &Load) -> Result<()> {
    let Run { length, journal, .. } = run;
    let system = System::start(run).await?;
    let (seed, load) = load.start(run, system.targets()).await?;
    journal.begin();
    let made = tokio::select! {
        made = make_faults(&system, run, schedule(seed, *length)) => made,
        () = report(journal, &load, *length) => Ok(()),
    };
    if let Err(error) = made {
        journal.violation(format_args!("{error:#}"));
    }
    journal.log("no more faults; the clients finish");
    let verified = verify(&system.database_url().await?, journal, load, RESOLVED_WITHIN).await;
    let Cuts { before, after } = system.commit_cuts();
    journal.figure(format_args!("commits cut {before} before COMMIT arrived, {after} after it was executed"));
    system.stop().await?;
    verified.map(drop)
}

/// Makes all faults, each at its time or as soon as the one before is over, until the end or an interruption.
async fn make_faults(system: &System, run: &Run, episodes: Vec<Episode>) -> Result<()> {
    let mut interrupted = run.interrupted.clone();
    for episode in episodes {
        let starts = episode.first().map_or(run.length, |first| first.starts);
        if !sleep_unless(&mut interrupted, starts.saturating_sub(run.journal.elapsed())).await {
            return Ok(());
        }
        make(system, &run.journal, &episode, &interrupted).await?;
    }
    sleep_unless(&mut interrupted, run.length.saturating_sub(run.journal.elapsed())).await;
    Ok(())
}

/// False when it was interrupted.
async fn sleep_unless(interrupted: &mut watch::Receiver<bool>, duration: Duration) -> bool {
    // An error means that the sender is gone, and then this program is ending.
    timeout(duration, interrupted.wait_for(|interrupted| *interrupted)).await.is_err()
}

async fn make(
    system: &System,
    journal: &Journal,
    episode: &[Planned],
    interrupted: &watch::Receiver<bool>,
) -> Result<()> {
    let begin = episode.first().map_or(Duration::ZERO, |first| first.starts);
    let each = episode.iter().map(async |planned| {
        if !sleep_unless(&mut interrupted.clone(), planned.starts.saturating_sub(begin)).await {
            return Ok(());
        }
        journal.fault(planned.fault.kind(), planned.fault);
        system.inflict(planned.fault, planned.lasts).await
    });
    join_all(each).await.into_iter().collect::<Result<()>>()?;
    let after = system.ready(READY_AT_ALL_WITHIN).await.context("after a fault")?;
    let faults: Vec<_> = episode.iter().map(|planned| planned.fault.to_string()).collect();
    journal.ready(&faults.join(" + "), after);
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
