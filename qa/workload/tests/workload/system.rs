//! Runs the three servers in this process, with a separate database.

use std::time::Duration;

use common_server::Running;
use common_server::settings::Env;
use db_testing::TestDatabase;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use orchestrator::Orchestrator;
use workload::{History, Load, Progress, Targets};

const SERVICE_TOKEN: &str = "service-token-for-tests-only-0123456789";
const MAX_WAIT: Duration = Duration::from_secs(240);
const POLL: Duration = Duration::from_millis(20);

pub(crate) struct System {
    pub(crate) database: TestDatabase,
    pub(crate) targets: Targets,
    _running: (Running<customers::Context>, Running<orders::Context>, Running<Orchestrator>),
}

impl System {
    pub(crate) async fn start() -> Self {
        let database = TestDatabase::create().await;
        let settings = |customers: &str, orders: &str| settings(database.url(), customers, orders);
        let config = customers::Config::from_env(&env(&settings("", ""))).unwrap();
        let customers = customers::start(config).unwrap();
        let config = orders::Config::from_env(&env(&settings(&customers.base_url(), ""))).unwrap();
        let orders = orders::start(config).unwrap();
        let behind = settings(&customers.base_url(), &orders.base_url());
        let orchestrator = orchestrator::start(orchestrator::Config::from_env(&env(&behind)).unwrap()).unwrap();
        let targets = Targets {
            customers: customers.base_url(),
            orders: orders.base_url(),
            orchestrator: orchestrator.base_url(),
            admin_user: "ann".to_owned(),
            admin_password: "correct horse".to_owned(),
            service_token: SERVICE_TOKEN.to_owned(),
            behind_balancer: false,
        };
        Self { database, targets, _running: (customers, orders, orchestrator) }
    }
}

type Settings = Vec<(&'static str, String)>;

fn settings(database: &str, customers: &str, orders: &str) -> Settings {
    let settings = [
        ("PORT", "0"),
        ("JWT_SECRET", "jwt-secret-for-tests-only-0123456789"),
        ("SERVICE_TOKEN", SERVICE_TOKEN),
        ("PROFILE", "production"),
        ("ADMIN_USER", "ann"),
        ("ADMIN_PASSWORD", "correct horse"),
        ("DATABASE_URL", database),
        ("CUSTOMERS_API_BASE", customers),
        ("ORDERS_API_BASE", orders),
    ];
    settings.map(|(name, value)| (name, value.to_owned())).to_vec()
}

fn env(settings: &Settings) -> Env<'_> {
    Env::new(move |name| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()))
}

/// Returns a new seed, and prints it so that a failure can be reproduced.
pub(crate) fn seed() -> u64 {
    let seed = rand::random();
    println!("seed {seed}");
    seed
}

/// Runs clients until this number of operations has completed, then completes those in flight and returns the history.
pub(crate) async fn history(targets: &Targets, clients: usize, operations: u64) -> History {
    let load = Load::start(targets.clone(), seed(), clients).await.unwrap();
    let enough = async {
        while load.progress().operations < operations {
            tokio::time::sleep(POLL).await;
        }
    };
    let in_time = tokio::time::timeout(MAX_WAIT, enough).await;
    assert!(in_time.is_ok(), "{}", load.progress());
    let history = load.stop().await;
    println!("{}", history.progress());
    history
}

/// Returns how often an operation had an outcome that starts with this prefix.
pub(crate) fn count(progress: &Progress, operation: &str, outcome: &str) -> u64 {
    let counts = progress.outcomes.iter().filter(|((op, text), _)| *op == operation && text.starts_with(outcome));
    counts.map(|(_, count)| count).sum()
}

pub(crate) async fn connect(database: &TestDatabase) -> Conn {
    Conn::from_url(database.url()).await.unwrap()
}

/// Copies the rows of a database to a new database.
pub(crate) async fn copy(original: &TestDatabase) -> TestDatabase {
    let copy = TestDatabase::create().await;
    let mut connection = connect(&copy).await;
    connection.query_drop("SET SESSION foreign_key_checks = 0").await.unwrap();
    for table in ["customers", "products", "orders", "order_items", "order_events", "stock_movements"] {
        let name = original.settings().database();
        connection.query_drop(format!("INSERT INTO {table} SELECT * FROM {name}.{table}")).await.unwrap();
    }
    connection.disconnect().await.unwrap();
    copy
}
