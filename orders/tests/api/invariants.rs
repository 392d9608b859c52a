//! Data invariants that hold after every test. Their queries share no code with the server.

use crate::harness::Harness;

/// Skipped: the tests insert customers without search index entries.
const SKIPPED: &str = "names-are-searchable";

pub(crate) async fn check(harness: &Harness) {
    let findings = db_audit::check(harness.database.url()).await.expect("the database can be read");
    let violated: Vec<_> =
        findings.iter().filter(|finding| finding.violations > 0 && finding.name != SKIPPED).collect();
    assert!(violated.is_empty(), "{violated:#?}");
}
