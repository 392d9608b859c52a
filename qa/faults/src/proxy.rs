//! TCP proxy that injects faults into the connections between two processes.
//!
//! A changed behaviour takes effect immediately, including on open connections.

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
/// Interval between attempts to listen on the proxy's port.
const LISTEN_RETRY_INTERVAL: Duration = Duration::from_millis(20);
const CHUNK: usize = 1 << 16;
/// MySQL packet of COMMIT: length, number, command, text. Last in its chunk, because the client awaits the response.
const COMMIT: &[u8] = b"\x07\0\0\0\x03COMMIT";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Behaviour {
    #[default]
    Pass,
    /// Resets all open connections once.
    Cut,
    /// Resets all connections and refuses new ones.
    Refuse,
    /// Delays all data by this duration, in both directions.
    Delay(Duration),
    /// Forwards this percentage of a response, then closes the connection.
    Truncate(usize),
    /// Accepts connections and withholds all data. At the end, forwards the data even if the sender has disconnected.
    BlackHole,
    /// Resets this many connections when they send COMMIT.
    CutAtCommit(CommitSide, u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommitSide {
    /// Reset before COMMIT reaches the server.
    Before,
    /// Reset after the server has executed COMMIT, but before its response reaches the client.
    After,
}

/// State shared by all connections of a proxy.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Address of the target. While it is `None`, the proxy refuses connections.
    target: Option<SocketAddr>,
    behaviour: Behaviour,
    /// Number of times that all connections were reset.
    cuts: u64,
    /// Numbers of connections reset before and after COMMIT.
    at_commit: [u32; 2],
}

impl State {
    fn accepts(&self) -> bool {
        self.target.is_some() && self.behaviour != Behaviour::Refuse
    }

    /// Returns at which point relative to COMMIT to reset the connection that sent this data, and counts the reset.
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
    /// Task that is aborted on drop.
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// Starts a proxy on a free port of 127.0.0.1. It refuses connections until a target is set.
    pub(crate) fn start() -> io::Result<Self> {
        let port = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = port.local_addr()?;
        let state = Arc::<watch::Sender<State>>::default();
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(port, address, Arc::clone(&state)));
        Ok(Self { address, state, _accepting: accepting })
    }

    /// Returns the address on which the proxy listens. The address never changes.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the target for new connections, which are refused if it is `None`. Open connections are not affected.
    pub(crate) fn set_target(&self, target: Option<SocketAddr>) {
        self.state.send_modify(|state| state.target = target);
    }

    pub(crate) fn set_behaviour(&self, behaviour: Behaviour) {
        self.state.send_modify(|state| {
            state.behaviour = behaviour;
            state.cuts += u64::from(matches!(behaviour, Behaviour::Cut | Behaviour::Refuse));
        });
    }

    /// Returns the numbers of connections reset before and after COMMIT.
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

/// Accepts connections unless they are refused. `_port` never listens: it reserves the port at other times.
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
            // Discard the results of closed connections.
            while connections.try_join_next().is_some() {}
        }
    }
}

/// Forwards data in both directions until one side closes the connection or the connection is reset.
async fn proxy_connection(mut client: TcpStream, state: Arc<watch::Sender<State>>) {
    let mut changes = state.subscribe();
    let cuts = changes.borrow().cuts;
    let mut server = None;
    let exchange = async {
        let target = wait_until_open(&mut state.subscribe()).await.target.ok_or(ErrorKind::ConnectionRefused)?;
        let server = server.insert(TcpStream::connect(target).await?);
        // Disable Nagle's algorithm, which would add delays to the scheduled ones.
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
                // No other data is in transit to the client, because it waits for this response.
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
    // A reset of one side also resets the other side.
    if end.is_err() {
        for stream in server.iter().chain([&client]) {
            // If this fails, the connection is closed normally, which is also a fault.
            let _ = stream.set_zero_linger();
        }
    }
}

/// Forwards data from one side until it closes, or until `length_to_forward` returns less than the length of a chunk.
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

/// Waits until data may be forwarded and the configured delay has elapsed, then returns the state.
async fn wait_until_open(changes: &mut watch::Receiver<State>) -> State {
    let open = changes.wait_for(|state| state.behaviour != Behaviour::BlackHole).await;
    // The channel cannot be closed, because the connection holds a sender.
    let state = open.map(|state| *state).unwrap_or_default();
    if let Behaviour::Delay(delay) = state.behaviour {
        sleep(delay).await;
    }
    state
}

#[cfg(test)]
mod tests;
