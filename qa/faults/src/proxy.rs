//! TCP proxy that injects faults into the connections between two programs.
//!
//! A new behaviour takes effect at once, also for open connections.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

const BACKLOG: u32 = 1024;
/// Interval between attempts to listen on the proxy's port again.
const LISTEN_RETRY_INTERVAL: Duration = Duration::from_millis(20);
const CHUNK: usize = 1 << 16;
/// Packet of a MySQL client with the query COMMIT: length, sequence number, command and text. The client waits for the
/// response, so the packet is always the last one in a chunk.
const COMMIT: &[u8] = b"\x07\0\0\0\x03COMMIT";

/// Behaviour of the proxy towards connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Forwards everything.
    #[default]
    Pass,
    /// Resets all open connections, once.
    Cut,
    /// Resets all connections and refuses new ones.
    Refuse,
    /// Delays all data by this much, in both directions.
    Delay(Duration),
    /// Forwards this percentage of a response, then closes the connection.
    Truncate(usize),
    /// Accepts new connections, but forwards nothing until this behaviour ends. Then all data arrives, even if its
    /// sender is gone.
    BlackHole,
    /// Resets this many connections at their COMMIT.
    CutAtCommit(CommitSide, u32),
}

/// When a connection is cut, relative to its COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommitSide {
    /// COMMIT is sent, but does not arrive.
    Before,
    /// COMMIT is executed, but its response does not arrive.
    After,
}

/// State shared by all connections of a proxy.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Address to connect to. Connections are refused while it is `None`.
    target: Option<SocketAddr>,
    behaviour: Behaviour,
    /// Number of times that all connections were cut.
    cuts: u64,
    /// Number of connections cut before and after COMMIT.
    at_commit: [u32; 2],
}

impl State {
    fn accepts(&self) -> bool {
        self.target.is_some() && self.behaviour != Behaviour::Refuse
    }

    /// Decides whether to cut the connection on which this was sent, and on which side of COMMIT. Counts the cut.
    fn take_commit_cut(&mut self, sent: &[u8]) -> Option<CommitSide> {
        let Behaviour::CutAtCommit(side, remaining) = self.behaviour else { return None };
        if !sent.ends_with(COMMIT) {
            return None;
        }
        self.behaviour = if remaining > 1 { Behaviour::CutAtCommit(side, remaining - 1) } else { Behaviour::Pass };
        self.at_commit[side as usize] += 1;
        Some(side)
    }
}

/// Running proxy. Dropping it closes all its connections.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    /// Aborted when dropped.
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// Starts a proxy on a free port of 127.0.0.1, which refuses connections until a target is set.
    pub(crate) fn start() -> io::Result<Self> {
        let port = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = port.local_addr()?;
        let state = Arc::<watch::Sender<State>>::default();
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(port, address, Arc::clone(&state)));
        Ok(Self { address, state, _accepting: accepting })
    }

    /// The address that the proxy listens on. It never changes.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the target of new connections; with `None` they are refused. Open connections stay.
    pub(crate) fn set_target(&self, target: Option<SocketAddr>) {
        self.state.send_modify(|state| state.target = target);
    }

    /// Sets the behaviour towards all connections.
    pub(crate) fn set_behaviour(&self, behaviour: Behaviour) {
        self.state.send_modify(|state| {
            state.behaviour = behaviour;
            state.cuts += u64::from(matches!(behaviour, Behaviour::Cut | Behaviour::Refuse));
        });
    }

    /// Returns the number of connections cut before and after COMMIT.
    pub(crate) fn cut_at_commit(&self) -> [u32; 2] {
        self.state.borrow().at_commit
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Listens whenever connections are not refused. `_port` never listens: it reserves the port in the meantime.
async fn accept(_port: TcpSocket, address: SocketAddr, state: Arc<watch::Sender<State>>) {
    let (mut connections, mut changes) = (JoinSet::new(), state.subscribe());
    while changes.wait_for(State::accepts).await.is_ok() {
        let Ok(listener) = bind(address).and_then(|socket| socket.listen(BACKLOG)) else {
            sleep(LISTEN_RETRY_INTERVAL).await;
            continue;
        };
        let mut refused = std::pin::pin!(async { changes.wait_for(|state| !state.accepts()).await.is_ok() });
        loop {
            tokio::select! {
                _ = &mut refused => break,
                client = listener.accept() => if let Ok((client, _)) = client {
                    connections.spawn(proxy_connection(client, Arc::clone(&state)));
                },
            }
            // Drop the results of closed connections.
            while connections.try_join_next().is_some() {}
        }
    }
}

/// Forwards data in both directions until one side closes the connection or it is cut.
async fn proxy_connection(mut client: TcpStream, state: Arc<watch::Sender<State>>) {
    let mut changes = state.subscribe();
    let cuts = changes.borrow().cuts;
    let mut server = None;
    let exchange = async {
        let target = wait_until_open(&mut state.subscribe()).await.target.ok_or(ErrorKind::ConnectionRefused)?;
        let server = server.insert(TcpStream::connect(target).await?);
        // Nagle's algorithm would add delays to those of the schedule.
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let withhold = AtomicBool::new(false);
        let request_length = |sent: &[u8], _| {
            let mut side = None;
            state.send_if_modified(|state| {
                side = state.take_commit_cut(sent);
                side.is_some()
            });
            match side {
                Some(CommitSide::Before) => return Err(ErrorKind::ConnectionReset),
                // No other data is on its way to the client, which waits for this response.
                Some(CommitSide::After) => withhold.store(true, Ordering::SeqCst),
                None => {}
            }
            Ok(sent.len())
        };
        let response_length = |sent: &[u8], behaviour| match behaviour {
            _ if withhold.load(Ordering::SeqCst) => Err(ErrorKind::ConnectionReset),
            Behaviour::Truncate(percent) => Ok(sent.len() * percent / 100),
            _ => Ok(sent.len()),
        };
        tokio::select! {
            end = forward(from_client, to_server, state.subscribe(), request_length) => end,
            end = forward(from_server, to_client, state.subscribe(), response_length) => end,
        }
    };
    let end = tokio::select! {
        _ = changes.wait_for(|state| state.cuts != cuts) => Err(ErrorKind::ConnectionReset.into()),
        end = exchange => end,
    };
    // A reset on one side also resets the other.
    if end.is_err() {
        for stream in server.iter().chain([&client]) {
            // If this fails, the connection is closed normally, which is also a fault.
            let _ = stream.set_zero_linger();
        }
    }
}

/// Forwards the data of one side until it closes, or until `length_to_forward` is less than the length of a chunk.
async fn forward(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut changes: watch::Receiver<State>,
    length_to_forward: impl Fn(&[u8], Behaviour) -> Result<usize, ErrorKind>,
) -> io::Result<()> {
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        chunk.clear();
        from.read_buf(&mut chunk).await?;
        let State { behaviour, .. } = wait_until_open(&mut changes).await;
        let length = if chunk.is_empty() { 0 } else { length_to_forward(&chunk, behaviour)? };
        to.write_all(&chunk[..length]).await?;
        if length < chunk.len() || chunk.is_empty() {
            return Ok(());
        }
    }
}

/// Waits until data may be forwarded, including the delay, and returns the state.
async fn wait_until_open(changes: &mut watch::Receiver<State>) -> State {
    let open = changes.wait_for(|state| state.behaviour != Behaviour::BlackHole).await;
    // There is no error, since the connection holds a sender.
    let state = open.map(|state| *state).unwrap_or_default();
    if let Behaviour::Delay(delay) = state.behaviour {
        sleep(delay).await;
    }
    state
}

#[cfg(test)]
mod tests;
