//! Audits of valid databases and of databases with one violation.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod fixture;
mod violations;

use std::collections::BTreeSet;

use db::connect::open_unpooled_driver;
use db_audit::Finding;
use db_testing::TestDatabase;
use diesel_async::SimpleAsyncConnection;

use crate::violations::{VIOLATIONS, Violation};

/// Audits the database and returns the violated invariants.
async fn violated(database: &TestDatabase) -> Vec<Finding> {
    let findings = db_audit::check(database.url()).await.expect("cannot audit the database");
    assert_eq!(findings.len(), db_audit::all().count());
    findings.into_iter().filter(|finding| finding.violations > 0).collect()
}

#[tokio::test]
async fn empty_database_has_no_violations() {
    assert_eq!(violated(&TestDatabase::create().await).await, []);
}

#[tokio::test]
async fn seeded_database_has_no_violations() {
    let database = TestDatabase::seeded().await;
    let size = db_cli::seed::Size::of_orders(300);
    db_cli::seed::seed_orders(database.db(), size, |_| {}).await.expect("cannot generate orders");
    assert_eq!(violated(&database).await, []);
}

#[tokio::test]
async fn database_with_all_kinds_of_orders_has_no_violations() {
    assert_eq!(violated(&fixture::create().await).await, []);
}

#[tokio::test]
async fn exactly_the_expected_violations_are_reported() {
    for Violation { breaks, also, sql } in VIOLATIONS {
        let database = fixture::create().await;
        database.connection().await.batch_execute(sql).await.unwrap_or_else(|error| panic!("{breaks}: {error}"));
        let findings = violated(&database).await;
        let reported: BTreeSet<_> = findings.iter().map(|finding| finding.name).collect();
        let expected = also.iter().chain([breaks]).copied().collect();
        assert_eq!(reported, expected, "{sql}\n{findings:#?}");
        assert!(findings.iter().all(|finding| finding.examples.iter().all(|text| !text.is_empty())), "{findings:#?}");
    }
}

#[test]
fn invariant_names_are_unique_and_each_has_a_violation_test() {
    let names: Vec<_> = db_audit::all().map(|invariant| invariant.name).collect();
    let distinct: BTreeSet<_> = names.iter().copied().collect();
    assert_eq!(distinct.len(), names.len());
    assert_eq!(VIOLATIONS.iter().map(|violation| violation.breaks).collect::<BTreeSet<_>>(), distinct);
}

#[tokio::test]
async fn audit_ignores_open_transactions_without_waiting() {
    let database = fixture::create().await;
    let mut open_transaction = database.connection().await;
    let uncommitted = "BEGIN; UPDATE products SET stock = stock - 1; UPDATE orders SET version = version + 1";
    open_transaction.batch_execute(uncommitted).await.unwrap();
    assert_eq!(violated(&database).await, []);
    open_transaction.batch_execute("COMMIT").await.unwrap();
    let names: Vec<_> = violated(&database).await.iter().map(|finding| finding.name).collect();
    assert_eq!(names, ["stock-is-ledger", "version-counts-events"]);
}

#[tokio::test]
async fn violations_are_counted_beyond_the_example_limit() {
    let database = fixture::create().await;
    database.connection().await.batch_execute("UPDATE orders SET total_cents = 1").await.unwrap();
    for (examples, shown) in [(0, 0), (2, 2), (100, 5)] {
        let connection = open_unpooled_driver(database.settings()).await.unwrap();
        let findings = db_audit::check_on(connection, examples).await.unwrap();
        let totals = findings.into_iter().find(|finding| finding.name == "totals-are-sums").unwrap();
        assert_eq!((totals.violations, totals.examples.len()), (5, shown));
        assert!(totals.examples.iter().all(|text| text.contains(": total 1, items ")), "{totals:?}");
    }
}

#[tokio::test]
async fn failed_audit_is_an_error_not_a_violation() {
    let database = TestDatabase::create().await;
    let unknown = db_audit::check(&database.url().replace("b2b_test_", "b2b_none_")).await.unwrap_err();
    assert!(matches!(&unknown, db_audit::Error::Connect(_)), "{unknown:?}");
    database.connection().await.batch_execute("DROP TABLE product_prefixes").await.unwrap();
    let missing = db_audit::check(database.url()).await.unwrap_err();
    assert!(matches!(&missing, db_audit::Error::Query { invariant: "names-are-searchable", .. }), "{missing:?}");
}
