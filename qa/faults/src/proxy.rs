//! A TCP proxy that stands between two programs and disturbs their connections.
//!
//! A new behaviour takes effect at once, for open connections as well.

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
/// Between two attempts to listen on the own port again.
const AGAIN: Duration = Duration::from_millis(20);
const CHUNK: usize = 1 << 16;
/// How the last packet of a MySQL client reads when it has the text COMMIT for a query: length, number, command and text. A
/// client waits for the answer, so nothing is sent after it.
const COMMIT: &[u8] = b"\x07\0\0\0\x03COMMIT";

/// What happens to connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Nothing.
    #[default]
    Pass,
    /// All are reset, once.
    Cut,
    /// All are reset, and new ones refused.
    Refuse,
    /// Whatever is sent arrives so much later, in both directions.
    Delay(Duration),
    /// Of an answer so many percent arrive, then the connection is closed.
    Truncate(usize),
    /// New ones are accepted, and nothing is passed on before this is over. Then what was sent arrives after all,
    /// even if its sender has gone.
    BlackHole,
    /// So many are reset while they commit.
    CutAtCommit(CommitSide, u32),
}

/// On which side of COMMIT a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommitSide {
    /// COMMIT is sent and does not arrive.
    Before,
    /// COMMIT is carried out and its answer does not arrive.
    After,
}

/// The state that all connections of a proxy share.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Where connections go. While there is nothing, they are refused.
    target: Option<SocketAddr>,
    behaviour: Behaviour,
    /// How often all connections were cut.
    cuts: u64,
    /// How many connections were cut before and after COMMIT.
    at_commit: [u32; 2],
}

impl State {
    fn accepts(&self) -> bool {
        self.target.is_some() && self.behaviour != Behaviour::Refuse
    }

    /// On which side of COMMIT the connection is to be cut on which this was sent, if it is. It counts as cut from now on.
    fn take_commit(&mut self, sent: &[u8]) -> Option<CommitSide> {
        let Behaviour::CutAtCommit(side, left) = self.behaviour else { return None };
        if !sent.ends_with(COMMIT) {
            return None;
        }
        self.behaviour = if left > 1 { Behaviour::CutAtCommit(side, left - 1) } else { Behaviour::Pass };
        self.at_commit[side as usize] += 1;
        Some(side)
    }
}

/// A running proxy. Dropping it ends it and its connections.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    /// Ends when it is dropped.
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// Takes a free port on 127.0.0.1, which refuses connections until there is a target.
    pub(crate) fn start() -> io::Result<Self> {
        let port = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = port.local_addr()?;
        let state = Arc::<watch::Sender<State>>::default();
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(port, address, Arc::clone(&state)));
        Ok(Self { address, state, _accepting: accepting })
    }

    /// Where it listens. This never changes.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends new connections there; with nothing they are refused. Open ones stay.
    pub(crate) fn set_target(&self, target: Option<SocketAddr>) {
        self.state.send_modify(|state| state.target = target);
    }

    /// Does this to all connections from now on.
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.state.send_modify(|state| {
            state.behaviour = behaviour;
            state.cuts += u64::from(matches!(behaviour, Behaviour::Cut | Behaviour::Refuse));
        });
    }

    /// How many connections were cut before and after COMMIT.
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

/// Listens whenever connections are not refused. `_port` never listens: it keeps the port meanwhile.
async fn accept(_port: TcpSocket, address: SocketAddr, state: Arc<watch::Sender<State>>) {
    let (mut connections, mut changes) = (JoinSet::new(), state.subscribe());
    while changes.wait_for(State::accepts).await.is_ok() {
        let Ok(listener) = bind(address).and_then(|socket| socket.listen(BACKLOG)) else {
            sleep(AGAIN).await;
            continue;
        };
        let mut refused = std::pin::pin!(async { changes.wait_for(|state| !state.accepts()).await.is_ok() });
        loop {
            tokio::select! {
                _ = &mut refused => break,
                client = listener.accept() => if let Ok((client, _)) = client {
                    connections.spawn(carry(client, Arc::clone(&state)));
                },
            }
            // Those that have ended are forgotten.
            while connections.try_join_next().is_some() {}
        }
    }
}

/// Carries a connection to the target and back until one side ends it or it is cut.
async fn carry(mut client: TcpStream, state: Arc<watch::Sender<State>>) {
    let mut changes = state.subscribe();
    let cuts = changes.borrow().cuts;
    let mut server = None;
    let exchange = async {
        let target = gate(&mut state.subscribe()).await.target.ok_or(ErrorKind::ConnectionRefused)?;
        let server = server.insert(TcpStream::connect(target).await?);
        // The delays are to be those of the schedule.
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let withhold = AtomicBool::new(false);
        let ask = |sent: &[u8], _| {
            let mut side = None;
            state.send_if_modified(|state| {
                side = state.take_commit(sent);
                side.is_some()
            });
            match side {
                Some(CommitSide::Before) => return Err(ErrorKind::ConnectionReset),
                // Nothing is on its way to the client: it waits for this answer.
                Some(CommitSide::After) => withhold.store(true, Ordering::SeqCst),
                None => {}
            }
            Ok(sent.len())
        };
        let answer = |sent: &[u8], behaviour| match behaviour {
            _ if withhold.load(Ordering::SeqCst) => Err(ErrorKind::ConnectionReset),
            Behaviour::Truncate(percent) => Ok(sent.len() * percent / 100),
            _ => Ok(sent.len()),
        };
        tokio::select! {
            end = pass_on(from_client, to_server, state.subscribe(), ask) => end,
            end = pass_on(from_server, to_client, state.subscribe(), answer) => end,
        }
    };
    let end = tokio::select! {
        _ = changes.wait_for(|state| state.cuts != cuts) => Err(ErrorKind::ConnectionReset.into()),
        end = exchange => end,
    };
    // A side that was reset resets the other.
    if end.is_err() {
        for stream in server.iter().chain([&client]) {
            // Without it the connection is closed in order, which is a fault as well.
            let _ = stream.set_zero_linger();
        }
    }
}

/// Passes on what one side sends until it ends, or until less than all of it is `to_pass`.
async fn pass_on(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut changes: watch::Receiver<State>,
    to_pass: impl Fn(&[u8], Behaviour) -> Result<usize, ErrorKind>,
) -> io::Result<()> {
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        chunk.clear();
        from.read_buf(&mut chunk).await?;
        let State { behaviour, .. } = gate(&mut changes).await;
        let length = if chunk.is_empty() { 0 } else { to_pass(&chunk, behaviour)? };
        to.write_all(&chunk[..length]).await?;
        if length < chunk.len() || chunk.is_empty() {
            return Ok(());
        }
    }
}

/// Returns when something may be sent on, with the state of then.
async fn gate(changes: &mut watch::Receiver<State>) -> State {
    let open = changes.wait_for(|state| state.behaviour != Behaviour::BlackHole).await;
    // The connection has a sender of its own, so there is no error.
    let state = open.map(|state| *state).unwrap_or_default();
    if let Behaviour::Delay(delay) = state.behaviour {
        sleep(delay).await;
    }
    state
}

#[cfg(test)]
mod tests;
