//! Connections that are opened only to be held, and opened again when they are cut.

use std::collections::BTreeMap;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use harness::Service;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::replicas::System;

/// How many hold a connection at once, and how.
const ATTACKERS: [(Kind, usize); 4] =
    [(Kind::Idle, 1_000), (Kind::SlowHead, 500), (Kind::SlowBody, 500), (Kind::HugeBody, 1)];
/// Within which they come.
const ARRIVAL: Duration = Duration::from_secs(10);
/// Between two bytes of a slow sender.
const BETWEEN_BYTES: Duration = Duration::from_secs(1);
/// At most so long after a connection was cut it is opened again. They do not all come back at once.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// In bytes.
const HUGE: usize = 100_000_000;
const CHUNK: usize = 16 * 1024;

/// What somebody does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Nothing.
    Idle,
    /// Sends a header, one byte at a time.
    SlowHead,
    /// Sends a body, one byte at a time.
    SlowBody,
    /// Sends 100 MB in chunks, without saying how much it will be.
    HugeBody,
}

/// What became of the connections of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fate {
    /// How many were opened.
    pub(super) opened: u64,
    /// How many the other side ended.
    pub(super) cut: u64,
    /// The longest that one was held.
    pub(super) longest: Duration,
    /// The most bytes that one got rid of.
    pub(super) most_sent: usize,
}

/// What became of all connections.
#[derive(Clone, Default)]
pub(super) struct Held(BTreeMap<Kind, Fate>);

impl Held {
    pub(super) fn add(&mut self, other: &Self) {
        for (kind, fate) in &other.0 {
            let sum = self.0.entry(*kind).or_default();
            sum.opened += fate.opened;
            sum.cut += fate.cut;
            sum.longest = sum.longest.max(fate.longest);
            sum.most_sent = sum.most_sent.max(fate.most_sent);
        }
    }

    pub(super) fn fates(&self) -> impl Iterator<Item = (Kind, Fate)> {
        self.0.iter().map(|(kind, fate)| (*kind, *fate))
    }
}

/// Everybody who holds a connection.
pub(super) struct Attackers {
    tasks: JoinSet<()>,
    tally: Arc<Tally>,
}

#[derive(Default)]
struct Tally {
    held: Mutex<Held>,
    /// Who has opened a connection at least once.
    begun: AtomicUsize,
}

impl Attackers {
    /// They come within 10 s, half of them to customers, half to orders. So they are not all cut in one moment either.
    pub(super) fn start(system: &System) -> Self {
        let public = system.public().filter(|(service, _)| *service != Service::Orchestrator);
        let addresses = Vec::from_iter(public.map(|(_, address)| address));
        let tally = Arc::<Tally>::default();
        let mut tasks = JoinSet::new();
        for (kind, count) in ATTACKERS {
            for address in addresses.iter().cycle().take(count) {
                tasks.spawn(attack(kind, *address, tally.clone()));
            }
        }
        Self { tasks, tally }
    }

    /// Returns when each of them has had a connection.
    pub(super) async fn all_hold(&self) {
        while self.tally.begun.load(Ordering::Relaxed) < self.tasks.len() {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// They give up, and what they had is told.
    pub(super) async fn stop(mut self) -> Held {
        self.tasks.shutdown().await;
        self.tally.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Tally {
    fn note(&self, kind: Kind, note: impl FnOnce(&mut Fate)) {
        note(self.held.lock().unwrap_or_else(PoisonError::into_inner).0.entry(kind).or_default());
    }
}

/// A connection while it is held. One that is given up counts, too.
struct Connection<'t> {
    kind: Kind,
    tally: &'t Tally,
    opened: Instant,
    sent: usize,
}

impl<'t> Connection<'t> {
    fn opened(kind: Kind, tally: &'t Tally) -> Self {
        tally.note(kind, |fate| fate.opened += 1);
        Self { kind, tally, opened: Instant::now(), sent: 0 }
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.tally.note(self.kind, |fate| {
            fate.longest = fate.longest.max(self.opened.elapsed());
            fate.most_sent = fate.most_sent.max(self.sent);
        });
    }
}

async fn attack(kind: Kind, address: SocketAddr, tally: Arc<Tally>) {
    sleep(rand::random_range(Duration::ZERO..=ARRIVAL)).await;
    let mut begun = false;
    loop {
        let Ok(stream) = TcpStream::connect(address).await else {
            pause().await;
            continue;
        };
        if !begun {
            begun = true;
            tally.begun.fetch_add(1, Ordering::Relaxed);
        }
        let mut connection = Connection::opened(kind, &tally);
        let (mut answer, mut request) = stream.into_split();
        let mut end = [0; 1024];
        tokio::select! {
            // Who got rid of everything was not cut, and waits for what comes.
            () = async { hold(kind, &mut request, &mut connection.sent).await; pending().await } => {}
            // The answer may come before the end of the connection. Then it is held on.
            () = async { while matches!(answer.read(&mut end).await, Ok(1..)) {} } => {}
        }
        tally.note(kind, |fate| fate.cut += 1);
        drop(connection);
        pause().await;
    }
}

async fn pause() {
    sleep(rand::random_range(Duration::ZERO..=LONGEST_PAUSE)).await;
}

/// Returns when nothing more can be sent.
async fn hold(kind: Kind, request: &mut OwnedWriteHalf, sent: &mut usize) {
    let head = match kind {
        Kind::Idle => return pending().await,
        Kind::SlowHead => "GET /customers/1 HTTP/1.1\r\nHost: door\r\nX-Slow: ",
        Kind::SlowBody => {
            "POST /auth/token HTTP/1.1\r\nHost: door\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
        }
        Kind::HugeBody => {
            "POST /auth/token HTTP/1.1\r\nHost: door\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        }
    };
    let (piece, between) = match kind {
        Kind::HugeBody => (format!("{CHUNK:x}\r\n{}\r\n", " ".repeat(CHUNK)), Duration::ZERO),
        _ => ("a".to_owned(), BETWEEN_BYTES),
    };
    if request.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    while *sent < HUGE && request.write_all(piece.as_bytes()).await.is_ok() {
        *sent += piece.len();
        sleep(between).await;
    }
}
