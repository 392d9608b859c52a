//! Reindexing rows that an earlier release derived differently.

use std::cell::Cell;
use std::collections::BTreeSet;

use db::prefix_index::CUSTOMERS;
use db::schema::customer_prefixes;
use db::search::prefixes;
use db::{Db, DbError};
use db_cli::reindex::next_customers;
use db_testing::TestDatabase;
use diesel::prelude::*;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use futures::future::join;

use crate::program::{run, stdout};
use crate::support::{execute, number};

/// Rows of an earlier release, which folded `ß` and `ı` differently and compared the forms of an address as texts.
const OLDER: &str = "
    INSERT INTO customers (id, name, email, email_key, deleted_at) VALUES
        (1, 'Straße', 'a@example.com', 'a@example.com', NULL),
        (2, 'Jose', 'jose\u{301}@example.com', 'jose\u{301}@example.com', NULL),
        (3, 'José', 'josé@example.com', 'josé@example.com', NULL),
        (4, 'Gone', 'gone@example.com', NULL, UTC_TIMESTAMP(6)),
        (5, 'Decomposed', 'e\u{301}@example.com', 'e\u{301}@example.com', NULL);
    INSERT INTO customer_prefixes (customer_id, prefix) VALUES (1, 's'), (1, 'straße'), (4, 'gone');
    INSERT INTO products (id, sku, name, price_cents, stock) VALUES (1, 'A-1', 'Işık', 1, 0);
    INSERT INTO product_prefixes (product_id, prefix) VALUES (1, 'ısık')";

async fn reindex(database: &TestDatabase, arguments: &[&str]) -> String {
    let arguments = [&["reindex", "--database-url", database.url()], arguments].concat();
    stdout(&run(&arguments).await)
}

#[tokio::test]
async fn rows_of_an_earlier_release_are_reindexed_once() {
    let database = TestDatabase::create().await;
    let db = database.db();
    execute(db, OLDER).await.unwrap();
    let kept = "customer 2 keeps its email key: another customer has the same address in another form\n";
    let output = reindex(&database, &[]).await;
    assert_eq!(output, format!("{kept}reindexed 5 customers, 5 changed, and 1 products, 1 changed\n"));
    for (condition, rows) in [
        ("customer_prefixes WHERE customer_id = 1 AND prefix = 'strasse'", 1),
        ("customer_prefixes WHERE customer_id = 1 AND prefix = 'straße'", 0),
        ("customer_prefixes WHERE customer_id = 4", 0),
        ("product_prefixes WHERE product_id = 1 AND prefix = 'isik'", 1),
        ("customers WHERE id = 5 AND email_key = 'é@example.com'", 1),
        ("customers WHERE id = 4 AND email_key IS NULL", 1),
        ("customers WHERE version <> 1", 0),
    ] {
        assert_eq!(number(db, &format!("SELECT COUNT(*) FROM {condition}")).await, rows, "{condition}");
    }
    let output = reindex(&database, &[]).await;
    assert_eq!(output, format!("{kept}reindexed 5 customers, 0 changed, and 1 products, 0 changed\n"));
    let audited = run(&["audit", "--database-url", database.url()]).await;
    assert_eq!(audited.status.code(), Some(0), "{audited:?}");
}

#[tokio::test]
async fn reindexing_continues_after_a_row() {
    let database = TestDatabase::create().await;
    execute(database.db(), OLDER).await.unwrap();
    let output = reindex(&database, &["--after-customer", "4", "--after-product", "1"]).await;
    assert_eq!(output, "reindexed 1 customers, 1 changed, and 0 products, 0 changed\n");
    execute(database.db(), "DROP TABLE product_prefixes").await.unwrap();
    let failed = run(&["reindex", "--after-customer", "1", "--database-url", database.url()]).await;
    let message = String::from_utf8(failed.stderr).unwrap();
    assert!(message.contains("continue with `db reindex --after-customer 5 --after-product 0`"), "{message}");
}

/// Renames a customer as a service does: the row is locked while its prefixes change.
async fn rename(db: &Db, id: i64, name: &str) {
    let renamed: Result<(), DbError> = db
        .transaction(async |connection| {
            connection.batch_execute(&format!("UPDATE customers SET name = '{name}' WHERE id = {id}")).await?;
            CUSTOMERS.replace(connection, id, &[name, "a@example.com"]).await
        })
        .await;
    renamed.unwrap();
}

#[tokio::test]
async fn concurrent_changes_are_not_lost() {
    let database = TestDatabase::create().await;
    let db = database.db();
    let rows: Vec<_> = (1..=250).map(|id| format!("({id}, 'Older{id}', 'a@example.com', '{id}')")).collect();
    let rows = rows.join(", ");
    execute(db, &format!("INSERT INTO customers (id, name, email, email_key) VALUES {rows}")).await.unwrap();
    let is_renamed = Cell::new(false);
    let renames = async {
        for round in 0..4 {
            for id in (1..=250).step_by(5) {
                rename(db, id, &format!("Round{round}")).await;
            }
        }
        is_renamed.set(true);
    };
    let reindexes = async {
        while !is_renamed.get() {
            let mut after = Some(0);
            while let Some(id) = after {
                after = next_customers(db, id).await.unwrap().map(|batch| batch.last);
            }
        }
    };
    join(renames, reindexes).await;
    let mut connection = database.connection().await;
    for id in 1..=250_i64 {
        let stored: Vec<String> = customer_prefixes::table
            .filter(customer_prefixes::customer_id.eq(id))
            .select(customer_prefixes::prefix)
            .load(&mut connection)
            .await
            .unwrap();
        let name = if id % 5 == 1 { "Round3".to_owned() } else { format!("Older{id}") };
        let expected = prefixes(&[&name, "a@example.com"]);
        assert_eq!(stored.into_iter().collect::<BTreeSet<_>>(), expected, "{id}");
    }
}
