//! The checks when all clients have their answers: do the data invariants hold, and was no answer lost?

use std::time::Duration;

use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use tokio::time::{Instant, sleep, timeout};
use workload::{History, Load};

use crate::report::Journal;

/// How long after its reservation an order may still be CREATED.
const SWEPT_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(500);

const OVERDUE: &str = "SELECT COUNT(*) FROM orders WHERE status = 'CREATED' AND reserved_until < UTC_TIMESTAMP(6)";

/// Ends the load, which may take so long to get a definite answer to everything, and verifies the system, which still runs,
/// by its database.
///
/// # Errors
///
/// Where the database cannot be read.
pub(crate) async fn verify(url: &str, journal: &Journal, load: Load, within: Duration) -> Result<Option<History>> {
    let history = timeout(within, load.stop()).await.ok();
    wait_for_the_sweeper(url).await?;
    if let Some(history) = &history {
        journal.figure(format_args!("load\n  {}", history.progress().to_string().trim_end().replace('\n', "\n  ")));
        let lost = history.verify(url).await.context("the answers cannot be compared with the database")?;
        journal.figure(format_args!("lost answers {}", lost.len()));
        lost.iter().for_each(|answer| journal.violation(answer));
    } else {
        journal.violation("clients have no definite answers although there are no more faults");
    }
    journal.figure("invariants, with violations");
    for finding in db_audit::check(url).await.context("the invariants cannot be checked")? {
        let db_audit::Finding { name, sentence, violations, examples, .. } = finding;
        journal.figure(format_args!("  {violations:>5}  {name}"));
        if violations > 0 {
            journal.violation(format_args!("{sentence} Not so {violations} times: {}", examples.join("; ")));
        }
    }
    Ok(history)
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
