//! Verification after a run: checks the data invariants, and compares acknowledged responses with the database.

use std::time::Duration;

use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use tokio::time::{Instant, sleep, timeout};
use workload::{History, Load};

use crate::report::Journal;

/// Maximum time until the background job has canceled all orders with an expired reservation.
const EXPIRY_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(500);

const OVERDUE: &str = "SELECT COUNT(*) FROM orders WHERE status = 'CREATED' AND reserved_until < UTC_TIMESTAMP(6)";

/// Stops the load, waiting at most `within`, and verifies the database while the system is still running.
pub(crate) async fn verify(url: &str, journal: &Journal, load: Load, within: Duration) -> Result<Option<History>> {
    let history = timeout(within, load.stop()).await.ok();
    wait_for_expiry(url).await?;
    if let Some(history) = &history {
        let progress = history.progress().to_string();
        journal.summary_line(format_args!("load\n  {}", progress.trim_end().replace('\n', "\n  ")));
        let lost = history.verify(url).await.context("cannot compare the responses with the database")?;
        journal.summary_line(format_args!("lost responses {}", lost.len()));
        lost.iter().for_each(|finding| journal.violation(finding));
    } else {
        journal.violation("clients received no definite responses after fault injection finished");
    }
    journal.summary_line("violations by data invariant");
    for finding in db_audit::check(url).await.context("cannot check the data invariants")? {
        let db_audit::Finding { name, sentence, violations, examples, .. } = finding;
        journal.summary_line(format_args!("  {violations:>5}  {name}"));
        if violations > 0 {
            journal.violation(format_args!("{sentence} Violated {violations} times: {}", examples.join("; ")));
        }
    }
    Ok(history)
}

/// Waits at most [`EXPIRY_TIMEOUT`] until no order has status CREATED after its reservation has expired.
async fn wait_for_expiry(url: &str) -> Result<()> {
    let mut connection = Conn::new(Opts::from_url(url)?).await?;
    let deadline = Instant::now() + EXPIRY_TIMEOUT;
    while Instant::now() < deadline && connection.query_first::<u64, _>(OVERDUE).await? != Some(0) {
        sleep(POLL_INTERVAL).await;
    }
    Ok(connection.disconnect().await?)
}
