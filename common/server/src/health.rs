//! `--health`: the program asks the server that runs under the same settings whether it is ready. So an image needs no other
//! program for its health check.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Less than the 5 s after which a container's health check is killed: then nobody would read why.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// A longer status line is none.
const LONGEST_LINE: u64 = 1024;

/// Why a server does not count as ready.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReady {
    #[error("no answer from {address}")]
    NoAnswer { address: SocketAddr, source: io::Error },
    #[error("not ready: GET /ready at {address} is answered with '{status_line}'")]
    Refused { address: SocketAddr, status_line: String },
}

/// Asks the server that listens on an address. An error that it is not ready is one line.
pub(crate) async fn ask(listening_on: SocketAddr) -> Result<(), NotReady> {
    let address = reachable(listening_on);
    let answer = timeout(ANSWER_WITHIN, status_line(address)).await.map_err(io::Error::from).flatten();
    match answer {
        Ok(line) if line.starts_with("HTTP/1.1 200 ") => Ok(()),
        Ok(status_line) => Err(NotReady::Refused { address, status_line }),
        Err(source) => Err(NotReady::NoAnswer { address, source }),
    }
}

/// A server that listens on every address is asked on the machine's own.
fn reachable(address: SocketAddr) -> SocketAddr {
    let host = match address.ip() {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    SocketAddr::new(host, address.port())
}

async fn status_line(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST_LINE)).read_line(&mut line).await?;
    Ok(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn ask_a_server_that_says(answer: &'static str) -> Result<(), String> {
        // As in a container: what listens everywhere is asked on the loopback address.
        let server = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let address = server.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut client, _) = server.accept().await.unwrap();
            let mut request = [0; 16];
            client.read_exact(&mut request).await.unwrap();
            assert_eq!(&request, b"GET /ready HTTP/");
            client.write_all(answer.as_bytes()).await.unwrap();
        });
        ask(address).await.map_err(|error| error.to_string().replace(&address.port().to_string(), "PORT"))
    }

    #[tokio::test]
    async fn only_200_is_ready() {
        assert_eq!(ask_a_server_that_says("HTTP/1.1 200 OK\r\n\r\n").await, Ok(()));
        let refused = "not ready: GET /ready at 127.0.0.1:PORT is answered with 'HTTP/1.1 503 Service Unavailable'";
        assert_eq!(ask_a_server_that_says("HTTP/1.1 503 Service Unavailable\r\n\r\n").await, Err(refused.to_owned()));
        for other in ["", "HTTP/1.1 2000 OK\r\n", "SSH-2.0-OpenSSH_9.2\r\n"] {
            assert!(ask_a_server_that_says(other).await.is_err(), "{other}");
        }
    }

    #[tokio::test]
    async fn where_nobody_listens_the_address_is_named() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = ask(free).await.unwrap_err();
        assert_eq!(error.to_string(), format!("no answer from {free}"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answers_is_not_ready() {
        // Connections are taken by the system; nobody reads from them.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let error = ask(silent.local_addr().unwrap()).await.unwrap_err();
        assert!(matches!(error, NotReady::NoAnswer { source, .. } if source.kind() == io::ErrorKind::TimedOut));
    }
}
