//! Loss of the database connection during COMMIT.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use client_common::Outbound;
use orders_client::Client;
use orders_client::types::OrderStatus;
use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::harness::{Harness, api_error, error_of, expect_error, is_replay, new_order, operator_token};
use crate::invariants;

/// Fault to inject into the next COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The connection is cut before COMMIT reaches the database.
    LoseCommit,
    /// COMMIT is executed, and the connection is cut before the server receives the response.
    LoseCommitResponse,
    /// COMMIT is held back until the server closes the connection.
    HoldCommit,
    /// The connection to the server is cut, and COMMIT reaches the database when the test releases it.
    DelayCommit,
}

/// Proxy between a server and its database that injects a fault into one COMMIT.
pub(crate) struct Proxy {
    database_url: String,
    state: Arc<ProxyState>,
}

#[derive(Default)]
struct ProxyState {
    fault: Mutex<Option<Fault>>,
    /// Notified when COMMIT is held back.
    held: Notify,
    /// Releases a delayed COMMIT.
    release: Notify,
    /// Whether new connections are closed immediately.
    refuses_connections: AtomicBool,
    /// Round trips from BEGIN to COMMIT of the last transaction that was committed.
    round_trips: AtomicUsize,
}

impl Proxy {
    pub(crate) async fn start(database_url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let mut url = Url::parse(database_url).expect("the database has a URL");
        let database = format!("{}:{}", url.host_str().expect("a host"), url.port().unwrap_or(3306));
        let address = listener.local_addr().expect("an address");
        url.set_ip_host(address.ip()).expect("an address can be the host");
        url.set_port(Some(address.port())).expect("the URL takes a port");
        let state = Arc::new(ProxyState::default());
        tokio::spawn(accept(listener, database, Arc::clone(&state)));
        Self { database_url: url.into(), state }
    }

    pub(crate) fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Injects the fault into the next COMMIT.
    fn inject(&self, fault: Fault) {
        *self.state.fault.lock().unwrap() = Some(fault);
    }

    /// Sets whether new connections are closed immediately.
    fn refuse_connections(&self, refuse: bool) {
        self.state.refuses_connections.store(refuse, Ordering::Relaxed);
    }

    /// Returns the number of round trips of the last transaction that was committed, with BEGIN and COMMIT.
    pub(crate) fn round_trips(&self) -> usize {
        self.state.round_trips.load(Ordering::Relaxed)
    }

    fn is_injected(&self) -> bool {
        self.state.fault.lock().unwrap().is_none()
    }
}

async fn accept(listener: TcpListener, database: String, state: Arc<ProxyState>) {
    while let Ok((server, _)) = listener.accept().await {
        if state.refuses_connections.load(Ordering::Relaxed) {
            continue;
        }
        let (database, state) = (database.clone(), Arc::clone(&state));
        // An error only means that the connection has ended.
        tokio::spawn(async move { forward(server, TcpStream::connect(database).await?, &state).await });
    }
}

/// Forwards data until one side closes the connection or the fault must be injected.
async fn forward(mut server: TcpStream, mut database: TcpStream, state: &ProxyState) -> std::io::Result<()> {
    let (mut request, mut reply) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let (mut round_trips, mut is_answered) = (0, true);
    loop {
        tokio::select! {
            read = server.read(&mut request) => {
                let statement = &request[..read?];
                let commit = statement.windows(7).any(|bytes| bytes == b"\x03COMMIT");
                if statement.windows(6).any(|bytes| bytes == b"\x03BEGIN") {
                    round_trips = 0;
                }
                // A statement can arrive in several parts.
                round_trips += usize::from(mem::replace(&mut is_answered, false));
                if commit {
                    state.round_trips.store(round_trips, Ordering::Relaxed);
                }
                let injected = if commit { state.fault.lock().unwrap().take() } else { None };
                if statement.is_empty() || injected == Some(Fault::LoseCommit) {
                    return Ok(());
                }
                if injected == Some(Fault::HoldCommit) {
                    state.held.notify_one();
                    return server.read(&mut request).await.map(drop);
                }
                if injected == Some(Fault::DelayCommit) {
                    drop(server);
                    state.release.notified().await;
                    database.write_all(statement).await?;
                    return database.readable().await;
                }
                database.write_all(statement).await?;
                if injected == Some(Fault::LoseCommitResponse) {
                    // Any byte of the response means that COMMIT was executed.
                    return database.readable().await;
                }
            }
            read = database.read(&mut reply) => {
                let response = &reply[..read?];
                is_answered = true;
                if response.is_empty() {
                    return Ok(());
                }
                server.write_all(response).await?;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn confirm_is_applied_once_if_the_connection_is_lost_at_commit() {
    for fault in [Fault::LoseCommit, Fault::LoseCommitResponse] {
        let (harness, proxy) = Harness::with_proxy().await;
        let a = harness.product("A", 10).await;
        let id = harness.order(&[(a, 1)]).await.id;
        proxy.inject(fault);
        let confirm = || harness.operator().order_confirm().id(id).x_idempotency_key("k").send();
        let response = confirm().await.unwrap();
        assert!(proxy.is_injected(), "{fault:?}");
        assert!(!is_replay(&response), "{fault:?}: it is the first response to this key");
        assert_eq!((response.status, response.version), (OrderStatus::Confirmed, 2), "{fault:?}");
        let retry = confirm().await.unwrap();
        assert!(is_replay(&retry), "{fault:?}");
        assert_eq!(retry.into_inner(), response.into_inner());
        invariants::check(&harness).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn create_is_applied_once_if_the_connection_is_lost_at_commit() {
    for fault in [Fault::LoseCommit, Fault::LoseCommitResponse] {
        let (harness, proxy) = Harness::with_proxy().await;
        let a = harness.product("A", 10).await;
        proxy.inject(fault);
        let create = || harness.service().order_create().x_idempotency_key("k").body(new_order(&[(a, 4)])).send();
        let created = create().await.unwrap();
        assert!(proxy.is_injected(), "{fault:?}");
        assert_eq!((created.status().as_u16(), is_replay(&created)), (201, false), "{fault:?}");
        let retry = create().await.unwrap();
        assert!(is_replay(&retry), "{fault:?}");
        assert_eq!(retry.into_inner(), created.into_inner());
        assert_eq!(harness.stock(a).await, 6, "{fault:?}");
        invariants::check(&harness).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unresolved_commit_is_outcome_unknown_and_a_retry_resolves_it() {
    for (fault, happened) in [(Fault::LoseCommit, false), (Fault::LoseCommitResponse, true)] {
        let (harness, proxy) = Harness::with_proxy().await;
        let a = harness.product("A", 10).await;
        let id = harness.order(&[(a, 1)]).await.id;
        let confirm = || harness.operator().order_confirm().id(id).x_idempotency_key("k").send();
        proxy.inject(fault);
        proxy.refuse_connections(true);
        let error = expect_error(confirm().await);
        assert_eq!((error.status().as_u16(), error.error_code.as_deref()), (503, Some("outcome_unknown")), "{fault:?}");
        assert_eq!(error.headers()["retry-after"], "1");
        proxy.refuse_connections(false);
        let response = confirm().await.unwrap();
        assert_eq!((response.version, is_replay(&response)), (2, happened), "{fault:?}");
        invariants::check(&harness).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crashed_server_releases_its_row_locks() {
    let runtime = Runtime::new().unwrap();
    let (harness, proxy) = runtime.spawn(Harness::with_proxy()).await.unwrap();
    let a = harness.product("A", 10).await;
    let id = harness.order(&[(a, 1)]).await.id;
    proxy.inject(Fault::HoldCommit);
    let confirm = harness.operator().order_confirm().id(id).x_idempotency_key("k").send();
    let crash = async {
        proxy.state.held.notified().await;
        assert_eq!(harness.number("SELECT COUNT(*) AS n FROM orders FOR UPDATE SKIP LOCKED").await, 0);
        runtime.shutdown_background();
    };
    let (unanswered, ()) = tokio::join!(confirm, crash);
    assert!(unanswered.unwrap_err().status().is_none(), "the server no longer runs");
    let restarted = harness.start_server();
    let outbound = Outbound::new().bearer(&operator_token("ann"));
    let client = Client::new_with_client(&restarted.base_url(), reqwest::Client::new(), outbound);
    let response = client.order_confirm().id(id).x_idempotency_key("k").send().await.unwrap();
    assert_eq!((response.status, response.version, is_replay(&response)), (OrderStatus::Confirmed, 2, false));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn create_without_a_key_is_outcome_unknown_after_an_ambiguous_commit() {
    for (fault, stock) in [(Fault::LoseCommit, 10), (Fault::LoseCommitResponse, 6)] {
        let (harness, proxy) = Harness::with_proxy().await;
        let a = harness.product("A", 10).await;
        proxy.inject(fault);
        let response = harness.operator().order_create().body(new_order(&[(a, 4)])).send().await;
        assert_eq!(error_of(response), api_error(503, "outcome_unknown"), "{fault:?}");
        assert_eq!(harness.stock(a).await, stock, "{fault:?}");
        invariants::check(&harness).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn delayed_commit_is_outcome_unknown() {
    let (harness, proxy) = Harness::with_proxy().await;
    let a = harness.product("A", 10).await;
    proxy.inject(Fault::DelayCommit);
    let create = || harness.service().order_create().x_idempotency_key("k").body(new_order(&[(a, 4)])).send();
    assert_eq!(error_of(create().await), api_error(503, "outcome_unknown"));
    proxy.state.release.notify_one();
    harness.wait_for("SELECT COUNT(*) AS n FROM orders", 1).await;
    assert!(is_replay(&create().await.unwrap()));
    assert_eq!(harness.stock(a).await, 6);
    invariants::check(&harness).await;
}
