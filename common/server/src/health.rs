//! Health check of `--health`: requests `/health` of the server that runs with the same settings. An image needs no
//! other program for its health check.
//!
//! Liveness, not readiness: supervisors replace an unhealthy process, which does not bring back its database.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Maximum time for the response. Shorter than the 5 s after which a container's health check is killed, so that the
/// error is still printed.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(4);
/// Maximum length of a status line.
const MAX_STATUS_LINE_BYTES: u64 = 1024;

/// Failure of the health check.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unhealthy {
    #[error("no response from {address}")]
    NoResponse { address: SocketAddr, source: io::Error },
    #[error("unhealthy: GET /health at {address} returned '{status_line}'")]
    Refused { address: SocketAddr, status_line: String },
}

/// Requests `/health` of the server that listens on an address.
pub(crate) async fn check(listening_on: SocketAddr) -> Result<(), Unhealthy> {
    let address = connect_address(listening_on);
    let response = timeout(RESPONSE_TIMEOUT, status_line(address)).await.map_err(io::Error::from).flatten();
    match response {
        Ok(line) if line.starts_with("HTTP/1.1 200 ") => Ok(()),
        Ok(status_line) => Err(Unhealthy::Refused { address, status_line }),
        Err(source) => Err(Unhealthy::NoResponse { address, source }),
    }
}

/// Returns the address to connect to: the loopback address for a server that listens on all addresses.
fn connect_address(address: SocketAddr) -> SocketAddr {
    let host = match address.ip() {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    SocketAddr::new(host, address.port())
}

async fn status_line(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_STATUS_LINE_BYTES)).read_line(&mut line).await?;
    Ok(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn check_server_that_sends(response: &'static str) -> Result<(), String> {
        // As in a container, the server listens on all addresses.
        let server = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let address = server.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut client, _) = server.accept().await.unwrap();
            let mut request = [0; 16];
            client.read_exact(&mut request).await.unwrap();
            assert_eq!(&request, b"GET /health HTTP");
            client.write_all(response.as_bytes()).await.unwrap();
        });
        check(address).await.map_err(|error| error.to_string().replace(&address.port().to_string(), "PORT"))
    }

    #[tokio::test]
    async fn only_status_200_is_healthy() {
        assert_eq!(check_server_that_sends("HTTP/1.1 200 OK\r\n\r\n").await, Ok(()));
        let refused = "unhealthy: GET /health at 127.0.0.1:PORT returned 'HTTP/1.1 503 Service Unavailable'";
        assert_eq!(check_server_that_sends("HTTP/1.1 503 Service Unavailable\r\n\r\n").await, Err(refused.to_owned()));
        for other in ["", "HTTP/1.1 2000 OK\r\n", "SSH-2.0-OpenSSH_9.2\r\n"] {
            assert!(check_server_that_sends(other).await.is_err(), "{other}");
        }
    }

    #[tokio::test]
    async fn the_error_names_an_address_without_a_listener() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = check(free).await.unwrap_err();
        assert_eq!(error.to_string(), format!("no response from {free}"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_responds_is_unhealthy() {
        // The kernel accepts the connection; the test never reads from it.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let error = check(silent.local_addr().unwrap()).await.unwrap_err();
        assert!(matches!(error, Unhealthy::NoResponse { source, .. } if source.kind() == io::ErrorKind::TimedOut));
    }
}
