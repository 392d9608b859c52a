//! Connections that attackers hold open, and reopen when the server closes them.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Period over which the attackers start.
const ARRIVAL_PERIOD: Duration = Duration::from_secs(10);
/// Interval between two bytes that a slow sender sends.
const BYTE_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum delay before a closed connection is reopened. Random, so that attackers do not all reconnect at once.
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(2);
/// Size of the large body in bytes.
const HUGE: usize = 100_000_000;
const CHUNK: usize = 16 * 1024;

/// Technique for holding a connection open.
pub(super) struct Attack {
    pub(super) name: &'static str,
    attackers: usize,
    /// Bytes to send immediately after connecting.
    head: &'static str,
    /// Number of bytes per later write. Chunks are sent without delay, other data once per [`BYTE_INTERVAL`].
    piece: usize,
}

pub(super) const ATTACKS: [Attack; 4] = [
    Attack { name: "Idle", attackers: 1_000, head: "", piece: 0 },
    Attack { name: "SlowHead", attackers: 500, head: "GET /customers/1 HTTP/1.1\r\nHost: edge\r\nX-Slow: ", piece: 1 },
    Attack {
        name: "SlowBody",
        attackers: 500,
        head: "POST /auth/token HTTP/1.1\r\nHost: edge\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n",
        piece: 1,
    },
    // A 100 MB body without a Content-Length.
    Attack {
        name: "HugeBody",
        attackers: 1,
        head: "POST /auth/token HTTP/1.1\r\nHost: edge\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        piece: CHUNK,
    },
];

struct Connection {
    opened: Instant,
    /// Time at which the server closed the connection, or `None` while it is open.
    cut: Option<Instant>,
    sent: usize,
}

/// Summary of the connections of an attack.
#[derive(Default)]
pub(super) struct Holds {
    pub(super) opened: u64,
    /// Number of connections closed by the server.
    pub(super) cut: u64,
    pub(super) longest: Duration,
    pub(super) most_sent: usize,
}

pub(super) struct Attackers {
    /// Tasks that each return the index of their attack and their connections.
    tasks: JoinSet<(usize, Vec<Connection>)>,
    stop: watch::Sender<bool>,
    /// Channel that closes when every attacker has opened a connection.
    pub(super) arrivals: mpsc::Receiver<()>,
}

impl Attackers {
    /// Starts the attackers over 10 s, spread over the addresses, so that connections do not all close at once.
    pub(super) fn start(addresses: &[SocketAddr]) -> Self {
        let ((stop, stopping), (arriving, arrivals)) = (watch::channel(false), mpsc::channel(1));
        let mut tasks = JoinSet::new();
        for (index, attack) in ATTACKS.iter().enumerate() {
            for address in addresses.iter().copied().cycle().take(attack.attackers) {
                let (arriving, mut stopping) = (arriving.clone(), stopping.clone());
                tasks.spawn(async move {
                    let mut connections = Vec::new();
                    tokio::select! {
                        () = attack.repeat(address, arriving, &mut connections) => {}
                        _ = stopping.wait_for(|stop| *stop) => {}
                    }
                    (index, connections)
                });
            }
        }
        Self { tasks, stop, arrivals }
    }

    /// Stops the attackers and adds their connections, including open ones, to the summary of each attack.
    pub(super) async fn stop(self, holds: &mut [Holds; ATTACKS.len()]) {
        let now = Instant::now();
        self.stop.send_replace(true);
        for (attack, connections) in self.tasks.join_all().await {
            let holds = &mut holds[attack];
            for Connection { opened, cut, sent } in connections {
                holds.opened += 1;
                holds.cut += u64::from(cut.is_some());
                holds.longest = holds.longest.max(cut.unwrap_or(now) - opened);
                holds.most_sent = holds.most_sent.max(sent);
            }
        }
    }
}

impl Attack {
    /// Opens connections sequentially until the task is dropped. Drops `arriving` once the first connection is open.
    async fn repeat(&self, address: SocketAddr, arriving: mpsc::Sender<()>, connections: &mut Vec<Connection>) {
        let mut arriving = Some(arriving);
        let mut max_delay = ARRIVAL_PERIOD;
        loop {
            sleep(rand::random_range(Duration::ZERO..=max_delay)).await;
            max_delay = MAX_RECONNECT_DELAY;
            let Ok(stream) = TcpStream::connect(address).await else { continue };
            arriving.take();
            let index = connections.len();
            connections.push(Connection { opened: Instant::now(), cut: None, sent: 0 });
            self.hold(stream, &mut connections[index].sent).await;
            connections[index].cut = Some(Instant::now());
        }
    }

    /// Holds a connection open until the server closes it.
    async fn hold(&self, mut stream: TcpStream, sent: &mut usize) {
        let (mut response, mut request) = stream.split();
        let (piece, interval) = match self.piece {
            CHUNK => (format!("{CHUNK:x}\r\n{}\r\n", " ".repeat(CHUNK)), Duration::ZERO),
            length => ("a".repeat(length), BYTE_INTERVAL),
        };
        let send = async {
            let mut sending = request.write_all(self.head.as_bytes()).await;
            while sending.is_ok() && *sent < HUGE {
                sending = request.write_all(piece.as_bytes()).await;
                *sent += sending.as_ref().map_or(0, |()| piece.len());
                sleep(interval).await;
            }
            // All data was sent, or sending failed: wait until the server closes the connection.
            pending::<()>().await;
        };
        let mut buffer = [0; 1024];
        // Ignore responses, because the connection may stay open after a response.
        let read = async { while matches!(response.read(&mut buffer).await, Ok(1..)) {} };
        tokio::select! {
            () = send => {}
            () = read => {}
        }
    }
}
