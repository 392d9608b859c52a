//! The connection to the database is lost in the worst moment: while a change is being committed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use client_common::Outbound;
use orders_client::Client;
use orders_client::types::OrderStatus;
use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::harness::{Harness, is_replay, new_order, operator_token, refusal, refused, refused_with};
use crate::invariants;

/// When the connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// COMMIT is sent and does not arrive.
    BeforeCommit,
    /// COMMIT is carried out and its answer does not arrive.
    AfterCommit,
    /// COMMIT is sent and kept back, until one of the two hangs up.
    Never,
    /// The server is hung up on, and COMMIT arrives when the test says so.
    Late,
}

/// Stands between a server and its database, and cuts one connection on command.
pub(crate) struct Proxy {
    database_url: String,
    wire: Arc<Wire>,
}

#[derive(Default)]
struct Wire {
    cut: Mutex<Option<Cut>>,
    /// Told when COMMIT is kept back.
    held: Notify,
    /// Lets a COMMIT arrive that is late.
    late: Notify,
    /// Whether new connections are closed at once.
    refuses: AtomicBool,
}

impl Proxy {
    pub(crate) async fn start(database_url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let mut url = Url::parse(database_url).expect("the database has a URL");
        let database = format!("{}:{}", url.host_str().expect("a host"), url.port().unwrap_or(3306));
        let address = listener.local_addr().expect("an address");
        url.set_ip_host(address.ip()).expect("an address can be the host");
        url.set_port(Some(address.port())).expect("the URL takes a port");
        let wire = Arc::new(Wire::default());
        tokio::spawn(accept(listener, database, Arc::clone(&wire)));
        Self { database_url: url.into(), wire }
    }

    pub(crate) fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Cuts the next connection on which COMMIT is sent.
    fn cut_next(&self, cut: Cut) {
        *self.wire.cut.lock().unwrap() = Some(cut);
    }

    /// Closes every new connection at once, or lets new ones through again.
    fn refuse(&self, refuses: bool) {
        self.wire.refuses.store(refuses, Ordering::Relaxed);
    }

    fn has_cut(&self) -> bool {
        self.wire.cut.lock().unwrap().is_none()
    }
}

async fn accept(listener: TcpListener, database: String, wire: Arc<Wire>) {
    while let Ok((server, _)) = listener.accept().await {
        if wire.refuses.load(Ordering::Relaxed) {
            continue;
        }
        let (database, wire) = (database.clone(), Arc::clone(&wire));
        // Its error is a connection that ended.
        tokio::spawn(async move { forward(server, TcpStream::connect(database).await?, &wire).await });
    }
}

/// Forwards until one of the two hangs up, or until the connection is to be cut.
async fn forward(mut server: TcpStream, mut database: TcpStream, wire: &Wire) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = server.read(&mut asked) => {
                let statement = &asked[..read?];
                let commit = statement.windows(7).any(|bytes| bytes == b"\x03COMMIT");
                let due = if commit { wire.cut.lock().unwrap().take() } else { None };
                if statement.is_empty() || due == Some(Cut::BeforeCommit) {
                    return Ok(());
                }
                if due == Some(Cut::Never) {
                    wire.held.notify_one();
                    return server.read(&mut asked).await.map(drop);
                }
                if due == Some(Cut::Late) {
                    drop(server);
                    wire.late.notified().await;
                    database.write_all(statement).await?;
                    return database.readable().await;
                }
                database.write_all(statement).await?;
                if due == Some(Cut::AfterCommit) {
                    // Any part of the answer says that it was carried out.
                    return database.readable().await;
                }
            }
            read = database.read(&mut answered) => {
                let answer = &answered[..read?];
                if answer.is_empty() {
                    return Ok(());
                }
                server.write_all(answer).await?;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn confirm_is_applied_once_if_the_connection_is_lost_at_commit() {
    for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
        let (harness, proxy) = Harness::behind_a_proxy().await;
        let a = harness.product("A", 10).await;
        let id = harness.order(&[(a, 1)]).await.id;
        proxy.cut_next(cut);
        let confirm = || harness.operator().order_confirm().id(id).x_idempotency_key("k").send();
        let answer = confirm().await.unwrap();
        assert!(proxy.has_cut(), "{cut:?}");
        assert!(!is_replay(&answer), "{cut:?}: no earlier request was answered like this");
        assert_eq!((answer.status, answer.version), (OrderStatus::Confirmed, 2), "{cut:?}");
        let again = confirm().await.unwrap();
        assert!(is_replay(&again), "{cut:?}");
        assert_eq!(again.into_inner(), answer.into_inner());
        invariants::check(&harness).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn create_is_applied_once_if_the_connection_is_lost_at_commit() {
    for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
        let (harness, proxy) = Harness::behind_a_proxy().await;
        let a = harness.product("A", 10).await;
        proxy.cut_next(cut);
        let create = || harness.service().order_create().x_idempotency_key("k").body(new_order(&[(a, 4)])).send();
        let made = create().await.unwrap();
        assert!(proxy.has_cut(), "{cut:?}");
        assert_eq!((made.status().as_u16(), is_replay(&made)), (201, false), "{cut:?}");
        let again = create().await.unwrap();
        assert!(is_replay(&again), "{cut:?}");
        assert_eq!(again.into_inner(), made.into_inner());
        assert_eq!(harness.stock(a).await, 6, "{cut:?}");
        invariants::check(&harness).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unresolved_commit_is_outcome_unknown_and_a_retry_resolves_it() {
    for (cut, happened) in [(Cut::BeforeCommit, false), (Cut::AfterCommit, true)] {
        let (harness, proxy) = Harness::behind_a_proxy().await;
        let a = harness.product("A", 10).await;
        let id = harness.order(&[(a, 1)]).await.id;
        let confirm = || harness.operator().order_confirm().id(id).x_idempotency_key("k").send();
        proxy.cut_next(cut);
        proxy.refuse(true);
        let error = refused_with(confirm().await);
        assert_eq!((error.status().as_u16(), error.error_code.as_deref()), (503, Some("outcome_unknown")), "{cut:?}");
        assert_eq!(error.headers()["retry-after"], "1");
        proxy.refuse(false);
        let answer = confirm().await.unwrap();
        assert_eq!((answer.version, is_replay(&answer)), (2, happened), "{cut:?}");
        invariants::check(&harness).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crashed_server_releases_its_row_locks() {
    let runtime = Runtime::new().unwrap();
    let (harness, proxy) = runtime.spawn(Harness::behind_a_proxy()).await.unwrap();
    let a = harness.product("A", 10).await;
    let id = harness.order(&[(a, 1)]).await.id;
    proxy.cut_next(Cut::Never);
    let confirm = harness.operator().order_confirm().id(id).x_idempotency_key("k").send();
    let dies = async {
        proxy.wire.held.notified().await;
        assert_eq!(harness.number("SELECT COUNT(*) AS n FROM orders FOR UPDATE SKIP LOCKED").await, 0);
        runtime.shutdown_background();
    };
    let (unanswered, ()) = tokio::join!(confirm, dies);
    assert!(unanswered.unwrap_err().status().is_none(), "nobody was left to answer");
    let restarted = harness.another_server();
    let outbound = Outbound::new().bearer(&operator_token("ann"));
    let client = Client::new_with_client(&restarted.base_url(), reqwest::Client::new(), outbound);
    let answer = client.order_confirm().id(id).x_idempotency_key("k").send().await.unwrap();
    assert_eq!((answer.status, answer.version, is_replay(&answer)), (OrderStatus::Confirmed, 2, false));
    invariants::check(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn create_without_a_key_is_outcome_unknown_after_an_ambiguous_commit() {
    for (cut, stock) in [(Cut::BeforeCommit, 10), (Cut::AfterCommit, 6)] {
        let (harness, proxy) = Harness::behind_a_proxy().await;
        let a = harness.product("A", 10).await;
        proxy.cut_next(cut);
        let answer = harness.operator().order_create().body(new_order(&[(a, 4)])).send().await;
        assert_eq!(refusal(answer), refused(503, "outcome_unknown"), "{cut:?}");
        assert_eq!(harness.stock(a).await, stock, "{cut:?}");
        invariants::check(&harness).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn delayed_commit_is_outcome_unknown() {
    let (harness, proxy) = Harness::behind_a_proxy().await;
    let a = harness.product("A", 10).await;
    proxy.cut_next(Cut::Late);
    let create = || harness.service().order_create().x_idempotency_key("k").body(new_order(&[(a, 4)])).send();
    assert_eq!(refusal(create().await), refused(503, "outcome_unknown"));
    proxy.wire.late.notify_one();
    harness.becomes("SELECT COUNT(*) AS n FROM orders", 1).await;
    assert!(is_replay(&create().await.unwrap()));
    assert_eq!(harness.stock(a).await, 6);
    invariants::check(&harness).await;
}
