//! The rolling restart: the load and the races go through the edge proxy, while replicas are restarted one by one.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::sync::watch;

use crate::system::System;
use crate::system::edge::Edge;
use crate::verify::verify;
use crate::{Load, Run, races};

/// How long the clients may take to get a definite answer to everything they began.
const RESOLVED_WITHIN: Duration = Duration::from_secs(120);

/// Runs the system until its time is over or it is interrupted, and verifies it. Nothing runs afterwards.
pub(crate) async fn run(run: &Run, load: &Load, edge: &Edge) -> Result<()> {
    let Run { journal, .. } = run;
    let system = System::start_balanced(run, edge).await?;
    let targets = system.targets();
    let (_, load) = load.start(run, targets.clone()).await?;
    journal.begin();
    let (stop, stopping) = watch::channel(false);
    let races = tokio::spawn(races::run(targets, stopping));
    if let Err(error) = restart_all(&system, run).await {
        journal.violation(format_args!("{error:#}"));
    }
    journal.log("no more restarts; the clients finish");
    stop.send_replace(true);
    match races.await? {
        Ok((rounds, calls)) => journal.log(format_args!("races: {rounds} rounds, {calls} calls, all as promised")),
        Err(error) => journal.violation(format_args!("races: {error:#}")),
    }
    let history = verify(&system.database_url().await?, journal, load, RESOLVED_WITHIN).await?;
    // A restart is no excuse: a retry gets an answer.
    let given_up = history.map_or(0, |history| history.given_up());
    if given_up > 0 {
        journal.violation(format_args!("{given_up} operations never got a definite answer"));
    }
    system.stop().await
}

/// One after the other, until the time is over and each was restarted.
async fn restart_all(system: &System, run: &Run) -> Result<()> {
    let replicas = &system.replicas;
    for (turn, replica) in replicas.iter().cycle().enumerate() {
        match (turn >= replicas.len(), *run.interrupted.borrow()) {
            (false, true) => bail!("interrupted before each replica was restarted"),
            (true, is_interrupted) if is_interrupted || run.journal.elapsed() >= run.length => break,
            _ => {}
        }
        run.journal.fault("replica restarted", format_args!("restart of {}", replica.name));
        let ready = system.restart(replica).await?;
        run.journal.ready(&format!("the restart of {}", replica.name), ready);
    }
    Ok(())
}
