//! What one connection through a proxy goes through, from its acceptance to its end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::mysql::{self, Commits};
use crate::proxy::{Behaviour, Orders};
use crate::schedule::CommitSide;

const CHUNK: usize = 1 << 16;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// After what was passed on so far.
    Closed,
    /// At once, for both sides.
    Reset,
}

/// Carries a connection to the target and back until one side ends it or it is cut.
pub(crate) async fn carry(client: TcpStream, orders: watch::Receiver<Orders>, commits: Option<Arc<Commits>>) {
    let cuts = orders.borrow().cuts;
    let mut gate = Gate(orders.clone());
    let is_cut = async move { orders.clone().wait_for(|orders| orders.cuts != cuts).await.is_ok() };
    tokio::pin!(is_cut);
    let target = tokio::select! {
        _ = &mut is_cut => None,
        target = connect(&mut gate) => target,
    };
    let Some(server) = target else {
        reset(&client);
        return;
    };
    // The delays are to be those of the schedule.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let mut ends = (client, server);
    let end = tokio::select! {
        _ = &mut is_cut => End::Reset,
        end = exchange(&mut ends, &gate, commits.as_deref()) => end,
    };
    if end == End::Reset {
        reset(&ends.0);
        reset(&ends.1);
    }
}

fn reset(stream: &TcpStream) {
    // Without it the connection is closed in order, which is a fault as well.
    let _ = stream.set_zero_linger();
}

async fn connect(gate: &mut Gate) -> Option<TcpStream> {
    gate.pass().await;
    let target = gate.0.borrow().target?;
    TcpStream::connect(target).await.ok()
}

async fn exchange((client, server): &mut (TcpStream, TcpStream), gate: &Gate, commits: Option<&Commits>) -> End {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let withhold = AtomicBool::new(false);
    let result = tokio::select! {
        end = ask(from_client, to_server, gate.clone(), commits, &withhold) => end,
        end = answer(from_server, to_client, gate.clone(), &withhold) => end,
    };
    // A side that was reset resets the other.
    result.unwrap_or(End::Reset)
}

/// What the client sends.
async fn ask(
    from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut gate: Gate,
    commits: Option<&Commits>,
    withhold: &AtomicBool,
) -> io::Result<End> {
    let mut from = BufReader::with_capacity(CHUNK, from);
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        match commits {
            Some(_) => mysql::read_packet(&mut from, &mut chunk).await?,
            None => {
                chunk.clear();
                from.read_buf(&mut chunk).await?;
            }
        }
        gate.pass().await;
        if chunk.is_empty() {
            return Ok(End::Closed);
        }
        match commits.and_then(|commits| commits.take(&chunk)) {
            Some(CommitSide::Before) => return Ok(End::Reset),
            // Nothing is on its way to the client: it waits for this answer.
            Some(CommitSide::After) => withhold.store(true, Ordering::SeqCst),
            None => {}
        }
        to.write_all(&chunk).await?;
    }
}

/// What the server sends.
async fn answer(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut gate: Gate,
    withhold: &AtomicBool,
) -> io::Result<End> {
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        chunk.clear();
        from.read_buf(&mut chunk).await?;
        let behaviour = gate.pass().await;
        if chunk.is_empty() {
            return Ok(End::Closed);
        }
        if withhold.load(Ordering::SeqCst) {
            return Ok(End::Reset);
        }
        if let Behaviour::Truncate(percent) = behaviour {
            to.write_all(&chunk[..chunk.len() * percent / 100]).await?;
            return Ok(End::Closed);
        }
        to.write_all(&chunk).await?;
    }
}

/// What everything has to pass before it is sent on.
#[derive(Clone)]
struct Gate(watch::Receiver<Orders>);

impl Gate {
    /// Returns when something may be sent on, with what is to happen to it.
    async fn pass(&mut self) -> Behaviour {
        let open = self.0.wait_for(|orders| orders.behaviour != Behaviour::BlackHole).await;
        // The proxy is gone, and its connections are going.
        let behaviour = open.map_or(Behaviour::Pass, |orders| orders.behaviour);
        if let Behaviour::Delay(delay) = behaviour {
            sleep(delay).await;
        }
        behaviour
    }
}
