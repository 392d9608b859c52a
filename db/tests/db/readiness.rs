//! Readiness check: independent of the pool, on one connection that is replaced when it is lost.

use std::time::Duration;

use db::Db;
use db_testing::TestDatabase;
use diesel_async::SimpleAsyncConnection;
use futures::future::join_all;
use tokio::time::sleep;

use crate::support::{execute, other_sessions};

#[tokio::test]
async fn busy_pool_does_not_fail_the_check() {
    let database = TestDatabase::create().await;
    let mut settings = database.settings().clone();
    settings.max_connections = 1;
    let db = Db::connect(&settings);
    db.check_writable().await.unwrap();
    let busy = tokio::spawn({
        let db = db.clone();
        async move { execute(&db, "DO SLEEP(2)").await }
    });
    while db.status().open == 0 {
        tokio::task::yield_now().await;
    }
    db.check_writable().await.unwrap();
    assert!(!busy.is_finished(), "the pool was not busy during the check");
    busy.await.unwrap().unwrap();
}

#[tokio::test]
async fn checks_use_one_connection_which_is_replaced_when_lost() {
    let database = TestDatabase::create().await;
    let mut observer = database.connection().await;
    for _ in 0..3 {
        for check in join_all((0..50).map(|_| database.db().check_writable())).await {
            check.unwrap();
        }
        let open = other_sessions(&mut observer).await;
        assert_eq!(open.len(), 1, "{open:?}");
        observer.batch_execute(&format!("KILL {}", open[0])).await.unwrap();
        while !other_sessions(&mut observer).await.is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    }
}
