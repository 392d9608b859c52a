//! What has to be true of the tables after anything at all. Its queries share nothing with the server.

use crate::harness::Harness;

/// Not the business of this server: the customers of its tests are rows that no search has to find.
const OF_CUSTOMERS: &str = "names-are-found";

pub(crate) async fn check(harness: &Harness) {
    let findings = db_audit::check(harness.database.url()).await.expect("the database can be looked at");
    let broken: Vec<_> =
        findings.iter().filter(|finding| finding.violations > 0 && finding.name != OF_CUSTOMERS).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}
