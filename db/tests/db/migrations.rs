//! Applying, reverting and reapplying migrations.

use db::DatabaseSettings;
use db::migrations::{MigrateError, down, redo, status, up};
use db_testing::TestDatabase;

use crate::support::{execute, number};

async fn applied(settings: &DatabaseSettings) -> Vec<bool> {
    status(settings).await.unwrap().into_iter().map(|migration| migration.applied).collect()
}

#[tokio::test]
async fn every_migration_can_be_reverted_and_reapplied() {
    let database = TestDatabase::create().await;
    let settings = database.settings();
    let count = applied(settings).await.len();
    assert_eq!(applied(settings).await, vec![true; count]);
    for left in (0..count).rev() {
        down(settings).await.unwrap();
        assert_eq!(applied(settings).await.iter().filter(|applied| **applied).count(), left);
    }
    assert!(matches!(down(settings).await, Err(MigrateError::NothingApplied)));
    let tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()";
    assert_eq!(number(database.db(), tables).await, 1, "only the migration history is left");
    assert_eq!(up(settings).await.unwrap().len(), count);
    assert!(up(settings).await.unwrap().is_empty());
    assert!(redo(settings).await.unwrap().ends_with("create_operators"));
    assert_eq!(applied(settings).await, vec![true; count]);
}

#[tokio::test]
async fn concurrent_migrations_are_serialised() {
    let database = TestDatabase::create().await;
    let settings = database.settings();
    execute(database.db(), &format!("DROP DATABASE {}", settings.database())).await.unwrap();
    let results = futures::future::join_all((0..4).map(|_| up(settings))).await;
    let mut counts = results.into_iter().map(|result| result.unwrap().len()).collect::<Vec<_>>();
    counts.sort_unstable();
    assert_eq!(counts[..3], [0, 0, 0]);
    assert_eq!(applied(settings).await, vec![true; counts[3]]);
}

#[tokio::test]
async fn failed_migration_is_named_in_the_error() {
    let database = TestDatabase::create().await;
    down(database.settings()).await.unwrap();
    execute(database.db(), "CREATE TABLE operators (id INT)").await.unwrap();
    let error = up(database.settings()).await.unwrap_err().to_string();
    assert!(error.contains("create_operators failed: ") && error.contains("already exists"), "{error}");
    assert!(!error.contains('\n'), "{error}");
}
