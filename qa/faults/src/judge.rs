//! What is asked when all clients have their answers: does the database keep what it has to, and was nothing lost?

use std::time::Duration;

use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use tokio::time::{Instant, sleep};
use workload::History;

use crate::report::{Journal, Summary};

/// How long after its reservation an order may still be CREATED.
const SWEPT_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(500);

const OVERDUE: &str = "SELECT COUNT(*) FROM orders WHERE status = 'CREATED' AND reserved_until < UTC_TIMESTAMP(6)";

/// Judges the system, which still runs, by its database. Without a history the clients got no definite answers in time.
///
/// # Errors
///
/// Where the database cannot be asked.
pub(crate) async fn judge(
    url: &str,
    journal: &Journal,
    history: Option<History>,
    (seed, engine): (u64, String),
) -> Result<Summary> {
    wait_for_the_sweeper(url).await?;
    let mut lost = None;
    let mut load = String::new();
    match history {
        None => journal.violation("clients have no definite answers although all is calm".to_owned()),
        Some(history) => {
            load = history.progress().to_string();
            let found = history.verify(url).await.context("the answers cannot be compared with the database")?;
            lost = Some(found.len());
            found.into_iter().for_each(|answer| journal.violation(answer));
        }
    }
    let invariants = check_invariants(journal, url).await?;
    let mut summary = Summary::of(journal, seed, engine);
    (summary.load, summary.lost, summary.invariants) = (load, lost, invariants);
    Ok(summary)
}

async fn check_invariants(journal: &Journal, url: &str) -> Result<Vec<String>> {
    let findings = db_audit::check(url).await.context("the invariants cannot be checked")?;
    for finding in findings.iter().filter(|finding| finding.violations > 0) {
        let db_audit::Finding { sentence, violations, examples, .. } = finding;
        journal.violation(format!("{sentence} Not so {violations} times: {}", examples.join("; ")));
    }
    Ok(findings.iter().map(|finding| format!("{:>5}  {}", finding.violations, finding.name)).collect())
}

/// Waits until no order is CREATED past its reservation, as long as the sweeper has time for it.
async fn wait_for_the_sweeper(url: &str) -> Result<()> {
    let mut connection = Conn::new(Opts::from_url(url)?).await?;
    let deadline = Instant::now() + SWEPT_WITHIN;
    while Instant::now() < deadline && connection.query_first::<u64, _>(OVERDUE).await? != Some(0) {
        sleep(LOOK_EVERY).await;
    }
    Ok(connection.disconnect().await?)
}
