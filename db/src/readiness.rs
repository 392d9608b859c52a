//! Readiness: whether the database accepts writes.
//!
//! The question is asked on a connection outside the pool, which is kept open: a pool in which all connections are in
//! use says nothing about the database. Checks at the same time share one question.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::time::{sleep, timeout};

use crate::connect::open_unpooled_driver;
use crate::error::DbError;
use crate::metrics;
use crate::pool::Db;
use crate::settings::DatabaseSettings;

/// Time limit of a check.
const CHECK_LIMIT: Duration = Duration::from_millis(500);

/// Time limit of a question. Longer than that of a check, so that the next check profits from a connection that was
/// slow to open.
const QUESTION_LIMIT: Duration = Duration::from_secs(2);

/// Time between two checks of [`Db::wait_until_writable`].
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Variables of a server that refuses writes. `super_read_only` exists on MySQL only, `wsrep_on` on MariaDB only.
const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN \
     ('read_only', 'super_read_only', 'innodb_read_only', 'wsrep_on')";

/// A Galera node that is joining, or has lost the majority, is not ready.
const GALERA_STATE: &str = "SHOW GLOBAL STATUS LIKE 'wsrep_ready'";

/// A question in flight; its error is the reason why the database accepts no writes.
type Question = Shared<BoxFuture<'static, Result<(), String>>>;

/// Asks whether the database accepts writes.
pub(crate) struct Readiness {
    settings: DatabaseSettings,
    /// Connection of the last successful question.
    connection: Mutex<Option<Conn>>,
    question: Mutex<Option<Question>>,
}

impl Db {
    /// Checks that the database accepts writes. For readiness checks.
    ///
    /// # Errors
    ///
    /// `Unavailable`, or `Timeout` if there is no answer within 500 milliseconds.
    pub async fn check_writable(&self) -> Result<(), DbError> {
        let answer = match timeout(CHECK_LIMIT, self.readiness().question()).await {
            Ok(answer) => answer.map_err(|reason| DbError::Unavailable { reason }),
            Err(_) => Err(DbError::Timeout),
        };
        metrics::count_readiness_check(answer.is_ok());
        answer
    }

    /// Waits until the database accepts writes. Logs why it does not.
    pub async fn wait_until_writable(&self) {
        metrics::describe_metrics();
        while let Err(error) = self.check_writable().await {
            tracing::warn!(%error, "waiting for the database");
            sleep(RETRY_INTERVAL).await;
        }
    }
}

impl Readiness {
    pub(crate) fn new(settings: DatabaseSettings) -> Self {
        Self { settings, connection: Mutex::default(), question: Mutex::default() }
    }

    /// Joins the question in flight, or asks.
    fn question(self: &Arc<Self>) -> Question {
        let mut current = lock(&self.question);
        if let Some(question) = current.as_ref().filter(|question| question.peek().is_none()) {
            return question.clone();
        }
        let readiness = Arc::clone(self);
        let question = async move { readiness.ask().await }.boxed().shared();
        // The question must end even if no check waits for it any longer.
        tokio::spawn(question.clone());
        current.insert(question).clone()
    }

    async fn ask(&self) -> Result<(), String> {
        let answer = timeout(QUESTION_LIMIT, self.writable_connection()).await;
        let connection = answer.unwrap_or_else(|_| Err(format!("no answer within {} s", QUESTION_LIMIT.as_secs())))?;
        *lock(&self.connection) = Some(connection);
        Ok(())
    }

    /// Returns a connection to a server that accepts writes. The server of the kept connection may be gone or have
    /// become read-only, while the address already leads to its successor.
    async fn writable_connection(&self) -> Result<Conn, String> {
        let kept = lock(&self.connection).take();
        if let Some(connection) = kept
            && let Ok(Ok(connection)) = timeout(CHECK_LIMIT, confirm_writable(connection)).await
        {
            return Ok(connection);
        }
        let connection = open_unpooled_driver(&self.settings).await.map_err(|error| error.to_string())?;
        confirm_writable(connection).await
    }
}

async fn confirm_writable(mut connection: Conn) -> Result<Conn, String> {
    let mut rows: Vec<(String, String)> = query(&mut connection, VARIABLES).await?;
    let is_galera = rows.iter().any(|(name, value)| name == "wsrep_on" && value == "ON");
    rows.retain(|(name, _)| name != "wsrep_on");
    // A server without Galera has the status `wsrep_ready` too, and it is OFF.
    let states = if is_galera { query(&mut connection, GALERA_STATE).await? } else { Vec::new() };
    let refusal = rows.iter().find(|(_, value)| value != "OFF").or(states.iter().find(|(_, value)| value != "ON"));
    match refusal {
        Some((name, value)) => Err(format!("it accepts no writes: {name} is {value}")),
        None => Ok(connection),
    }
}

async fn query(connection: &mut Conn, sql: &str) -> Result<Vec<(String, String)>, String> {
    connection.query(sql).await.map_err(|error| error.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
