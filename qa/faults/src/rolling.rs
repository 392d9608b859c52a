//! The rolling restart: the load and the races go through the edge proxy, while replicas are restarted one by one.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::sync::watch;

use crate::races::Races;
use crate::replicas::{Edge, System};
use crate::verify::verify;
use crate::{Load, Run};

/// How long the clients may take to get a definite answer to everything they began.
const RESOLVED_WITHIN: Duration = Duration::from_secs(120);

/// Runs the system until its time is over or it is interrupted, and verifies it. Nothing runs afterwards.
///
/// # Errors
///
/// Where the system or the load cannot be started, or the database not be read.
pub(crate) async fn run(run: &Run, load: &Load, edge: &Edge) -> Result<()> {
    let Run { journal, .. } = run;
    let mut system = System::start(run, edge).await?;
    let (_, load) = load.start(run, system.targets()).await?;
    journal.begin();
    let (stop, stopping) = watch::channel(false);
    let races = tokio::spawn(Races::run(system.targets(), stopping));
    if let Err(error) = restart_all(&mut system, run).await {
        journal.violation(format_args!("{error:#}"));
    }
    journal.log("no more restarts; the clients finish");
    stop.send_replace(true);
    match races.await? {
        Ok(Races { rounds, calls }) => {
            journal.log(format_args!("races: {rounds} rounds, {calls} calls, all as promised"));
        }
        Err(error) => journal.violation(format_args!("races: {error:#}")),
    }
    let history = verify(&system.database_url()?, journal, load, RESOLVED_WITHIN).await?;
    // A restart is no excuse: a retry gets an answer.
    let given_up = history.map_or(0, |history| history.given_up());
    if given_up > 0 {
        journal.violation(format_args!("{given_up} operations never got a definite answer"));
    }
    system.stop().await
}

/// One after the other, until the time is over and each was restarted.
async fn restart_all(system: &mut System, run: &Run) -> Result<()> {
    let count = system.replicas.len();
    for turn in 0.. {
        let is_each_restarted = turn >= count;
        let is_interrupted = *run.interrupted.borrow();
        if is_interrupted && !is_each_restarted {
            bail!("interrupted before each replica was restarted");
        }
        if is_interrupted || (is_each_restarted && run.journal.elapsed() >= run.length) {
            break;
        }
        let name = system.replicas[turn % count].name.clone();
        run.journal.fault("replica restarted", format_args!("restart of {name}"));
        let ready = system.restart(turn % count).await?;
        run.journal.ready(&format!("the restart of {name}"), ready);
    }
    Ok(())
}
