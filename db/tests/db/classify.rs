//! Error classification, with errors provoked on a real server.

use db::{Db, DbError};
use db_testing::TestDatabase;
use diesel_async::SimpleAsyncConnection;
use url::Url;

use crate::support::{ROWS, execute};

async fn error_of(db: &Db, sql: &str) -> DbError {
    execute(db, sql).await.expect_err(sql)
}

#[tokio::test]
async fn constraint_violations_name_the_constraint() {
    let database = TestDatabase::create().await;
    let db = database.db();
    execute(db, ROWS).await.unwrap();

    let error = error_of(db, "INSERT INTO products (sku, name, price_cents, stock) VALUES ('a', 'x', 1, 1)").await;
    assert!(error.is_unique("uq_products_sku"), "{error:?}");
    let error =
        error_of(db, "INSERT INTO products (id, sku, name, price_cents, stock) VALUES (1, 'x', 'x', 1, 1)").await;
    assert!(error.is_unique("PRIMARY"), "{error:?}");
    let error = error_of(db, "UPDATE products SET stock = stock - 101 WHERE id = 1").await;
    assert!(matches!(&error, DbError::Check { constraint } if constraint == "ck_products_stock"), "{error:?}");
    let insert =
        "INSERT INTO orders (customer_id, total_cents, created_at, create_principal) VALUES (99, 1, NOW(6), 'x')";
    let error = error_of(db, insert).await;
    assert!(matches!(&error, DbError::ForeignKey { constraint } if constraint == "fk_orders_customer"), "{error:?}");
    execute(db, &insert.replace("99", "1")).await.unwrap();
    let error = error_of(db, "DELETE FROM customers").await;
    assert!(matches!(&error, DbError::ForeignKey { constraint } if constraint == "fk_orders_customer"), "{error:?}");
}

#[tokio::test]
async fn invalid_statements_are_other_errors_with_the_server_message() {
    let database = TestDatabase::create().await;
    for sql in [
        "INSERT INTO products (sku, name, price_cents, stock) VALUES (REPEAT('x', 65), 'x', 1, 1)",
        "INSERT INTO customers (name, email) VALUES (NULL, 'x')",
        "SELEKT 1",
        // An error in the last of several statements is also reported.
        "DO 1; DO 2; SELECT no_such_column",
    ] {
        let error = error_of(database.db(), sql).await;
        assert!(matches!(error, DbError::Other(diesel::result::Error::DatabaseError(..))), "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn unavailable_locks_are_lock_timeouts() {
    let database = TestDatabase::create().await;
    execute(database.db(), ROWS).await.unwrap();
    let mut holder = database.connection().await;
    holder.batch_execute("START TRANSACTION; UPDATE products SET stock = 1 WHERE id = 1").await.unwrap();
    for sql in ["UPDATE products SET stock = 2 WHERE id = 1", "SELECT 1 FROM products WHERE id = 1 FOR UPDATE NOWAIT"] {
        let error = error_of(database.db(), sql).await;
        assert!(matches!(error, DbError::LockTimeout), "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn deadlock_victim_gets_a_deadlock_error() {
    let database = TestDatabase::create().await;
    execute(database.db(), ROWS).await.unwrap();
    let (mut one, mut two) = (database.connection().await, database.connection().await);
    one.batch_execute("START TRANSACTION; UPDATE products SET stock = 1 WHERE id = 1").await.unwrap();
    two.batch_execute("START TRANSACTION; UPDATE products SET stock = 1 WHERE id = 2").await.unwrap();
    let results = tokio::join!(
        one.batch_execute("UPDATE products SET stock = 2 WHERE id = 2"),
        two.batch_execute("UPDATE products SET stock = 2 WHERE id = 1"),
    );
    let errors = [results.0, results.1].into_iter().filter_map(Result::err).map(DbError::from).collect::<Vec<_>>();
    assert!(matches!(errors.as_slice(), [DbError::Deadlock]), "{errors:?}");
}

#[tokio::test]
async fn wrong_password_or_database_is_unavailable_with_the_reason() {
    let database = TestDatabase::create().await;
    let db = Db::connect(&database.settings().with_database("no_such_database"));
    let error = db.check_writable().await.unwrap_err().to_string();
    assert!(error.contains("Unknown database 'no_such_database' (error 1049)"), "{error}");
    let mut url = Url::parse(database.url()).unwrap();
    // Use an existing user: for unknown users, MySQL reports a made-up authentication method.
    url.set_password(Some("hunter2")).unwrap();
    let db = Db::connect(&db::DatabaseSettings::from_url(url.as_str()).unwrap());
    let error = db.check_writable().await.unwrap_err().to_string();
    assert!(error.contains("Access denied") && !error.contains("hunter2"), "{error}");
}
