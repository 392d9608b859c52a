//! A TCP proxy that stands between two programs and does to their connections what it is told.
//!
//! What is told takes effect at once, for connections that are open as well. What one connection goes through is in
//! `connection`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::connection;
use crate::mysql::Commits;

const BACKLOG: u32 = 1024;
/// Between two attempts to get the own port back.
const AGAIN: Duration = Duration::from_millis(20);

/// What happens to connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Nothing.
    #[default]
    Pass,
    /// New ones are refused.
    Refuse,
    /// Whatever is sent arrives so much later.
    Delay(Duration),
    /// Of an answer so many percent arrive, then the connection is closed.
    Truncate(usize),
    /// New ones are accepted, and nothing is passed on before this is over. Then what was sent arrives after all,
    /// even if its sender has gone.
    BlackHole,
}

/// What a proxy was told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Orders {
    /// Where connections go. While there is nothing, they are refused.
    pub(crate) target: Option<SocketAddr>,
    /// What happens to them.
    pub(crate) behaviour: Behaviour,
    /// How often all of them were cut.
    pub(crate) cuts: u64,
}

impl Orders {
    fn accepts(&self) -> bool {
        self.target.is_some() && self.behaviour != Behaviour::Refuse
    }
}

/// A running proxy. Dropping it ends it and its connections.
pub(crate) struct Proxy {
    address: SocketAddr,
    orders: watch::Sender<Orders>,
    commits: Arc<Commits>,
    accepting: JoinHandle<()>,
}

/// What is spoken on a proxy's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Bytes.
    Any,
    /// That of MySQL, so that COMMIT is seen.
    MySql,
}

impl Proxy {
    /// Takes a free port on 127.0.0.1, which refuses connections until there is a target.
    ///
    /// # Errors
    ///
    /// Where no port can be had.
    pub(crate) fn start(protocol: Protocol) -> io::Result<Self> {
        let socket = reserve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = socket.local_addr()?;
        let (orders, told) = watch::channel(Orders::default());
        let commits = Arc::new(Commits::default());
        let watched = (protocol == Protocol::MySql).then(|| Arc::clone(&commits));
        let accepting = tokio::spawn(accept(address, socket, told, watched));
        Ok(Self { address, orders, commits, accepting })
    }

    /// Where it listens. This never changes.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends new connections there; with nothing they are refused. Open ones stay.
    pub(crate) fn set_target(&self, target: Option<SocketAddr>) {
        self.orders.send_modify(|orders| orders.target = target);
    }

    /// Does this to all connections from now on.
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.orders.send_modify(|orders| orders.behaviour = behaviour);
    }

    /// Resets all connections that are open.
    pub(crate) fn cut(&self) {
        self.orders.send_modify(|orders| orders.cuts += 1);
    }

    /// Which of the next commits are cut.
    pub(crate) fn commits(&self) -> &Commits {
        &self.commits
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A port that is taken and refuses connections.
fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Listens whenever connections are not refused. The port is held all the time but for the moment of the change.
async fn accept(
    address: SocketAddr,
    mut socket: TcpSocket,
    mut orders: watch::Receiver<Orders>,
    commits: Option<Arc<Commits>>,
) {
    let mut connections = JoinSet::new();
    while orders.wait_for(Orders::accepts).await.is_ok() {
        let Ok(listener) = socket.listen(BACKLOG) else { return };
        accept_until_refused(&listener, &mut orders, commits.as_ref(), &mut connections).await;
        drop(listener);
        socket = reserve_again(address).await;
    }
}

async fn reserve_again(address: SocketAddr) -> TcpSocket {
    loop {
        match reserve(address) {
            Ok(socket) => return socket,
            Err(_) => sleep(AGAIN).await,
        }
    }
}

async fn accept_until_refused(
    listener: &TcpListener,
    orders: &mut watch::Receiver<Orders>,
    commits: Option<&Arc<Commits>>,
    connections: &mut JoinSet<()>,
) {
    let told = orders.clone();
    let refused = async { orders.wait_for(|orders| !orders.accepts()).await.is_ok() };
    let accepting = async {
        loop {
            if let Ok((client, _)) = listener.accept().await {
                connections.spawn(connection::carry(client, told.clone(), commits.cloned()));
            }
            // Those that have ended are forgotten.
            while connections.try_join_next().is_some() {}
        }
    };
    tokio::select! {
        _ = refused => {}
        () = accepting => {}
    }
}

#[cfg(test)]
mod tests;
