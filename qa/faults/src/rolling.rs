//! The rolling restart: the load and the races go through the door, while the replicas are restarted one by one.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::sync::watch;
use tokio::time::timeout;
use workload::{History, Load};

use crate::judge;
use crate::races::Races;
use crate::replicas::{Door, System};
use crate::report::{Journal, Summary};

/// How long the clients may take to get a definite answer to everything they began.
const RESOLVED_WITHIN: Duration = Duration::from_secs(120);

/// What to run.
pub(crate) struct Rolling {
    /// Of the load.
    pub(crate) seed: u64,
    /// How long replicas are restarted. Each is restarted at least once.
    pub(crate) length: Duration,
    /// How many clients work at once, besides those of the races.
    pub(crate) clients: usize,
    /// The database server.
    pub(crate) program: private_server::Program,
    /// What stands before the services.
    pub(crate) door: Door,
}

impl Rolling {
    /// Runs the system in `directory` until its time is over or it is interrupted, and judges it. Nothing runs
    /// afterwards.
    ///
    /// # Errors
    ///
    /// Where the system or the load cannot be started, or the database not be asked.
    pub(crate) async fn run(self, directory: &Path, interrupted: watch::Receiver<bool>) -> Result<Summary> {
        let engine = self.program.to_string();
        let mut system = System::start(self.program, &self.door, directory).await?;
        let load = Load::start(system.targets(), self.seed, self.clients).await.context("the load does not start")?;
        let journal = Journal::begin();
        let (stop, stopping) = watch::channel(false);
        let races = tokio::spawn(Races::run(system.targets(), stopping));
        if let Err(error) = restart_all(&mut system, &journal, self.length, &interrupted).await {
            journal.violation(format!("{error:#}"));
        }
        journal.say("no more restarts; the clients finish");
        stop.send_replace(true);
        judge_races(&journal, races.await?);
        let history = timeout(RESOLVED_WITHIN, load.stop()).await.ok();
        judge_answers(&journal, history.as_ref());
        let summary = judge::judge(&system.database_url()?, &journal, history, (self.seed, engine)).await;
        system.stop().await?;
        summary
    }
}

/// One after the other, again and again until the time is over.
async fn restart_all(
    system: &mut System,
    journal: &Journal,
    length: Duration,
    interrupted: &watch::Receiver<bool>,
) -> Result<()> {
    let count = system.replicas.len();
    for turn in 0.. {
        let is_each_restarted = turn >= count;
        if *interrupted.borrow() && !is_each_restarted {
            bail!("interrupted before each replica was restarted");
        }
        if *interrupted.borrow() || (is_each_restarted && journal.elapsed() >= length) {
            break;
        }
        let name = system.replicas[turn % count].name.clone();
        journal.fault("replica restarted", format_args!("restart of {name}"));
        let ready = system.restart(turn % count).await?;
        journal.ready(&format!("the restart of {name}"), ready);
    }
    Ok(())
}

fn judge_races(journal: &Journal, races: Result<Races>) {
    match races {
        Ok(Races { rounds, calls }) => {
            journal.say(format_args!("races: {rounds} rounds, {calls} calls, all as promised"));
        }
        Err(error) => journal.violation(format!("races: {error:#}")),
    }
}

/// A restart is no excuse: who tries again gets an answer.
fn judge_answers(journal: &Journal, history: Option<&History>) {
    // Without a history this is said elsewhere.
    let Some(lost) = history.map(History::given_up) else { return };
    journal.say(format_args!("operations without an answer: {lost}"));
    if lost > 0 {
        journal.violation(format!("{lost} operations were never answered for good"));
    }
}
