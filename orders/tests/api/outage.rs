//! Database outages: requests fail within their time limit, and the server recovers soon after the database.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use client_common::Outbound;
use common_server::{Running, testing};
use db::DatabaseSettings;
use diesel_async::SimpleAsyncConnection;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use orders::Context;
use orders_client::{Client, Error, ResponseValue, types};
use private_server::{Durability, PrivateServer, Program};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::harness::{SERVICE_TOKEN, config, env, expect_error, new_order, operator_token};

/// Tolerance that is added to the documented time limits. On a machine that runs all other tests at the same time,
/// responses with a limit of 1.6 s have taken more than 2 s.
const BUSY_MARGIN: Duration = Duration::from_secs(2);
const OPERATOR_LIMIT: Duration = Duration::from_secs(10).saturating_add(BUSY_MARGIN);
const SERVICE_LIMIT: Duration = Duration::from_millis(1_600).saturating_add(BUSY_MARGIN);
/// Maximum time until requests succeed after the database becomes available.
const RECOVERY_LIMIT: Duration = Duration::from_secs(5);

/// A database server that can be killed and restarted. Clients always connect to the same address, although the
/// server's port changes.
struct Database {
    directory: TempDir,
    server: Option<PrivateServer>,
    port: Arc<AtomicU16>,
    url: String,
    /// Notified when a connection could not be forwarded.
    refused: Arc<Notify>,
}

impl Database {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("mysql://root@{}/outage", listener.local_addr().unwrap());
        let port = Arc::<AtomicU16>::default();
        let refused = Arc::<Notify>::default();
        tokio::spawn(forward(listener, Arc::clone(&port), Arc::clone(&refused)));
        let mut database = Self { directory, server: None, port, url, refused };
        database.restart().await;
        db::migrations::up(&DatabaseSettings::from_url(&database.url).unwrap()).await.unwrap();
        database
    }

    async fn restart(&mut self) {
        let directory = self.directory.path().to_owned();
        let start = move || PrivateServer::start(&Program::find().unwrap(), &directory, Durability::Durable).unwrap();
        let server = spawn_blocking(start).await.unwrap();
        self.port.store(server.port(), Ordering::Relaxed);
        self.server = Some(server);
    }

    async fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        let server = self.server.take();
        spawn_blocking(|| drop(server)).await.unwrap();
    }

    fn signal(&self, signal: Signal) {
        let pid = self.server.as_ref().unwrap().pid();
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
    }
}

async fn forward(listener: TcpListener, port: Arc<AtomicU16>, refused: Arc<Notify>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let (port, refused) = (port.load(Ordering::Relaxed), Arc::clone(&refused));
        tokio::spawn(async move {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                // An error only means that the connection has ended.
                Ok(mut server) => drop(copy_bidirectional(&mut client, &mut server).await),
                Err(_) => refused.notify_one(),
            }
        });
    }
}

struct System {
    database: Database,
    operator: Client,
    service: Client,
    product: i64,
    order: i64,
    login: String,
    _servers: (Running<customers::Context>, Running<Context>),
}

impl System {
    async fn start() -> Self {
        let database = Database::start().await;
        let customers = customers::Config::from_env(&env(&database.url, "http://unused")).unwrap();
        let customers = customers::start(customers).unwrap();
        let orders = orders::start(config(&database.url, &customers.base_url())).unwrap();
        let http = client_common::http_client(Duration::from_secs(2), Duration::from_secs(60)).unwrap();
        let [operator, service] = [operator_token("ann"), SERVICE_TOKEN.to_owned()]
            .map(|token| Client::new_with_client(&orders.base_url(), http.clone(), Outbound::new().bearer(&token)));
        let ann = Outbound::new().bearer(&operator_token("ann"));
        let input = customers_client::types::CustomerInput::builder().name("ACME").email("ops@acme.com");
        let customers_client = customers_client::Client::new_with_client(&customers.base_url(), http, ann);
        customers_client.customer_create().body(input).send().await.unwrap();
        let new = types::ProductInput::builder().sku("A").name("A").price_cents(100).stock(10);
        let product = operator.product_create().body(new).send().await.unwrap().id;
        let order = operator.order_create().body(new_order(&[(product, 1)])).send().await.unwrap().id;
        let login = format!("{}/auth/token", customers.base_url());
        Self { database, operator, service, product, order, login, _servers: (customers, orders) }
    }

    /// Checks that all requests fail within their time limit. Returns the duration of the slowest request of an
    /// operator and of a service.
    async fn assert_unavailable(&self) -> [Duration; 2] {
        let (operator, service, order) = (&self.operator, &self.service, self.order);
        let body = || new_order(&[(self.product, 1)]);
        let operators = async {
            tokio::join!(
                time_to_unavailable(operator.product_view().id(self.product).send()),
                time_to_unavailable(operator.product_list().send()),
                time_to_unavailable(operator.order_list().send()),
                time_to_unavailable(operator.order_view().id(order).send()),
                time_to_unavailable(operator.order_create().x_idempotency_key("o").body(body()).send()),
                time_to_unavailable(operator.order_confirm().id(order).x_idempotency_key("o").send()),
                time_to_unavailable(operator.order_cancel().id(order).send()),
                time_to_unavailable(operator.readiness_view().send()),
                self.time_to_login_unavailable(),
            )
        };
        let services = async {
            tokio::join!(
                time_to_unavailable(service.order_view().id(order).send()),
                time_to_unavailable(service.order_create().x_idempotency_key("s").body(body()).send()),
                time_to_unavailable(service.order_confirm().id(order).x_idempotency_key("s").send()),
                time_to_unavailable(service.order_cancel().id(order).x_idempotency_key("s").send()),
                time_to_unavailable(service.internal_order_lookup().create_key("s").send()),
            )
        };
        let (o, s) = tokio::join!(operators, services);
        let slowest = [
            [o.0, o.1, o.2, o.3, o.4, o.5, o.6, o.7, o.8].into_iter().max().unwrap(),
            [s.0, s.1, s.2, s.3, s.4].into_iter().max().unwrap(),
        ];
        assert!(slowest[0] < OPERATOR_LIMIT && slowest[1] < SERVICE_LIMIT, "{slowest:?}");
        slowest
    }

    /// Checks that a login fails. Returns its duration.
    async fn time_to_login_unavailable(&self) -> Duration {
        let started = Instant::now();
        let response = self.log_in().await;
        assert!(response.headers().contains_key("retry-after"), "{response:?}");
        assert_eq!(response.status(), 503);
        started.elapsed()
    }

    async fn log_in(&self) -> reqwest::Response {
        let body = serde_json::json!({ "username": "admin", "password": "correct horse" });
        reqwest::Client::new().post(&self.login).json(&body).send().await.unwrap()
    }

    /// Waits until reads, writes and logins succeed. Returns the duration of the wait.
    async fn wait_for_recovery(&self, key: &str) -> Duration {
        let started = Instant::now();
        let served = async {
            while self.operator.order_view().id(self.order).send().await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
            let create =
                || self.service.order_create().x_idempotency_key(key).body(new_order(&[(self.product, 1)])).send();
            while create().await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
            while self.log_in().await.status() != 200 {
                sleep(Duration::from_millis(20)).await;
            }
            self.operator.readiness_view().send().await.unwrap();
        };
        timeout(RECOVERY_LIMIT, served).await.expect("the server recovers in time");
        started.elapsed()
    }
}

/// Checks that the call fails as unavailable. Returns its duration.
async fn time_to_unavailable<T: std::fmt::Debug>(
    call: impl Future<Output = Result<ResponseValue<T>, Error<types::Error>>>,
) -> Duration {
    let started = Instant::now();
    let error = expect_error(call.await);
    assert!(error.headers().contains_key("retry-after"), "{error:?}");
    assert_eq!((error.status().as_u16(), error.error_code.as_deref()), (503, Some("unavailable")));
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_database_is_reported_in_time_and_recovery_is_detected() {
    let mut system = System::start().await;
    for round in ["first", "second"] {
        system.database.kill().await;
        let [operator, service] = system.assert_unavailable().await;
        system.database.restart().await;
        let recovered = system.wait_for_recovery(round).await;
        println!("killed: operators failed within {operator:?}, services {service:?}; recovered within {recovered:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unresponsive_database_is_reported_in_time_and_recovery_is_detected() {
    let system = System::start().await;
    system.database.signal(Signal::SIGSTOP);
    let [operator, service] = system.assert_unavailable().await;
    system.database.signal(Signal::SIGCONT);
    let recovered = system.wait_for_recovery("k").await;
    println!("hung: operators failed within {operator:?}, services {service:?}; recovered within {recovered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_is_not_ready_while_the_database_is_read_only() {
    let system = System::start().await;
    let database = DatabaseSettings::from_url(&system.database.url).unwrap();
    let mut root = db::connect::open_unpooled(&database).await.unwrap();
    let ready = async || system.operator.readiness_view().send().await;
    for _ in 0..2 {
        assert_eq!(ready().await.unwrap().status, "ready");
        root.batch_execute("SET GLOBAL read_only = 1").await.unwrap();
        time_to_unavailable(ready()).await;
        root.batch_execute("SET GLOBAL read_only = 0").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn program_listens_once_it_has_reached_the_database_and_survives_outages() {
    let mut database = Database::start().await;
    database.kill().await;
    let url = database.url.clone();
    let env = env(&url, "http://127.0.0.1:1");
    let settings = ["DATABASE_URL", "CUSTOMERS_API_BASE", "JWT_SECRET", "SERVICE_TOKEN"]
        .map(|name| (name, env.get(name).unwrap()));
    let (program, ()) = tokio::join!(testing::Program::start(env!("CARGO_BIN_EXE_orders"), settings), async {
        database.refused.notified().await;
        database.restart().await;
    });
    let lines = program.lines();
    assert!(lines.iter().any(|line| line["message"] == "waiting for the database"), "{lines:#?}");
    let status = async |path: &str| {
        let response = reqwest::get(format!("{}{path}", program.base_url)).await.unwrap();
        response.status().as_u16()
    };
    assert_eq!((status("/health").await, status("/ready").await), (200, 200));
    database.kill().await;
    assert_eq!((status("/health").await, status("/ready").await), (200, 503));
}
