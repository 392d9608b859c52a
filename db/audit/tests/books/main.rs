//! The check of databases in which everything is right, and in which one thing is wrong.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod plants;
mod world;

use std::collections::BTreeSet;

use db::connect::open_unpooled_driver;
use db_audit::Finding;
use db_testing::TestDatabase;
use diesel_async::SimpleAsyncConnection;

use crate::plants::{PLANTS, Plant};

/// Those that do not hold.
async fn broken(database: &TestDatabase) -> Vec<Finding> {
    let findings = db_audit::check(database.url()).await.expect("the database can be looked at");
    assert_eq!(findings.len(), db_audit::all().count());
    findings.into_iter().filter(|finding| finding.violations > 0).collect()
}

#[tokio::test]
async fn an_empty_database_keeps_every_promise() {
    assert_eq!(broken(&TestDatabase::create().await).await, []);
}

#[tokio::test]
async fn the_seeded_database_keeps_every_promise() {
    let database = TestDatabase::seeded().await;
    let size = db_cli::seed::Size::of_orders(300);
    db_cli::seed::seed_orders(database.db(), size, |_| {}).await.expect("the orders are generated");
    assert_eq!(broken(&database).await, []);
}

#[tokio::test]
async fn a_database_with_orders_of_every_kind_keeps_every_promise() {
    assert_eq!(broken(&world::create().await).await, []);
}

#[tokio::test]
async fn what_is_planted_is_reported_and_nothing_else() {
    for Plant { breaks, also, sql } in PLANTS {
        let database = world::create().await;
        database.connection().await.batch_execute(sql).await.unwrap_or_else(|error| panic!("{breaks}: {error}"));
        let findings = broken(&database).await;
        let reported: BTreeSet<_> = findings.iter().map(|finding| finding.name).collect();
        let expected = also.iter().chain([breaks]).copied().collect();
        assert_eq!(reported, expected, "{sql}\n{findings:#?}");
        assert!(findings.iter().all(|finding| finding.examples.iter().all(|text| !text.is_empty())), "{findings:#?}");
    }
}

#[test]
fn every_invariant_has_a_name_of_its_own_and_something_planted_against_it() {
    let names: Vec<_> = db_audit::all().map(|invariant| invariant.name).collect();
    let distinct: BTreeSet<_> = names.iter().copied().collect();
    assert_eq!(distinct.len(), names.len());
    assert_eq!(PLANTS.iter().map(|plant| plant.breaks).collect::<BTreeSet<_>>(), distinct);
}

#[tokio::test]
async fn a_look_neither_waits_for_open_transactions_nor_sees_what_they_did() {
    let database = world::create().await;
    let mut at_work = database.connection().await;
    let half_done = "BEGIN; UPDATE products SET stock = stock - 1; UPDATE orders SET version = version + 1";
    at_work.batch_execute(half_done).await.unwrap();
    assert_eq!(broken(&database).await, []);
    at_work.batch_execute("COMMIT").await.unwrap();
    let names: Vec<_> = broken(&database).await.iter().map(|finding| finding.name).collect();
    assert_eq!(names, ["stock-is-ledger", "version-counts-events"]);
}

#[tokio::test]
async fn all_violations_are_counted_and_some_are_shown() {
    let database = world::create().await;
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
async fn a_database_that_cannot_be_checked_is_no_violation() {
    let database = TestDatabase::create().await;
    let unknown = db_audit::check(&database.url().replace("b2b_test_", "b2b_none_")).await.unwrap_err();
    assert!(matches!(&unknown, db_audit::Error::Connect(_)), "{unknown:?}");
    database.connection().await.batch_execute("DROP TABLE product_prefixes").await.unwrap();
    let missing = db_audit::check(database.url()).await.unwrap_err();
    assert!(matches!(&missing, db_audit::Error::Query { invariant: "names-are-found", .. }), "{missing:?}");
}
