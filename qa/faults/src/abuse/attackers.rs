//! Connections that are opened only to be held, and opened again when they are cut.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Within which the attackers come.
const ARRIVAL: Duration = Duration::from_secs(10);
/// Between two bytes of a slow sender.
const BETWEEN_BYTES: Duration = Duration::from_secs(1);
/// At most so long after a connection was cut it is opened again. They do not all come back at once.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// In bytes.
const HUGE: usize = 100_000_000;
const CHUNK: usize = 16 * 1024;

/// A way to hold a connection.
pub(super) struct Attack {
    pub(super) name: &'static str,
    /// How many do so at once.
    attackers: usize,
    /// What is sent first.
    head: &'static str,
    /// How many bytes are sent at a time after it: a chunk after the other without a pause, anything else slowly.
    piece: usize,
}

pub(super) const ATTACKS: [Attack; 4] = [
    Attack { name: "Idle", attackers: 1_000, head: "", piece: 0 },
    Attack { name: "SlowHead", attackers: 500, head: "GET /customers/1 HTTP/1.1\r\nHost: door\r\nX-Slow: ", piece: 1 },
    Attack {
        name: "SlowBody",
        attackers: 500,
        head: "POST /auth/token HTTP/1.1\r\nHost: door\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n",
        piece: 1,
    },
    // 100 MB, without saying how much it will be.
    Attack {
        name: "HugeBody",
        attackers: 1,
        head: "POST /auth/token HTTP/1.1\r\nHost: door\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        piece: CHUNK,
    },
];

/// A connection that was opened.
struct Connection {
    opened: Instant,
    /// When the other side ended it.
    cut: Option<Instant>,
    /// How many bytes it took.
    sent: usize,
}

/// What became of the connections of an attack.
#[derive(Default)]
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

/// All who hold a connection.
pub(super) struct Attackers {
    /// Each returns the place of its attack, and its connections.
    tasks: JoinSet<(usize, Vec<Connection>)>,
    stop: watch::Sender<bool>,
    /// Closed when each has had a connection.
    pub(super) arrivals: mpsc::Receiver<()>,
}

impl Attackers {
    /// They come within 10 s, the same share of them to each address. So they are not all cut in one moment either.
    pub(super) fn start(addresses: &[SocketAddr]) -> Self {
        let ((stop, stopping), (arriving, arrivals)) = (watch::channel(false), mpsc::channel(1));
        let mut tasks = JoinSet::new();
        for (place, attack) in ATTACKS.iter().enumerate() {
            for address in addresses.iter().copied().cycle().take(attack.attackers) {
                let (arriving, mut stopping) = (arriving.clone(), stopping.clone());
                tasks.spawn(async move {
                    let mut connections = Vec::new();
                    tokio::select! {
                        () = attack.repeat(address, arriving, &mut connections) => {}
                        _ = stopping.wait_for(|stop| *stop) => {}
                    }
                    (place, connections)
                });
            }
        }
        Self { tasks, stop, arrivals }
    }

    /// They give up, and their connections are added, in the order of the attacks. One that is given up counts, too.
    pub(super) async fn stop(self, fates: &mut [Fate; ATTACKS.len()]) {
        let now = Instant::now();
        self.stop.send_replace(true);
        for (place, connections) in self.tasks.join_all().await {
            let fate = &mut fates[place];
            for Connection { opened, cut, sent } in connections {
                fate.opened += 1;
                fate.cut += u64::from(cut.is_some());
                fate.longest = fate.longest.max(cut.unwrap_or(now) - opened);
                fate.most_sent = fate.most_sent.max(sent);
            }
        }
    }
}

impl Attack {
    /// Opens a connection again and again. `arriving` is dropped with the first.
    async fn repeat(&self, address: SocketAddr, arriving: mpsc::Sender<()>, connections: &mut Vec<Connection>) {
        let mut arriving = Some(arriving);
        let mut longest_pause = ARRIVAL;
        loop {
            sleep(rand::random_range(Duration::ZERO..=longest_pause)).await;
            longest_pause = LONGEST_PAUSE;
            let Ok(stream) = TcpStream::connect(address).await else { continue };
            arriving.take();
            let place = connections.len();
            connections.push(Connection { opened: Instant::now(), cut: None, sent: 0 });
            self.hold(stream, &mut connections[place].sent).await;
            connections[place].cut = Some(Instant::now());
        }
    }

    /// Returns when the other side ends the connection.
    async fn hold(&self, mut stream: TcpStream, sent: &mut usize) {
        let (mut answer, mut request) = stream.split();
        let (piece, between) = match self.piece {
            CHUNK => (format!("{CHUNK:x}\r\n{}\r\n", " ".repeat(CHUNK)), Duration::ZERO),
            length => ("a".repeat(length), BETWEEN_BYTES),
        };
        let send = async {
            let mut sending = request.write_all(self.head.as_bytes()).await;
            while sending.is_ok() && *sent < HUGE {
                sending = request.write_all(piece.as_bytes()).await;
                *sent += sending.as_ref().map_or(0, |()| piece.len());
                sleep(between).await;
            }
            // Who got rid of everything was not cut, and waits for what comes.
            pending::<()>().await;
        };
        let mut end = [0; 1024];
        // The answer may come before the end of the connection. Then it is held on.
        let read = async { while matches!(answer.read(&mut end).await, Ok(1..)) {} };
        tokio::select! {
            () = send => {}
            () = read => {}
        }
    }
}
