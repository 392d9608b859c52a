//! As much of the protocol of MySQL as it takes to cut a connection exactly at COMMIT.
//!
//! What a client sends is packets: three bytes of length, a number, and the payload. Nothing here works under TLS or
//! compression, which connections on one machine do not have.

use std::io::{self, ErrorKind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::schedule::CommitSide;

const HEADER: usize = 4;
/// A packet that starts a command and has the text COMMIT for a query.
const COMMIT: &[u8] = b"\x07\0\0\0\x03COMMIT";

/// Which of the next commits are cut, shared by all connections of a link.
#[derive(Debug, Default)]
pub(crate) struct Commits(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    due: Option<(CommitSide, u32)>,
    cut: Cuts,
}

/// How many connections were cut while they committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cuts {
    /// Before COMMIT arrived.
    pub(crate) before: u32,
    /// After it was carried out.
    pub(crate) after: u32,
}

impl Commits {
    /// Cuts the next connections that commit, so many of them.
    pub(crate) fn cut_next(&self, side: CommitSide, commits: u32) {
        self.lock().due = (commits > 0).then_some((side, commits));
    }

    /// Cuts no more.
    pub(crate) fn clear(&self) {
        self.lock().due = None;
    }

    /// Whether all that were to be cut have been.
    pub(crate) fn is_done(&self) -> bool {
        self.lock().due.is_none()
    }

    /// How many have been cut so far.
    pub(crate) fn cuts(&self) -> Cuts {
        self.lock().cut
    }

    /// Whether, and how, the connection is to be cut on which this packet was sent. It counts as cut from now on.
    pub(crate) fn take(&self, packet: &[u8]) -> Option<CommitSide> {
        if packet != COMMIT {
            return None;
        }
        let mut state = self.lock();
        let (side, left) = state.due?;
        state.due = (left > 1).then(|| (side, left - 1));
        match side {
            CommitSide::Before => state.cut.before += 1,
            CommitSide::After => state.cut.after += 1,
        }
        Some(side)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a whole packet into `buffer`, with its header. It is left empty at the end of the stream.
///
/// # Errors
///
/// Where the stream fails, or ends within a packet.
pub(crate) async fn read_packet(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    buffer.resize(HEADER, 0);
    match stream.read_exact(buffer).await {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            buffer.clear();
            return Ok(());
        }
        Err(error) => return Err(error),
    }
    let length = usize::from(buffer[0]) | usize::from(buffer[1]) << 8 | usize::from(buffer[2]) << 16;
    buffer.resize(HEADER + length, 0);
    stream.read_exact(&mut buffer[HEADER..]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn packets_are_read_one_by_one() {
        let mut stream = &b"\x01\0\0\0\x0e\x07\0\0\0\x03COMMIT"[..];
        let mut packet = Vec::new();
        read_packet(&mut stream, &mut packet).await.unwrap();
        assert_eq!(packet, b"\x01\0\0\0\x0e");
        read_packet(&mut stream, &mut packet).await.unwrap();
        assert_eq!(packet, COMMIT);
        read_packet(&mut stream, &mut packet).await.unwrap();
        assert_eq!(packet, b"");
    }

    #[test]
    fn as_many_commits_are_cut_as_were_asked_for() {
        let commits = Commits::default();
        assert_eq!(commits.take(COMMIT), None);
        commits.cut_next(CommitSide::After, 2);
        assert_eq!(commits.take(b"\x06\0\0\0\x03BEGIN"), None);
        assert_eq!(commits.take(COMMIT), Some(CommitSide::After));
        assert!(!commits.is_done());
        assert_eq!(commits.take(COMMIT), Some(CommitSide::After));
        assert_eq!(commits.take(COMMIT), None);
        assert!(commits.is_done());
        assert_eq!(commits.cuts(), Cuts { before: 0, after: 2 });
    }
}
