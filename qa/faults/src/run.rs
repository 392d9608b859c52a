//! The run: the load, and the faults at their times. What is asked at the end is in `judge`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::join_all;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use workload::{Load, Progress};

use crate::judge;
use crate::plan::{Episode, Planned, plan};
use crate::report::{Journal, Summary};
use crate::system::System;
use crate::targets::targets;

const TELL_EVERY: Duration = Duration::from_secs(10);
/// A system that is not ready after so long will not be.
const READY_AT_ALL_WITHIN: Duration = Duration::from_secs(60);
/// How long the clients may take to get a definite answer to everything they began.
const RESOLVED_WITHIN: Duration = Duration::from_secs(180);

/// What to run.
pub(crate) struct Run {
    /// Of the plan and of the load.
    pub(crate) seed: u64,
    /// How long the faults go on.
    pub(crate) length: Duration,
    /// How many clients work at once.
    pub(crate) clients: usize,
    /// The database server.
    pub(crate) program: private_server::Program,
}

impl Run {
    /// Runs the system in `directory` until its time is over or it is interrupted, and judges it. Nothing runs
    /// afterwards.
    ///
    /// # Errors
    ///
    /// Where the system or the load cannot be started, or the database not be asked.
    pub(crate) async fn run(self, directory: &Path, interrupted: watch::Receiver<bool>) -> Result<Summary> {
        let engine = self.program.to_string();
        let system = System::start(self.program, directory, interrupted.clone()).await?;
        let targets = targets(&system.secrets, |service| system.base_url(service), false);
        let load = Load::start(targets, self.seed, self.clients).await.context("the load does not start")?;
        let journal = Journal::begin();
        let faults = make_faults(&system, &journal, plan(self.seed, self.length), self.length, interrupted);
        let made = tokio::select! {
            made = faults => made,
            () = tell(&journal, &load, self.length) => Ok(()),
        };
        if let Err(error) = made {
            journal.violation(format!("{error:#}"));
        }
        journal.say("no more faults; the clients finish");
        let history = timeout(RESOLVED_WITHIN, load.stop()).await.ok();
        let mut summary = judge::judge(&system.database_url().await?, &journal, history, (self.seed, engine)).await;
        if let Ok(summary) = &mut summary {
            summary.commits = Some(system.commit_cuts());
        }
        system.stop().await?;
        summary
    }
}

/// Makes all faults, each at its time or as soon as the one before is over, until the end or an interruption.
async fn make_faults(
    system: &System,
    journal: &Journal,
    plan: Vec<Episode>,
    length: Duration,
    mut interrupted: watch::Receiver<bool>,
) -> Result<()> {
    for episode in plan {
        let starts = episode.first().map_or(length, |first| first.starts);
        if !sleep_unless(&mut interrupted, starts.saturating_sub(journal.elapsed())).await {
            return Ok(());
        }
        make(system, journal, &episode, &interrupted).await?;
    }
    sleep_unless(&mut interrupted, length.saturating_sub(journal.elapsed())).await;
    Ok(())
}

/// False when it was interrupted.
async fn sleep_unless(interrupted: &mut watch::Receiver<bool>, duration: Duration) -> bool {
    // It fails only when nobody can interrupt any more, and then this program is ending.
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
    let after = system.ready(READY_AT_ALL_WITHIN).await?;
    let faults: Vec<_> = episode.iter().map(|planned| planned.fault.to_string()).collect();
    journal.ready(&faults.join(" + "), after);
    Ok(())
}

/// Prints how it goes, for ever.
async fn tell(journal: &Journal, load: &Load, length: Duration) {
    let mut ticks = interval(TELL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let left = length.saturating_sub(journal.elapsed()).as_secs();
        journal.say(format_args!("{}:{:02} left; {}", left / 60, left % 60, figures(journal, &load.progress())));
    }
}

fn figures(journal: &Journal, progress: &Progress) -> String {
    let Progress { operations, in_flight, retries, .. } = progress;
    let (faults, requests) = (journal.faults(), progress.requests());
    format!("{operations} operations, {in_flight} in flight, {requests} requests, {retries} retries, {faults} faults")
}
