//! `db audit`: prints each invariant and the number of its violations.

use std::time::Duration;

use anyhow::{Context, anyhow};
use console::style;
use db::DatabaseSettings;
use db::connect::open_unpooled_driver;
use db_audit::Finding;
use tokio::time::timeout;

/// Time limit for connecting to the server.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Audits the database, prints the findings, and returns whether all invariants hold.
pub(crate) async fn audit(settings: &DatabaseSettings, examples: usize) -> anyhow::Result<bool> {
    let connected = match timeout(CONNECT_LIMIT, open_unpooled_driver(settings)).await {
        Ok(connected) => connected.map_err(anyhow::Error::from),
        Err(_) => Err(anyhow!("no response within {CONNECT_LIMIT:?}")),
    };
    let connection = connected.with_context(|| format!("cannot connect to {settings}"))?;
    let findings = db_audit::check_on(connection, examples).await?;
    for Finding { name, sentence, violations, examples } in &findings {
        let count = style(format!("{violations:>8}"));
        println!("{}  {name:<34}{sentence}", if *violations == 0 { count } else { count.red() });
        for example in examples {
            println!("{:>10}  {example}", "");
        }
    }
    let violations: u64 = findings.iter().map(|finding| finding.violations).sum();
    println!("{violations} violations; {} invariants checked", findings.len());
    Ok(violations == 0)
}
