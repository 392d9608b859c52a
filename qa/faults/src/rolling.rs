//! Rolling restart: restarts replicas one at a time while load and races run through the edge proxy.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::sync::watch;

use crate::system::System;
use crate::system::edge::Edge;
use crate::verify::verify;
use crate::{Load, Run, races};

/// Maximum time until all requests in flight have received definite responses.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(120);

/// Runs the system until the time has elapsed or the run is interrupted, verifies the system, and stops it.
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
    journal.log("restarts finished; waiting for requests in flight");
    stop.send_replace(true);
    match races.await? {
        Ok((rounds, calls)) => journal.log(format_args!("races: {rounds} rounds, {calls} calls, no violation")),
        Err(error) => journal.violation(format_args!("races: {error:#}")),
    }
    let history = verify(&system.database_url().await?, journal, load, RESOLVE_TIMEOUT).await?;
    // During a restart, a retry is sent to the other replica and must receive a definite response.
    let abandoned = history.map_or(0, |history| history.abandoned());
    if abandoned > 0 {
        journal.violation(format_args!("{abandoned} operations never got a definite response"));
    }
    system.stop().await
}

/// Restarts the replicas sequentially until the time has elapsed and each replica has been restarted at least once.
async fn restart_all(system: &System, run: &Run) -> Result<()> {
    let replicas = &system.replicas;
    for (turn, replica) in replicas.iter().cycle().enumerate() {
        match (turn >= replicas.len(), *run.interrupted.borrow()) {
            (false, true) => bail!("interrupted before every replica was restarted"),
            (true, is_interrupted) if is_interrupted || run.journal.elapsed() >= run.length => break,
            _ => {}
        }
        run.journal.fault("replica restarted", format_args!("restart of {}", replica.name));
        let ready = system.restart(replica).await?;
        run.journal.ready(&format!("restart of {}", replica.name), ready);
    }
    Ok(())
}
