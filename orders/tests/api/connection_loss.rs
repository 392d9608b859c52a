//! The connection to the database is lost in the worst moment: while a change is being committed.

use std::sync::{Arc, Mutex};

use orders_client::types::OrderStatus;
use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::books;
use crate::harness::{Harness, is_replay, new_order, refusal, refused};

/// When the connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// COMMIT is sent and does not arrive.
    BeforeCommit,
    /// COMMIT is carried out and its answer does not arrive.
    AfterCommit,
}

/// Stands between a server and its database, and cuts one connection on command.
pub(crate) struct Proxy {
    database_url: String,
    cut: Arc<Mutex<Option<Cut>>>,
}

impl Proxy {
    pub(crate) async fn start(database_url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let mut url = Url::parse(database_url).expect("the database has a URL");
        let database = format!("{}:{}", url.host_str().expect("a host"), url.port().unwrap_or(3306));
        let address = listener.local_addr().expect("an address");
        url.set_ip_host(address.ip()).expect("an address can be the host");
        url.set_port(Some(address.port())).expect("the URL takes a port");
        let cut = Arc::new(Mutex::new(None));
        tokio::spawn(accept(listener, database, Arc::clone(&cut)));
        Self { database_url: url.into(), cut }
    }

    pub(crate) fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Cuts the next connection on which COMMIT is sent.
    fn cut_next(&self, cut: Cut) {
        *self.cut.lock().unwrap() = Some(cut);
    }

    fn has_cut(&self) -> bool {
        self.cut.lock().unwrap().is_none()
    }
}

async fn accept(listener: TcpListener, database: String, cut: Arc<Mutex<Option<Cut>>>) {
    while let Ok((server, _)) = listener.accept().await {
        let (database, cut) = (database.clone(), Arc::clone(&cut));
        // Its error is a connection that ended.
        tokio::spawn(async move { forward(server, TcpStream::connect(database).await?, &cut).await });
    }
}

/// Forwards until one of the two hangs up, or until the connection is to be cut.
async fn forward(mut server: TcpStream, mut database: TcpStream, cut: &Mutex<Option<Cut>>) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = server.read(&mut asked) => {
                let statement = &asked[..read?];
                let commit = statement.windows(7).any(|bytes| bytes == b"\x03COMMIT");
                let due = if commit { cut.lock().unwrap().take() } else { None };
                if statement.is_empty() || due == Some(Cut::BeforeCommit) {
                    return Ok(());
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
async fn a_confirm_succeeds_and_happens_once() {
    for (cut, replayed) in [(Cut::BeforeCommit, false), (Cut::AfterCommit, true)] {
        let (harness, proxy) = Harness::behind_a_proxy().await;
        let a = harness.product("A", 10).await;
        let id = harness.order(&[(a, 1)]).await.id;
        proxy.cut_next(cut);
        let answer = harness.operator().order_confirm().id(id).x_idempotency_key("k").send().await.unwrap();
        assert!(proxy.has_cut(), "{cut:?}");
        assert_eq!(
            (answer.status, answer.version, is_replay(&answer)),
            (OrderStatus::Confirmed, 2, replayed),
            "{cut:?}"
        );
        books::check(&harness).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_under_a_key_succeeds_and_happens_once() {
    for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
        let (harness, proxy) = Harness::behind_a_proxy().await;
        let a = harness.product("A", 10).await;
        proxy.cut_next(cut);
        let create = || harness.operator().order_create().x_idempotency_key("k").body(new_order(&[(a, 4)])).send();
        let made = create().await.unwrap();
        assert!(proxy.has_cut(), "{cut:?}");
        assert_eq!(create().await.unwrap().into_inner(), made.into_inner());
        assert_eq!(harness.stock(a).await, 6, "{cut:?}");
        books::check(&harness).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_without_a_key_does_not_guess() {
    for (cut, stock) in [(Cut::BeforeCommit, 10), (Cut::AfterCommit, 6)] {
        let (harness, proxy) = Harness::behind_a_proxy().await;
        let a = harness.product("A", 10).await;
        proxy.cut_next(cut);
        let answer = harness.operator().order_create().body(new_order(&[(a, 4)])).send().await;
        assert_eq!(refusal(answer), refused(503, "outcome_unknown"), "{cut:?}");
        assert_eq!(harness.stock(a).await, stock, "{cut:?}");
        books::check(&harness).await;
    }
}
